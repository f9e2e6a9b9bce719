/** The spans of one recorded run around the window in view, asked for again when the window leaves what is held. */
import { signal } from "@preact/signals";
import { getSpans } from "../api";
import { decodeFrame } from "../socket/frames";
import { inOrderOfEnd } from "../store/past";
import { kinds as ofThePage } from "../store/recording";
import { KindTable } from "../timeline/paints";
import { SpanStore } from "../timeline/span-store";
import type { ComparedRun, KindInfo } from "../wire";

const ASK_AFTER_MS = 150;
/** More is asked than is in view, so that a small move needs no new request. */
const MARGIN = 0.5;
const KINDS = 256;

export class RecordedSpans {
  readonly store = signal<SpanStore | null>(null);
  /** Spans of the window that were too many to send: the shortest. */
  readonly leftOut = signal(0);
  readonly failed = signal(false);
  readonly kinds = new KindTable();
  private fromNs = Infinity;
  private toNs = -Infinity;
  private shortened = false;
  private spanNs = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked = 0;

  constructor(private readonly run: ComparedRun) {
    // The stages of one run are not those of another: each has a table of its own.
    const known = Array.from({ length: KINDS }, (_, kind) => ofThePage.get(kind)).filter((kind): kind is KindInfo => kind !== undefined);
    this.kinds.learn(known);
    this.kinds.learnStages(run.stages);
  }

  /** Sees to it that this window of run time is held, if it exists. */
  want(fromNs: number, toNs: number): void {
    const from = Math.max(0, fromNs);
    const to = Math.min(this.run.run.duration_ns, toNs);
    // Of a long window only the longest spans came: a much closer look may show more.
    const tooCoarse = this.shortened && toNs - fromNs < this.spanNs / 2;
    if (to <= from || (this.fromNs <= from && this.toNs >= to && !tooCoarse)) return;
    clearTimeout(this.timer);
    const margin = MARGIN * (toNs - fromNs);
    this.timer = setTimeout(() => void this.load(Math.max(0, from - margin), to + margin, toNs - fromNs), this.store.peek() ? ASK_AFTER_MS : 0);
  }

  close(): void {
    clearTimeout(this.timer);
    this.asked += 1;
  }

  private async load(fromNs: number, toNs: number, spanNs: number): Promise<void> {
    const mine = (this.asked += 1);
    try {
      const frame = decodeFrame(await getSpans(this.run.run.id, fromNs, toNs));
      if (mine !== this.asked || frame.type !== "spans") return;
      const store = new SpanStore(this.kinds, Math.max(1, frame.header.count));
      store.push(inOrderOfEnd(frame.columns), frame.header.base_ns, frame.header.unit_ns);
      [this.fromNs, this.toNs, this.spanNs, this.shortened] = [fromNs, toNs, spanNs, frame.header.dropped > 0];
      this.leftOut.value = frame.header.dropped;
      this.failed.value = false;
      this.store.value = store;
    } catch {
      if (mine === this.asked) this.failed.value = true;
    }
  }
}
