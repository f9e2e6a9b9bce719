import { expect, test } from "vitest";
import { MAX_ATTEMPTS, waitBefore } from "../src/socket/backoff";
import { csv } from "../src/store/csv";
import { columnsOf } from "../src/timeline/columns";
import { Gaps } from "../src/timeline/gaps";
import { RollupStore } from "../src/timeline/rollup-store";
import { SeriesStore } from "../src/timeline/series-store";
import { channels, luminance } from "../src/timeline/palette";
import { niceCeiling } from "../src/timeline/nice";
import { TimeScale } from "../src/timeline/time-scale";

function series(points: readonly (readonly [time: number, value: number])[], capacity = 16): SeriesStore {
  const store = new SeriesStore(capacity);
  store.push(Float32Array.from(points, ([, value]) => value), Uint32Array.from(points, ([time]) => time), 0, 1);
  return store;
}

test("a series has the value of the newest step at or before a time", () => {
  const store = series([[10, 1], [20, 2]]);
  expect([store.at(5), store.at(10), store.at(19), store.at(500)]).toEqual([null, 1, 1, 2]);
});

test("a full series forgets its oldest steps and keeps its order", () => {
  const store = series([[1, 1], [2, 2], [3, 3], [4, 4], [5, 5]], 3);
  expect(store.size).toBe(3);
  expect([store.at(2), store.at(3), store.at(9)]).toEqual([null, 3, 5]);
});

test("steps that are sent again after a reconnection are skipped", () => {
  const store = series([[1, 1], [5, 2]]);
  store.push(Float32Array.of(1, 3), Uint32Array.of(1, 9), 0, 1);
  expect(store.size).toBe(3);
  expect(store.at(9)).toBe(3);
});

test("one moment of an empty queue stays visible in its pixel", () => {
  const store = series([[0, 4], [55, 0], [56, 4]]);
  const { min, max, last } = columnsOf(store, new TimeScale(0, 100, 10), 100);
  expect([min[5], max[5], last[5]]).toEqual([0, 4, 4]);
  expect([min[6], max[6]]).toEqual([4, 4]);
});

test("nothing is drawn before the first step, nor after what is known", () => {
  const { max } = columnsOf(series([[30, 4]]), new TimeScale(0, 100, 10), 60);
  expect([max[2], max[3], max[5], max[6]]).toEqual([NaN, 4, 4, NaN]);
});

function rows(bucket: number, samples: number) {
  const one = (value: number) => Float32Array.of(value);
  return { bucket: Uint32Array.of(bucket), batches: one(1), samples: one(samples), bytes: one(NaN), wait_ns: one(0), step_ns: one(0), lost: one(0) };
}

test("a later row of a bucket replaces the earlier one", () => {
  const store = new RollupStore(8);
  store.push(rows(2, 10), 1e8);
  store.push(rows(2, 30), 1e8);
  expect(store.get("samples", 2)).toBe(30);
  expect(store.length).toBe(3);
  expect(store.sum("samples", 0, 3)).toBe(30);
  expect(store.get("bytes", 2)).toBeNaN();
});

test("wider buckets begin the roll-up anew", () => {
  const store = new RollupStore(8);
  store.push(rows(7, 10), 1e8);
  store.push(rows(0, 5), 2e8);
  expect([store.length, store.bucketNs, store.get("samples", 7)]).toEqual([1, 2e8, NaN]);
});

test("gaps are counted, and merged beyond their bound", () => {
  const gaps = new Gaps();
  for (let index = 0; index < 300; index += 1) gaps.add(index, index + 1, 2);
  expect(gaps.total).toBe(600);
  expect(gaps.all.length).toBe(256);
  expect(gaps.all.reduce((sum, { spans }) => sum + spans, 0)).toBe(600);
});

test("waits grow, stay bounded, and end", () => {
  const waits = Array.from({ length: MAX_ATTEMPTS }, (_, index) => waitBefore(index + 1, 0.5)!);
  expect(waits).toEqual([...waits].sort((a, b) => a - b));
  expect(Math.max(...waits)).toBeLessThanOrEqual(15_000);
  expect(waitBefore(1, 0)).toBeGreaterThan(0);
  expect(waitBefore(MAX_ATTEMPTS + 1, 0.5)).toBeNull();
});

test("the scale of a strip ends at a round number", () => {
  expect([0, 1, 3, 7, 99, 450].map(niceCeiling)).toEqual([1, 1, 4, 8, 100, 500]);
});

test("a cell that looks like a formula is text", () => {
  expect(csv(["a", "b"], [["=1+1", 2], ['say "x"', -1]])).toBe("a,b\r\n'=1+1,2\r\n\"say \"\"x\"\"\",-1\r\n");
});

test("a colour is read in its long and its short form", () => {
  expect(channels("#0072b2")).toEqual([0, 0x72, 0xb2]);
  expect(channels("#ddd")).toEqual(channels("#dddddd"));
  expect([luminance("#fff"), luminance("#000")]).toEqual([1, 0]);
});
