/** The picture of predictions over the number of workers, as plain numbers. */
import type { Prediction } from "../wire";

export interface Plot {
  readonly width: number;
  readonly height: number;
  /** Of the vertical axis, in samples per second. */
  readonly top: number;
}

/** A round number at or above the highest of `values`: 1, 2 or 5 times a power of ten. */
export function roundTop(values: readonly number[]): number {
  const highest = Math.max(1e-9, ...values);
  const power = 10 ** Math.floor(Math.log10(highest));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((each) => each >= highest) ?? 10 * power;
}

export const xOf = (plot: Plot, workers: number, most: number): number => (plot.width * workers) / most;
export const yOf = (plot: Plot, rate: number): number => plot.height * (1 - Math.min(rate, plot.top) / plot.top);

/** The line through the predicted rates, one for each number of workers from 0 on. */
export function line(plot: Plot, rates: readonly number[]): string {
  const most = rates.length - 1;
  return rates.map((rate, workers) => `${workers === 0 ? "M" : "L"}${round(xOf(plot, workers, most))} ${round(yOf(plot, rate))}`).join("");
}

/** The band that holds nine of ten. */
export function band(plot: Plot, curve: readonly Prediction[]): string {
  const most = curve.length - 1;
  const above = curve.map(({ high_per_s }, workers) => `${round(xOf(plot, workers, most))} ${round(yOf(plot, high_per_s))}`);
  const below = curve.map(({ low_per_s }, workers) => `${round(xOf(plot, workers, most))} ${round(yOf(plot, low_per_s))}`).reverse();
  return `M${[...above, ...below].join("L")}Z`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
