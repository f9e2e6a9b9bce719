/**
 * What goes on just now: a span is recorded when it ends, so a lane whose loop waits for minutes would be empty. The
 * newest span of a lane tells which one has begun since.
 */
import { Kind, NO_BATCH, type Lane } from "../wire";
import type { DrawList } from "./draw-list";
import type { Layout } from "./layout";
import { Level, type KindTable } from "./paints";
import type { SpanStore } from "./span-store";
import type { TimeScale } from "./time-scale";

/** What follows a span of a kind on a training loop's lane, and on a worker's. */
const AFTER: Readonly<Record<"consumer" | "worker", Readonly<Record<number, Kind>>>> = {
  consumer: { [Kind.STEP]: Kind.WAIT_BATCH, [Kind.WAIT_BATCH]: Kind.STEP },
  worker: { [Kind.WAIT_TASK]: Kind.FETCH, [Kind.FETCH]: Kind.COLLATE, [Kind.COLLATE]: Kind.SEND, [Kind.SEND]: Kind.WAIT_TASK },
};

/** The kind of the span that a lane is in; null where that is not known, or its writer has ended. */
export function openKind(store: SpanStore, lane: Lane): Kind | null {
  const newest = store.newest(lane.lane, Level.SPAN);
  // The main process, which makes batches by itself, has no tasks and sends nothing.
  if (newest < 0 || (lane.role !== "consumer" && (lane.role !== "worker" || lane.worker < 0))) return null;
  const kind = store.kind[newest]!;
  // The end of an epoch, or of a loop that was left; the word that an epoch begins.
  if ((kind === Kind.WAIT_BATCH || kind === Kind.WAIT_TASK) && store.batch[newest] === NO_BATCH) return null;
  const mark = store.newest(lane.lane, Level.MARK);
  if (mark >= 0 && store.kind[mark] === Kind.STOP && store.end[mark]! >= store.end[newest]!) return null;
  return AFTER[lane.role][kind] ?? null;
}

/** Adds the open spans up to `nowNs` to a list that was built. */
export function addOpen(list: DrawList, store: SpanStore, layout: Layout, scale: TimeScale, kinds: KindTable, nowNs: number): void {
  for (const row of layout.rows) {
    const kind = openKind(store, row.lane);
    if (kind === null) continue;
    const from = Math.max(-2, scale.toPx(store.end[store.newest(row.lane.lane, Level.SPAN)]!));
    const to = Math.min(scale.widthPx + 2, scale.toPx(nowNs));
    if (to > from && from <= scale.widthPx && to >= 0) list.solid[kinds.paint[kind]!]!.push(from, row.spanY, to - from, row.spanHeight);
  }
}
