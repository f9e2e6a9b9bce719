/** Run time (ns) <-> pixels. Times stay float64 until the window's start is subtracted: float32 could not hold them. */
export class TimeScale {
  readonly pxPerNs: number;

  constructor(
    readonly startNs: number,
    readonly spanNs: number,
    readonly widthPx: number,
  ) {
    this.pxPerNs = widthPx / spanNs;
  }

  get endNs(): number {
    return this.startNs + this.spanNs;
  }

  toPx(ns: number): number {
    return (ns - this.startNs) * this.pxPerNs;
  }

  toNs(px: number): number {
    return this.startNs + px / this.pxPerNs;
  }
}

/** The shortest and longest stretch of time that the timeline shows. */
export const MIN_SPAN_NS = 20_000;
export const MAX_SPAN_NS = 48 * 3_600e9;

/** A window zoomed by `factor` (below 1: closer) so that the time `anchorNs` stays where it is. */
export function zoomed(startNs: number, spanNs: number, factor: number, anchorNs: number): [startNs: number, spanNs: number] {
  const span = Math.min(MAX_SPAN_NS, Math.max(MIN_SPAN_NS, spanNs * factor));
  const share = (anchorNs - startNs) / spanNs;
  return [anchorNs - share * span, span];
}

/** A window kept on the run: it may look past either end by at most half of itself. */
export function clamped(startNs: number, spanNs: number, newestNs: number): [startNs: number, spanNs: number] {
  const span = Math.min(MAX_SPAN_NS, Math.max(MIN_SPAN_NS, spanNs));
  const earliest = -span / 2;
  const latest = Math.max(0, newestNs - span / 2);
  return [Math.min(latest, Math.max(earliest, startNs)), span];
}

export interface Tick {
  readonly ns: number;
  readonly major: boolean;
}

const MINOR_PER_MAJOR: Readonly<Record<number, number>> = { 1: 5, 2: 4, 5: 5 };
const SECONDS_STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18_000, 36_000];

/** The distance between two labelled ticks, in ns: 1, 2 or 5 times a power of ten; whole minutes above a minute. */
export function majorStep(scale: TimeScale, minLabelPx: number): number {
  const wanted = minLabelPx / scale.pxPerNs;
  if (wanted > 10e9) {
    const seconds = SECONDS_STEPS.find((step) => step * 1e9 >= wanted);
    return (seconds ?? 86_400) * 1e9;
  }
  const power = 10 ** Math.floor(Math.log10(wanted));
  const digit = wanted / power;
  return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

/** The ticks of the visible window; never before time 0. */
export function ticks(scale: TimeScale, minLabelPx: number): { readonly stepNs: number; readonly ticks: Tick[] } {
  const stepNs = majorStep(scale, minLabelPx);
  const digit = Math.round(stepNs / 10 ** Math.floor(Math.log10(stepNs) + 1e-9));
  const minorNs = stepNs / (MINOR_PER_MAJOR[digit] ?? 5);
  const found: Tick[] = [];
  const first = Math.max(0, Math.ceil(scale.startNs / minorNs - 1e-9));
  const last = Math.floor(scale.endNs / minorNs + 1e-9);
  const perMajor = Math.round(stepNs / minorNs);
  for (let index = first; index <= last; index += 1) {
    found.push({ ns: index * minorNs, major: index % perMajor === 0 });
  }
  return { stepNs, ticks: found };
}
