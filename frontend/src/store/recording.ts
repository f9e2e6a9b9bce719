/**
 * What the page holds of the open run, in typed arrays that no framework looks into. `revision` tells when it grew;
 * whoever draws subscribes to that.
 */
import { signal } from "@preact/signals";
import type { Frame } from "../socket/frames";
import { Gaps } from "../timeline/gaps";
import { KindTable } from "../timeline/paints";
import { RollupStore } from "../timeline/rollup-store";
import { SeriesStore } from "../timeline/series-store";
import { SpanStore } from "../timeline/span-store";
import { Series, type Stage } from "../wire";

export const kinds = new KindTable();
export const spans = new SpanStore(kinds);
/** The spans that the timeline shows: these, or those of an earlier window (store/past.ts). */
export const shown = signal(spans);
export const ready = new SeriesStore();
export const inFlight = new SeriesStore();
export const loss = new SeriesStore();
export const rollup = new RollupStore();
export const gaps = new Gaps();

/** Bumped after each change of the above. */
export const revision = signal(0);
/** The newest run time that is known of, in ns. */
export const newestNs = signal(0);

const SERIES: Readonly<Record<number, SeriesStore>> = {
  [Series.READY]: ready,
  [Series.IN_FLIGHT]: inFlight,
  [Series.LOSS]: loss,
};

export function clearRecording(): void {
  for (const store of [spans, ready, inFlight, loss, rollup, gaps]) store.clear();
  newestNs.value = 0;
  revision.value += 1;
}

export function learnStages(stages: readonly Stage[]): void {
  if (!kinds.learnStages(stages)) return;
  spans.repaint();
  if (shown.value !== spans) shown.value.repaint();
  revision.value += 1;
}

export function take(frame: Frame): void {
  const { base_ns, unit_ns, dropped, series } = frame.header;
  if (frame.type === "spans") {
    const knownTo = spans.newestNs;
    const isFirst = spans.received === 0;
    spans.push(frame.columns, base_ns, unit_ns);
    // The first frame of a long recording begins with the newest spans that fit: the others were not missed.
    if (dropped > 0 && isFirst) spans.heldFromNs = firstEnd(frame.columns, base_ns, unit_ns);
    else if (dropped > 0) gaps.add(knownTo, firstEnd(frame.columns, base_ns, unit_ns), dropped);
  } else if (frame.type === "series") {
    SERIES[series]?.push(frame.columns.value, frame.columns.time, base_ns, unit_ns);
  } else {
    rollup.push(frame.columns, unit_ns);
  }
  if (spans.newestNs > newestNs.value) newestNs.value = spans.newestNs;
  revision.value += 1;
}

/** Spans arrive in order of their end: what is missing before a frame ended before its first span did. */
function firstEnd(columns: { readonly start: Uint32Array; readonly duration: Uint32Array }, baseNs: number, unitNs: number): number {
  return columns.start.length === 0 ? spans.newestNs : baseNs + (columns.start[0]! + columns.duration[0]!) * unitNs;
}
