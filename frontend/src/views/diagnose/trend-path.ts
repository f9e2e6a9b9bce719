/** The line of a small chart: time to the right, the lowest value at the bottom; a value that never changed in the middle. */
import type { Point } from "../../wire";

const MARGIN_PX = 2;

export function trendPath(points: readonly Point[], width: number, height: number): string {
  const times = points.map(({ at_ns }) => at_ns);
  const values = points.map(({ value }) => value);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (ns: number) => ((ns - first) / (last - first || 1)) * width;
  const y = (value: number) => (high === low ? height / 2 : MARGIN_PX + (1 - (value - low) / (high - low)) * (height - 2 * MARGIN_PX));
  return points.map(({ at_ns, value }, index) => `${index === 0 ? "M" : "L"}${x(at_ns).toFixed(1)} ${y(value).toFixed(1)}`).join("");
}
