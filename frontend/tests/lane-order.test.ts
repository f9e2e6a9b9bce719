import { expect, test } from "vitest";
import { alongTheWay, byWaiting } from "../src/timeline/lane-order";
import type { Lane } from "../src/wire";

const lane = (number: number, role: Lane["role"], worker = -1): Lane => ({ lane: number, role, worker, rank: 0, pids: [1], label: role });
const LANES = [lane(0, "consumer"), lane(1, "worker", 1), lane(2, "main"), lane(3, "worker", 0)];
const numbers = (lanes: readonly Lane[]) => lanes.map(({ lane: number }) => number);

const shares = (byLane: Record<number, number>) => (number: number) => byLane[number] ?? NaN;

test("along the way a batch goes from main to the workers to the consumer", () => {
  expect(numbers(alongTheWay(LANES))).toEqual([2, 3, 1, 0]);
});

test("by waiting the consumer is on top, and a lane that never waits comes last", () => {
  expect(numbers(byWaiting(LANES, shares({ 0: 0.1, 1: 0.9, 3: 0.4 }), []))).toEqual([0, 1, 3, 2]);
});

test("a small difference moves no lane of a picture that stands", () => {
  const before = [0, 1, 3, 2];
  expect(numbers(byWaiting(LANES, shares({ 1: 0.4, 3: 0.44, 2: 0 }), before))).toEqual(before);
});

test("a clear difference does", () => {
  expect(numbers(byWaiting(LANES, shares({ 1: 0.4, 3: 0.5, 2: 0 }), [0, 1, 3, 2]))).toEqual([0, 3, 1, 2]);
});

test("a lane that comes later takes its place among the others", () => {
  const later = [...LANES, lane(4, "worker", 2)];
  expect(numbers(byWaiting(later, shares({ 1: 0.8, 2: 0, 3: 0.2, 4: 0.5 }), [0, 1, 3, 2]))).toEqual([0, 1, 4, 3, 2]);
});
