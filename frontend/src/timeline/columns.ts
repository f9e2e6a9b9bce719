/**
 * A step series per pixel column: the lowest, highest and last value of each. The one sample that says "the queue was
 * empty" must not be averaged away, so minimum and maximum are kept, not a mean.
 */
import type { SeriesStore } from "./series-store";
import type { TimeScale } from "./time-scale";

export interface Columns {
  readonly width: number;
  readonly min: Float32Array;
  readonly max: Float32Array;
  readonly last: Float32Array;
}

/** NaN where nothing is known: before the first point, and after `untilNs`. */
export function columnsOf(series: SeriesStore, scale: TimeScale, untilNs: number): Columns {
  const width = Math.ceil(scale.widthPx);
  const columns = { width, min: new Float32Array(width), max: new Float32Array(width), last: new Float32Array(width) };
  columns.min.fill(NaN);
  columns.max.fill(NaN);
  columns.last.fill(NaN);
  let next = series.indexAt(scale.startNs);
  let value = next < 0 ? NaN : series.valueAt(next);
  next += 1;
  const end = Math.min(width, Math.ceil(scale.toPx(untilNs)));
  for (let x = 0; x < end; x += 1) {
    const until = scale.toNs(x + 1);
    let low = value;
    let high = value;
    while (next < series.size && series.timeAt(next) < until) {
      value = series.valueAt(next);
      if (!(low <= value)) low = value;
      if (!(high >= value)) high = value;
      next += 1;
    }
    columns.min[x] = low;
    columns.max[x] = high;
    columns.last[x] = value;
  }
  return columns;
}
