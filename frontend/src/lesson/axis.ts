/** The arithmetic of a small chart: where values lie, round ticks, and the path of a curve. */
export interface Extent {
  readonly from: number;
  readonly to: number;
}

/** From 0, or below it, to a little above the largest value: a chart that does not begin at 0 makes small things large. */
export function extent(values: readonly number[]): Extent {
  let from = 0;
  let to = 0;
  for (const value of values) {
    if (value < from) from = value;
    if (value > to) to = value;
  }
  return { from, to: to === from ? from + 1 : to };
}

/** About `count` round values within the extent: 1, 2 or 5 times a power of ten apart. */
export function roundTicks({ from, to }: Extent, count: number): number[] {
  const rough = (to - from) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const digit = rough / power;
  const step = power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
  const ticks: number[] = [];
  for (let at = Math.ceil(from / step - 1e-9); at * step <= to * (1 + 1e-9); at += 1) ticks.push(at * step + 0); // no -0
  return ticks;
}

/** At most `count` (2 or more) of these values, first and last among them: a logarithmic axis has no round steps to mark. */
export function valueTicks(values: readonly number[], count: number): number[] {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  const last = Math.min(count, sorted.length) - 1;
  return Array.from({ length: last + 1 }, (_, index) => sorted[last > 0 ? Math.round((index * (sorted.length - 1)) / last) : 0]!);
}

export function position(value: number, { from, to }: Extent, length: number): number {
  return ((value - from) / (to - from)) * length;
}

/** An SVG path through the points, y upwards. */
export function path(x: readonly number[], y: readonly number[], across: Extent, up: Extent, width: number, height: number): string {
  return x
    .map((value, index) => {
      const left = position(value, across, width).toFixed(1);
      const top = (height - position(y[index]!, up, height)).toFixed(1);
      return `${index === 0 ? "M" : "L"}${left} ${top}`;
    })
    .join("");
}
