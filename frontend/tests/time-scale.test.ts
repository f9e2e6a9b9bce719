import { expect, test } from "vitest";
import { MIN_SPAN_NS, TimeScale, clamped, ticks, zoomed } from "../src/timeline/time-scale";

test("time and pixels are each other's inverse, also a day into a run", () => {
  const scale = new TimeScale(86_400e9, 50_000, 1600);
  expect(scale.toPx(86_400e9 + 25_000)).toBe(800);
  expect(scale.toNs(scale.toPx(86_400e9 + 12_345))).toBeCloseTo(86_400e9 + 12_345, 0);
});

test("zooming keeps the anchor where it is", () => {
  const [start, span] = zoomed(1e9, 4e9, 0.5, 2e9);
  expect(span).toBe(2e9);
  expect((2e9 - start) / span).toBeCloseTo((2e9 - 1e9) / 4e9);
});

test("there is a closest zoom", () => {
  expect(zoomed(0, MIN_SPAN_NS, 0.1, 0)[1]).toBe(MIN_SPAN_NS);
});

test("a window is kept on the run", () => {
  expect(clamped(-100e9, 2e9, 10e9)[0]).toBe(-1e9);
  expect(clamped(100e9, 2e9, 10e9)[0]).toBe(9e9);
});

test.each([
  [4e9, 5e8],
  [10e9, 2e9],
  [1e6, 2e5],
  [600e9, 120e9],
])("a window of %d ns has a labelled tick each %d ns", (spanNs, stepNs) => {
  const ruled = ticks(new TimeScale(0, spanNs, 800), 96);
  expect(ruled.stepNs).toBe(stepNs);
  expect(ruled.ticks.filter(({ major }) => major).map(({ ns }) => ns % stepNs)).toEqual(expect.arrayContaining([0]));
});

test("no tick stands before the run began", () => {
  expect(ticks(new TimeScale(-5e9, 10e9, 800), 96).ticks[0]!.ns).toBe(0);
});
