/**
 * Spans that the page no longer holds, or never received, asked from the recording for the window in view. The live
 * spans stay where they are; the timeline shows one store or the other.
 */
import { effect, signal } from "@preact/signals";
import { getSpans } from "../api";
import { decodeFrame } from "../socket/frames";
import { SpanStore } from "../timeline/span-store";
import { gaps, kinds, revision, shown, spans } from "./recording";
import { isLive, openRunId } from "./run";
import { hover, refind } from "./selection";
import { endNs, following, spanNs, startNs } from "./window";

const ASK_AFTER_MS = 200;
/** More is asked than is in view, so that a small move needs no new request. */
const MARGIN = 0.5;

interface Loaded {
  readonly run: string;
  readonly store: SpanStore;
  readonly fromNs: number;
  readonly toNs: number;
}

export const loading = signal(false);
/** Spans of the loaded window that were too many to send: the shortest. */
export const leftOut = signal(0);

let loaded: Loaded | null = null;

export function keepPast(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    void revision.value;
    const [from, to, run] = [Math.max(0, startNs.value), endNs.value, openRunId.value];
    clearTimeout(timer);
    // While the view follows a live run, the newest is what it is about.
    if (run === "" || (following.value && isLive.value) || !isMissing(from, to)) return use(spans);
    if (loaded?.run === run && loaded.fromNs <= from && loaded.toNs >= Math.min(to, spans.newestNs)) return use(loaded.store);
    use(spans);
    timer = setTimeout(() => void load(run, from - MARGIN * spanNs.peek(), to + MARGIN * spanNs.peek()), ASK_AFTER_MS);
  });
}

/** Whether the live store has no full picture of a window: too old, or not received. */
function isMissing(fromNs: number, toNs: number): boolean {
  return fromNs < spans.heldFromNs || gaps.all.some((gap) => gap.fromNs < toNs && gap.toNs > fromNs);
}

async function load(run: string, fromNs: number, toNs: number): Promise<void> {
  loading.value = true;
  try {
    const frame = decodeFrame(await getSpans(run, Math.max(0, fromNs), toNs));
    if (frame.type !== "spans" || run !== openRunId.value) return;
    const store = new SpanStore(kinds, Math.max(1, frame.header.count));
    store.push(inOrderOfEnd(frame.columns), frame.header.base_ns, frame.header.unit_ns);
    loaded = { run, store, fromNs: Math.max(0, fromNs), toNs };
    leftOut.value = frame.header.dropped;
    revision.value += 1;
  } catch {
    // The band that says "only totals are held here" stays; the next move asks again.
  } finally {
    loading.value = false;
  }
}

function use(store: SpanStore): void {
  if (shown.peek() === store) return;
  shown.value = store;
  if (store === spans) leftOut.value = 0;
  hover.value = null;
  refind();
}

type Columns = Parameters<SpanStore["push"]>[0];

/** A window comes sorted by start; the store's indexes want the order of the ends. */
export function inOrderOfEnd(columns: Columns): Columns {
  const order = Uint32Array.from(columns.kind, (_, row) => row).sort(
    (a, b) => columns.start[a]! + columns.duration[a]! - (columns.start[b]! + columns.duration[b]!),
  );
  const pick = <A extends Float64Array | Uint32Array | Uint16Array | Uint8Array>(column: A): A => {
    const picked = column.slice() as A;
    order.forEach((row, at) => (picked[at] = column[row]!));
    return picked;
  };
  return {
    sample: pick(columns.sample),
    value: pick(columns.value),
    start: pick(columns.start),
    duration: pick(columns.duration),
    batch: pick(columns.batch),
    epoch: pick(columns.epoch),
    lane: pick(columns.lane),
    kind: pick(columns.kind),
    flags: pick(columns.flags),
  };
}
