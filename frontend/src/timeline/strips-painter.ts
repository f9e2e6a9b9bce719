/** The strips below the lanes, on the same time axis: queue depths and throughput; and the overview of the whole run. */
import { number, significant } from "../i18n/format";
import type { Palette } from "./palette";
import { columnsOf, type Columns } from "./columns";
import { niceCeiling } from "./nice";
import { ERROR } from "./paints";
import type { RollupStore } from "./rollup-store";
import type { SeriesStore } from "./series-store";
import type { Surface } from "./surface";
import { TimeScale } from "./time-scale";

const TOP_PX = 6;

/** Depths of the two queues: ready as an area, in flight as a line. Each keeps the lowest and highest value per column. */
export function paintQueue(surface: Surface, palette: Palette, scale: TimeScale, ready: SeriesStore, inFlight: SeriesStore, untilNs: number): void {
  const peak = niceCeiling(Math.max(1, ready.peak, inFlight.peak));
  paintScale(surface, palette, number(peak));
  const y = toY(surface, peak);
  const depth = columnsOf(ready, scale, untilNs);
  paintArea(surface, depth, y, palette.accent);
  paintLine(surface, columnsOf(inFlight, scale, untilNs), y, palette.quiet);
  paintEmpty(surface, depth, palette.paint[ERROR]!);
}

function toY({ height }: Surface, peak: number): (value: number) => number {
  return (value) => height - 1 - (value / peak) * (height - TOP_PX - 1);
}

function paintScale({ context, width, height }: Surface, palette: Palette, text: string): void {
  context.fillStyle = palette.rule;
  context.fillRect(0, height - 1, width, 1);
  context.font = `10px ${palette.font}`;
  context.textBaseline = "top";
  context.textAlign = "right";
  context.fillStyle = palette.quiet;
  context.fillText(text, width - 4, 2);
  context.textAlign = "left";
}

/** What was always there is solid; what was there for a part of the column only is lighter. */
function paintArea({ context, height }: Surface, columns: Columns, y: (value: number) => number, colour: string): void {
  const bottom = height - 1;
  context.fillStyle = colour;
  context.globalAlpha = 0.5;
  for (let x = 0; x < columns.width; x += 1) {
    const low = columns.min[x]!;
    if (low > 0) context.fillRect(x, y(low), 1, bottom - y(low));
  }
  context.globalAlpha = 0.25;
  for (let x = 0; x < columns.width; x += 1) {
    const high = columns.max[x]!;
    const low = columns.min[x]!;
    if (high > low) context.fillRect(x, y(high), 1, y(low) - y(high));
  }
  context.globalAlpha = 1;
}

function paintLine({ context }: Surface, columns: Columns, y: (value: number) => number, colour: string): void {
  context.fillStyle = colour;
  let before = NaN;
  for (let x = 0; x < columns.width; x += 1) {
    const high = columns.max[x]!;
    if (high !== high) {
      before = NaN;
      continue;
    }
    const top = Math.min(y(high), before === before ? y(before) : Infinity);
    const bottom = Math.max(y(columns.min[x]!), before === before ? y(before) : -Infinity);
    context.fillRect(x, top - 0.5, 1, Math.max(1.25, bottom - top + 1));
    before = columns.last[x]!;
  }
}

/** A queue that ran empty, however briefly, is marked on the baseline. */
function paintEmpty({ context, height }: Surface, columns: Columns, colour: string): void {
  context.fillStyle = colour;
  for (let x = 0; x < columns.width; x += 1) if (columns.min[x] === 0) context.fillRect(x, height - 3, 1, 3);
}

/** Samples per second, a step per bucket of the roll-up. */
export function paintThroughput(surface: Surface, palette: Palette, scale: TimeScale, rollup: RollupStore, peak: number): void {
  const top = niceCeiling(peak);
  paintScale(surface, palette, significant(top));
  paintBuckets(surface, palette, scale, rollup, top, { alpha: 0.34 });
}

const bucketsPerPixel = (rollup: RollupStore, scale: TimeScale) => Math.max(1, Math.ceil(1 / (rollup.bucketNs * scale.pxPerNs)));

/** Buckets that fall on one pixel are averaged over their time. */
function paintBuckets(surface: Surface, palette: Palette, scale: TimeScale, rollup: RollupStore, top: number, { alpha }: { alpha: number }): void {
  const { context, width, height } = surface;
  const y = toY(surface, top);
  const step = bucketsPerPixel(rollup, scale);
  const first = Math.max(0, Math.floor(scale.startNs / rollup.bucketNs / step) * step);
  context.globalAlpha = alpha;
  context.fillStyle = palette.text;
  for (let bucket = first; bucket < rollup.length; bucket += step) {
    const x = scale.toPx(bucket * rollup.bucketNs);
    if (x > width) break;
    const right = scale.toPx((bucket + step) * rollup.bucketNs);
    const value = rollup.rate("samples", bucket, bucket + step);
    if (value > 0) context.fillRect(x, y(value), Math.max(1, right - x), height - 1 - y(value));
  }
  context.globalAlpha = 1;
}

/** The whole run: throughput as height, the share of waiting in red along the bottom. */
export function paintOverview(surface: Surface, palette: Palette, rollup: RollupStore, newestNs: number, peak: number): TimeScale {
  const { context, width, height } = surface;
  const scale = new TimeScale(0, Math.max(1e9, newestNs), width);
  paintBuckets(surface, palette, scale, rollup, Math.max(1, peak), { alpha: 0.3 });
  const step = bucketsPerPixel(rollup, scale);
  context.fillStyle = palette.paint[ERROR]!;
  for (let bucket = 0; bucket < rollup.length; bucket += step) {
    const wait = rollup.sum("wait_ns", bucket, bucket + step);
    const all = wait + rollup.sum("step_ns", bucket, bucket + step);
    if (!(all > 0)) continue;
    const x = scale.toPx(bucket * rollup.bucketNs);
    const shown = Math.max(1, scale.toPx((bucket + step) * rollup.bucketNs) - x);
    const tall = (wait / all) * 5;
    context.fillRect(x, height - tall, shown, tall);
  }
  return scale;
}

/** The highest throughput at any time, in samples per second. */
export function peakThroughput(rollup: RollupStore): number {
  let peak = 0;
  for (let bucket = 0; bucket < rollup.length; bucket += 1) peak = Math.max(peak, rollup.rate("samples", bucket, bucket + 1));
  return peak;
}
