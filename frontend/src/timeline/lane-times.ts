/** How each lane spent a stretch of time: the timeline as numbers, for the table that stands beside the picture. */
import { Level, type KindTable } from "./paints";
import type { SpanStore } from "./span-store";
import type { Lane } from "../wire";

export interface LaneTime {
  readonly lane: Lane;
  readonly spans: number;
  readonly workNs: number;
  readonly waitNs: number;
}

export function laneTimes(store: SpanStore, kinds: KindTable, lanes: readonly Lane[], fromNs: number, toNs: number): LaneTime[] {
  return lanes.map((lane) => {
    const { slots, from, to } = store.range(lane.lane, Level.SPAN, fromNs, toNs);
    let [spans, workNs, waitNs] = [0, 0, 0];
    for (let at = from; at < to; at += 1) {
      const slot = slots[at]!;
      const inside = Math.min(toNs, store.end[slot]!) - Math.max(fromNs, store.start[slot]!);
      if (inside < 0) continue;
      spans += 1;
      if (kinds.waits[store.kind[slot]!]) waitNs += inside;
      else workNs += inside;
    }
    return { lane, spans, workNs, waitNs };
  });
}
