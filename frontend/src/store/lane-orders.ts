/** The lanes of the open run, from top to bottom, as each view shows them. */
import { computed, signal } from "@preact/signals";
import { alongTheWay, byWaiting } from "../timeline/lane-order";
import type { Lane, LaneTime } from "../wire";
import { lanes, openRunId } from "./run";

export const lanesAlongTheWay = computed<readonly Lane[]>(() => alongTheWay(lanes.value));

const waits = signal<ReadonlyMap<number, number>>(new Map());
let before: readonly number[] = [];
let ofRun = "";

/** The order of before counts, so that a live picture stands; another run begins anew. */
export const lanesByWaiting = computed<readonly Lane[]>(() => {
  if (openRunId.value !== ofRun) before = [];
  ofRun = openRunId.value;
  const ordered = byWaiting(lanes.value, (lane) => waits.value.get(lane) ?? NaN, before);
  before = ordered.map(({ lane }) => lane);
  return ordered;
});

/** Takes how each lane spent the run so far. */
export function measureWaiting(times: readonly LaneTime[]): void {
  waits.value = new Map(times.map(({ lane, work_ns, wait_ns }) => [lane, wait_ns / (work_ns + wait_ns)]));
}
