/**
 * The arrow from a wait of the consumer to what it waited for: a worker's span, and within it the slowest sample. Plain
 * numbers, in pixels of the lanes' canvas, for the painter and for tests.
 */
import type { LaneRow, Layout } from "./layout";
import type { TimeScale } from "./time-scale";

export interface Stretch {
  readonly lane: number;
  readonly startNs: number;
  readonly endNs: number;
}

/** What an arrow tells: `sample` lies within `work`, on the same lane; `batch` is the one that was worked on. */
export interface Blame {
  readonly batch: { readonly epoch: number; readonly batch: number };
  readonly wait: Stretch;
  readonly work: Stretch;
  readonly sample: Stretch | null;
}

export type Box = readonly [x: number, y: number, width: number, height: number];
export type Point = readonly [x: number, y: number];

export interface Arrow {
  /** The spans that it joins, outlined: first the wait. */
  readonly boxes: readonly Box[];
  /** A cubic curve: where it starts, two control points, and its tip. */
  readonly curve: readonly [Point, Point, Point, Point];
  /** 1: the tip points down; -1: up. */
  readonly down: 1 | -1;
}

/** A span of no width must be seen all the same. */
const MIN_BOX_PX = 3;

/** Null where a lane is not shown, or where all of it is out of view. */
export function arrowOf(blame: Blame, layout: Layout, scale: TimeScale): Arrow | null {
  const above = rowOf(layout, blame.wait.lane);
  const below = rowOf(layout, blame.work.lane);
  if (!above || !below) return null;
  const wait = boxOf(above, blame.wait, scale, false);
  const work = boxOf(below, blame.work, scale, false);
  const sample = blame.sample && below.partHeight > 0 ? boxOf(below, blame.sample, scale, true) : null;
  const target = sample ?? work;
  const left = Math.min(wait[0], target[0]);
  const right = Math.max(wait[0] + wait[2], target[0] + target[2]);
  if (right < 0 || left > scale.widthPx) return null;
  const down = above.y <= below.y ? 1 : -1;
  const from: Point = [middle(wait, scale), down > 0 ? wait[1] + wait[3] : wait[1]];
  // Who waited is pointed from where the wait was; what was waited for is pointed at where it is in view.
  const to: Point = [middle(target, scale), down > 0 ? target[1] : target[1] + target[3]];
  const bend = (to[1] - from[1]) / 2;
  return { boxes: sample ? [wait, work, sample] : [wait, work], curve: [from, [from[0], from[1] + bend], [to[0], to[1] - bend], to], down };
}

function rowOf(layout: Layout, lane: number): LaneRow | undefined {
  return layout.rows.find((row) => row.lane.lane === lane);
}

function boxOf(row: LaneRow, { startNs, endNs }: Stretch, scale: TimeScale, isPart: boolean): Box {
  const from = scale.toPx(startNs);
  const width = Math.max(MIN_BOX_PX, scale.toPx(endNs) - from);
  return isPart ? [from, row.partY, width, row.partHeight] : [from, row.spanY, width, row.spanHeight];
}

/** The middle of what is in view of a box; of the whole box where nothing is. */
function middle([x, , width]: Box, scale: TimeScale): number {
  const from = Math.max(0, x);
  const to = Math.min(scale.widthPx, x + width);
  return from < to ? (from + to) / 2 : x + width / 2;
}
