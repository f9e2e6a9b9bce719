/**
 * The newest spans of the open run: a ring of typed arrays, no object per span. At its bound the oldest span is
 * overwritten; `heldFromNs` says from when on the picture is complete.
 *
 * Each lane has one index per level (spans, parts, stages, marks), sorted by end, so that a visible range is found by
 * binary search.
 */
import type { SpanColumns } from "../wire";
import { LEVELS, type KindTable } from "./paints";

export const CAPACITY = 131_072;

/** Slots of one lane and level, sorted by end. A queue in one array: pushed at the back, dropped at the front. */
class LaneIndex {
  slots = new Int32Array(256);
  head = 0;
  tail = 0;
  /** No span of this index is longer: bounds the search to the right of a window. */
  longestNs = 0;

  push(slot: number, end: Float64Array): void {
    if (this.tail === this.slots.length) this.makeRoom();
    let at = this.tail;
    // Two writers of one lane may arrive a little out of order; then the newer one moves back to its place.
    while (at > this.head && end[this.slots[at - 1]!]! > end[slot]!) {
      this.slots[at] = this.slots[at - 1]!;
      at -= 1;
    }
    this.slots[at] = slot;
    this.tail += 1;
  }

  remove(slot: number): void {
    if (this.slots[this.head] === slot) {
      this.head += 1;
      return;
    }
    const at = this.slots.indexOf(slot, this.head);
    if (at < 0 || at >= this.tail) return;
    this.slots.copyWithin(this.head + 1, this.head, at);
    this.head += 1;
  }

  private makeRoom(): void {
    const live = this.slots.subarray(this.head, this.tail);
    if (this.head > this.slots.length / 2) {
      this.slots.copyWithin(0, this.head, this.tail);
    } else {
      const grown = new Int32Array(this.slots.length * 2);
      grown.set(live);
      this.slots = grown;
    }
    this.tail -= this.head;
    this.head = 0;
  }
}

export interface Range {
  readonly slots: Int32Array;
  readonly from: number;
  readonly to: number;
}

const NOTHING: Range = { slots: new Int32Array(0), from: 0, to: 0 };

export class SpanStore {
  readonly start: Float64Array;
  readonly end: Float64Array;
  readonly value: Float64Array;
  readonly sample: Float64Array;
  readonly batch: Uint32Array;
  readonly epoch: Uint16Array;
  readonly lane: Uint8Array;
  readonly kind: Uint8Array;
  readonly flags: Uint8Array;
  readonly paint: Uint8Array;
  /** Spans received since the run was opened; the newest has number `received - 1`. */
  received = 0;
  /** Run time of the newest end, in ns. */
  newestNs = 0;
  /** All spans that ended after this run time are held: earlier ones were overwritten. 0: nothing was. */
  heldFromNs = 0;
  /** Lanes that hold a span with the SIMULATED or INFERRED flag, as flags by lane. */
  readonly laneFlags = new Uint8Array(256);
  private readonly index = new Map<number, LaneIndex>();

  constructor(
    private readonly kinds: KindTable,
    readonly capacity = CAPACITY,
  ) {
    this.start = new Float64Array(capacity);
    this.end = new Float64Array(capacity);
    this.value = new Float64Array(capacity);
    this.sample = new Float64Array(capacity);
    this.batch = new Uint32Array(capacity);
    this.epoch = new Uint16Array(capacity);
    this.lane = new Uint8Array(capacity);
    this.kind = new Uint8Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.paint = new Uint8Array(capacity);
  }

  get size(): number {
    return Math.min(this.received, this.capacity);
  }

  clear(): void {
    this.received = 0;
    this.newestNs = 0;
    this.heldFromNs = 0;
    this.laneFlags.fill(0);
    this.index.clear();
  }

  push(columns: SpanColumns, baseNs: number, unitNs: number): void {
    const count = columns.kind.length;
    for (let row = 0; row < count; row += 1) {
      const slot = this.received % this.capacity;
      if (this.received >= this.capacity) this.evict(slot);
      const start = baseNs + columns.start[row]! * unitNs;
      const end = start + columns.duration[row]! * unitNs;
      const kind = columns.kind[row]!;
      const lane = columns.lane[row]!;
      this.start[slot] = start;
      this.end[slot] = end;
      this.value[slot] = columns.value[row]!;
      this.sample[slot] = columns.sample[row]!;
      this.batch[slot] = columns.batch[row]!;
      this.epoch[slot] = columns.epoch[row]!;
      this.lane[slot] = lane;
      this.kind[slot] = kind;
      this.flags[slot] = columns.flags[row]!;
      this.paint[slot] = this.kinds.paintOf(kind, columns.value[row]!);
      this.laneFlags[lane]! |= columns.flags[row]!;
      if (end > this.newestNs) this.newestNs = end;
      this.received += 1;
      const index = this.indexOf(lane, this.kinds.level[kind]!);
      index.push(slot, this.end);
      if (end - start > index.longestNs) index.longestNs = end - start;
    }
  }

  /** Paints the stages again, after their names became known. */
  repaint(): void {
    for (let slot = 0; slot < this.size; slot += 1) {
      this.paint[slot] = this.kinds.paintOf(this.kind[slot]!, this.value[slot]!);
    }
  }

  level(slot: number): number {
    return this.kinds.level[this.kind[slot]!]!;
  }

  hasLevel(lane: number, level: number): boolean {
    const index = this.index.get(lane * LEVELS + level);
    return index !== undefined && index.tail > index.head;
  }

  /**
   * Slots of a lane and level that may overlap [fromNs, toNs], sorted by end. All that overlap are among them; a few
   * may not (their start is later), which the caller skips.
   */
  range(lane: number, level: number, fromNs: number, toNs: number): Range {
    const index = this.index.get(lane * LEVELS + level);
    if (!index) return NOTHING;
    const from = this.firstEndingAtOrAfter(index, fromNs);
    const to = this.firstEndingAtOrAfter(index, toNs + index.longestNs + 1);
    return { slots: index.slots, from, to: Math.min(index.tail, Math.max(from, to)) };
  }

  /** The span of a lane and level at a time, or the nearest within `slackNs`; -1 for none. */
  at(lane: number, level: number, ns: number, slackNs: number): number {
    const { slots, from, to } = this.range(lane, level, ns - slackNs, ns + slackNs);
    let best = -1;
    let bestDistance = Infinity;
    for (let at = from; at < to; at += 1) {
      const slot = slots[at]!;
      const distance = Math.max(0, this.start[slot]! - ns, ns - this.end[slot]!);
      if (distance <= slackNs && distance < bestDistance) {
        best = slot;
        bestDistance = distance;
      }
    }
    return best;
  }

  /** The span of a lane and level that ended last; -1 for none. */
  newest(lane: number, level: number): number {
    const index = this.index.get(lane * LEVELS + level);
    return index !== undefined && index.tail > index.head ? index.slots[index.tail - 1]! : -1;
  }

  /** The next (step 1) or previous (step -1) span of the same lane and level; -1 at either end. */
  neighbour(slot: number, step: 1 | -1): number {
    const index = this.index.get(this.lane[slot]! * LEVELS + this.level(slot));
    if (!index) return -1;
    const at = index.slots.indexOf(slot, index.head);
    const next = at + step;
    return at < 0 || next < index.head || next >= index.tail ? -1 : index.slots[next]!;
  }

  /** All held spans of a batch, in order of their start. Scans the ring: for a click, not for a frame. */
  ofBatch(epoch: number, batch: number): number[] {
    const found: number[] = [];
    for (let slot = 0; slot < this.size; slot += 1) {
      if (this.batch[slot] === batch && this.epoch[slot] === epoch) found.push(slot);
    }
    return found.sort((a, b) => this.start[a]! - this.start[b]!);
  }

  private evict(slot: number): void {
    this.index.get(this.lane[slot]! * LEVELS + this.level(slot))?.remove(slot);
    if (this.end[slot]! > this.heldFromNs) this.heldFromNs = this.end[slot]!;
  }

  private indexOf(lane: number, level: number): LaneIndex {
    const key = lane * LEVELS + level;
    let index = this.index.get(key);
    if (!index) this.index.set(key, (index = new LaneIndex()));
    return index;
  }

  private firstEndingAtOrAfter(index: LaneIndex, ns: number): number {
    let low = index.head;
    let high = index.tail;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.end[index.slots[middle]!]! < ns) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
