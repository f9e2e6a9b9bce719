import { expect, test } from "vitest";
import { keyed, kept, meanOf, offsetNs, wholeOf } from "../src/compare/window";
import { readPageState, writePageState } from "../src/store/page-state";

const timed = (duration_ns: number, first_batch_ns: number | null) => ({ first_batch_ns, run: { duration_ns } });
const A = timed(10e9, 2e9);
const B = timed(4e9, 1e9);

test("laid together at the start, the axis reaches to the longer run's end", () => {
  const { startNs, spanNs } = wholeOf([A, B], "start");
  expect(startNs).toBeCloseTo(-0.1e9);
  expect(startNs + spanNs).toBeCloseTo(10.1e9);
});

test("laid together at the first batch, both first batches are at 0", () => {
  expect([offsetNs(A, "first"), offsetNs(B, "first"), offsetNs(timed(1, null), "first")]).toEqual([2e9, 1e9, 0]);
  const { startNs, spanNs } = wholeOf([A, B], "first");
  expect(startNs).toBeCloseTo(-2.1e9);
  expect(startNs + spanNs).toBeCloseTo(8.1e9);
});

test("the window stays near the runs, and is never wider than both", () => {
  const whole = wholeOf([A, B], "start");
  expect(kept({ startNs: -50e9, spanNs: 100e9 }, whole).spanNs).toBe(whole.spanNs);
  const far = kept({ startNs: 90e9, spanNs: 1e9 }, whole);
  expect(far.startNs).toBeLessThan(whole.startNs + whole.spanNs);
});

test("keys move and zoom; 0 shows all", () => {
  const whole = wholeOf([A, B], "start");
  const now = { startNs: 1e9, spanNs: 2e9 };
  expect(keyed("ArrowRight", now, whole)).toEqual({ startNs: 1.4e9, spanNs: 2e9 });
  const closer = keyed("w", now, whole)!;
  expect(closer.spanNs).toBeLessThan(2e9);
  expect(closer.startNs + closer.spanNs / 2).toBeCloseTo(2e9);
  expect(keyed("0", now, whole)).toBe(whole);
  expect(keyed("q", now, whole)).toBeNull();
});

test("a curve's mean over a stretch, and nothing beyond its end", () => {
  expect(meanOf([10, 20, 30], 100, 0, 300)).toBe(20);
  expect(meanOf([10, 20, 30], 100, 100, 200)).toBe(20);
  expect(meanOf([10, 20, 30], 100, 300, 400)).toBeNaN();
  expect(meanOf([10, 20, 30], 100, -200, -100)).toBeNaN();
});

test("a comparison and a sweep are in the address", () => {
  const state = { ...readPageState(""), run: "a", with: "b", cmp_from_us: -1_200, cmp_span_us: 900_000, align: "first", sweep: "0a1f" } as const;
  expect(readPageState(writePageState(state))).toEqual(state);
  expect(readPageState("?align=middle&cmp_span_us=-4").align).toBe("start");
});
