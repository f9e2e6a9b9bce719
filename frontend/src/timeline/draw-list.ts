/**
 * What to draw for the lanes, as plain numbers and without a canvas: rectangles grouped by paint, rows that are too
 * dense for rectangles, and labels. Tests compare it as JSON; the renderer only copies it to the screen.
 */
import type { Layout, LaneRow } from "./layout";
import { ERROR, Level, PAINTS } from "./paints";
import { Raster } from "./raster";
import type { SpanStore } from "./span-store";
import type { TimeScale } from "./time-scale";

/** Above this many spans per pixel a row is drawn as a raster: rectangles could not be told apart, and cost more. */
export const RASTER_ABOVE_SPANS_PER_PX = 0.5;

/** A span narrower than this has no label. */
export const MIN_LABEL_PX = 22;
const MIN_LABEL_HEIGHT_PX = 10;

/** Rectangles of one paint: x, y, width, height, one after the other. Kept between frames, so that drawing allocates nothing. */
export class Rects {
  values = new Float32Array(1024);
  count = 0;

  push(x: number, y: number, width: number, height: number): void {
    const at = this.count * 4;
    if (at + 4 > this.values.length) {
      const grown = new Float32Array(this.values.length * 2);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[at] = x;
    this.values[at + 1] = y;
    this.values[at + 2] = width;
    this.values[at + 3] = height;
    this.count += 1;
  }
}

export interface Label {
  readonly slot: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

export interface RasterRow {
  readonly row: number;
  readonly y: number;
  readonly height: number;
}

export class DrawList {
  /** Whole spans and named stages, by paint. */
  readonly solid = PAINTS.map(() => new Rects());
  /** Samples (parts without a name): a tint below the stages. */
  readonly tint = PAINTS.map(() => new Rects());
  /** Marks that must be seen: errors and deaths. */
  readonly alarms = new Rects();
  readonly raster = new Raster();
  readonly rasterRows: RasterRow[] = [];
  readonly labels: Label[] = [];
  spans = 0;

  clear(): void {
    for (const rects of this.solid) rects.count = 0;
    for (const rects of this.tint) rects.count = 0;
    this.alarms.count = 0;
    this.rasterRows.length = 0;
    this.labels.length = 0;
    this.spans = 0;
  }

  toJSON(): unknown {
    const groups = (list: readonly Rects[]) =>
      Object.fromEntries(
        list.flatMap(({ count, values }, paint) =>
          count === 0 ? [] : [[PAINTS[paint]!, Array.from({ length: count }, (_, i) => [...values.subarray(i * 4, i * 4 + 4)])]],
        ),
      );
    return {
      solid: groups(this.solid),
      tint: groups(this.tint),
      raster: this.rasterRows.map(({ row, y, height }) => ({
        y,
        height,
        pixels: [...this.raster.pixels.subarray(row * this.raster.width, (row + 1) * this.raster.width)]
          .map((pixel) => (pixel === 0 ? "." : PAINTS[pixel - 1]![0]))
          .join(""),
      })),
      labels: this.labels.map(({ x, width }) => [x, width]),
      spans: this.spans,
    };
  }
}

/** Builds the list anew. `pxRatio` is the number of the screen's own pixels in one pixel of the scale. */
export function build(list: DrawList, store: SpanStore, layout: Layout, scale: TimeScale, pxRatio: number): void {
  list.clear();
  list.raster.resize(Math.max(1, Math.round(scale.widthPx * pxRatio)), layout.rows.length * 3);
  for (const row of layout.rows) {
    addRow(list, store, row, Level.SPAN, scale, pxRatio);
    if (row.partHeight > 0) {
      addRow(list, store, row, Level.PART, scale, pxRatio);
      addRow(list, store, row, Level.STAGE, scale, pxRatio);
    }
    addAlarms(list, store, row, scale);
  }
}

function addRow(list: DrawList, store: SpanStore, row: LaneRow, level: number, scale: TimeScale, pxRatio: number): void {
  const range = store.range(row.lane.lane, level, scale.startNs, scale.endNs);
  const count = range.to - range.from;
  if (count === 0) return;
  list.spans += count;
  const y = level === Level.SPAN ? row.spanY : row.partY;
  const height = level === Level.SPAN ? row.spanHeight : row.partHeight;
  if (count > scale.widthPx * RASTER_ABOVE_SPANS_PER_PX) {
    const index = list.rasterRows.length;
    list.raster.fillRow(index, store, range, scale, pxRatio);
    list.rasterRows.push({ row: index, y, height });
    return;
  }
  const groups = level === Level.PART ? list.tint : list.solid;
  const labelled = level === Level.SPAN && height >= MIN_LABEL_HEIGHT_PX;
  for (let at = range.from; at < range.to; at += 1) {
    const slot = range.slots[at]!;
    const from = Math.max(-2, scale.toPx(store.start[slot]!));
    const to = Math.min(scale.widthPx + 2, scale.toPx(store.end[slot]!));
    if (from > scale.widthPx || to < 0) continue;
    // One pixel of air between neighbours, as soon as there is room for it.
    const width = Math.max(1, to - from > 3 ? to - from - 1 : to - from);
    groups[store.paint[slot]!]!.push(from, y, width, height);
    if (labelled && width >= MIN_LABEL_PX) {
      const x = Math.max(0, from);
      list.labels.push({ slot, x, y: y + height / 2, width: Math.min(scale.widthPx, to) - x });
    }
  }
}

function addAlarms(list: DrawList, store: SpanStore, row: LaneRow, scale: TimeScale): void {
  const range = store.range(row.lane.lane, Level.MARK, scale.startNs, scale.endNs);
  for (let at = range.from; at < range.to; at += 1) {
    const slot = range.slots[at]!;
    if (store.paint[slot] !== ERROR) continue;
    list.alarms.push(scale.toPx(store.end[slot]!), row.y, 1, row.height);
  }
}
