/** Where each lane lies: pure arithmetic, shared by drawing, hit testing and the labels beside the canvas. */
import type { Lane } from "../wire";
import { Level } from "./paints";

export interface LaneRow {
  readonly lane: Lane;
  readonly y: number;
  readonly height: number;
  readonly spanY: number;
  readonly spanHeight: number;
  readonly partY: number;
  /** 0 when no part of a span was recorded on this lane. */
  readonly partHeight: number;
}

export interface Layout {
  readonly rows: readonly LaneRow[];
  readonly height: number;
}

const MIN_UNIT_PX = 11;
const MAX_UNIT_PX = 40;
const PLAIN_WEIGHT = 1.3;
const PARTS_WEIGHT = 1.65;

/** Lays the lanes, in this order, into `availablePx`: taller lanes when there is room, and an overflow (to scroll) when there is not. */
export function layOut(lanes: readonly Lane[], hasParts: (lane: number) => boolean, availablePx: number): Layout {
  const weights = lanes.map((lane) => (hasParts(lane.lane) ? PARTS_WEIGHT : PLAIN_WEIGHT));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const unit = Math.min(MAX_UNIT_PX, Math.max(MIN_UNIT_PX, Math.floor(availablePx / Math.max(1, total))));
  const rows: LaneRow[] = [];
  let y = 0;
  lanes.forEach((lane, index) => {
    const height = Math.round(unit * weights[index]!);
    const padding = Math.max(2, Math.round(unit * 0.16));
    const inner = height - 2 * padding;
    const partHeight = weights[index] === PLAIN_WEIGHT ? 0 : Math.max(3, Math.round(inner * 0.36));
    const spanHeight = inner - partHeight - (partHeight > 0 ? 1 : 0);
    rows.push({
      lane,
      y,
      height,
      spanY: y + padding,
      spanHeight,
      partY: y + padding + spanHeight + 1,
      partHeight,
    });
    y += height;
  });
  return { rows, height: y };
}

export function rowAt(layout: Layout, y: number): LaneRow | undefined {
  return layout.rows.find((row) => y >= row.y && y < row.y + row.height);
}

/** The levels that a point of a lane may hit, the innermost first. */
export function levelsAt(row: LaneRow, y: number): readonly number[] {
  return row.partHeight > 0 && y >= row.partY - 1 ? [Level.STAGE, Level.PART] : [Level.SPAN];
}
