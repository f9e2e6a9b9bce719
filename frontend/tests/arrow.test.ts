import { expect, test } from "vitest";
import { arrowOf, type Blame } from "../src/timeline/arrow";
import { layOut } from "../src/timeline/layout";
import { TimeScale } from "../src/timeline/time-scale";
import type { Lane } from "../src/wire";

const CONSUMER: Lane = { lane: 0, role: "consumer", worker: -1, rank: 0, pids: [1], label: "consumer" };
const WORKER: Lane = { lane: 1, role: "worker", worker: 0, rank: 0, pids: [2], label: "worker 0" };
const AXIS = new TimeScale(0, 100, 100);

/** The worker's lane has a row of samples. */
const lying = (lanes: readonly Lane[]) => layOut(lanes, (lane) => lane === 1, 60);

const BLAME: Blame = {
  batch: { epoch: 0, batch: 7 },
  wait: { lane: 0, startNs: 40, endNs: 60 },
  work: { lane: 1, startNs: 10, endNs: 58 },
  sample: { lane: 1, startNs: 20, endNs: 50 },
};

test("an arrow goes from the bottom of the wait to the top of the sample", () => {
  const layout = lying([CONSUMER, WORKER]);
  const [consumer, worker] = layout.rows;
  const arrow = arrowOf(BLAME, layout, AXIS)!;
  expect(arrow.boxes).toEqual([
    [40, consumer!.spanY, 20, consumer!.spanHeight],
    [10, worker!.spanY, 48, worker!.spanHeight],
    [20, worker!.partY, 30, worker!.partHeight],
  ]);
  expect(arrow.down).toBe(1);
  const [from, , , to] = arrow.curve;
  expect(from).toEqual([50, consumer!.spanY + consumer!.spanHeight]);
  expect(to).toEqual([35, worker!.partY]);
});

test("it leaves and arrives upright", () => {
  const [from, bendFrom, bendTo, to] = arrowOf(BLAME, lying([CONSUMER, WORKER]), AXIS)!.curve;
  expect(bendFrom[0]).toBe(from[0]);
  expect(bendTo[0]).toBe(to[0]);
  expect(bendFrom[1]).toBe(bendTo[1]);
});

test("where the worker lies above the consumer it points up", () => {
  const layout = lying([WORKER, CONSUMER]);
  const arrow = arrowOf(BLAME, layout, AXIS)!;
  expect(arrow.down).toBe(-1);
  expect(arrow.curve[0]).toEqual([50, layout.rows[1]!.spanY]);
  expect(arrow.curve[3]).toEqual([35, layout.rows[0]!.partY + layout.rows[0]!.partHeight]);
});

test("without a sample, or a row to show it in, it points at the worker's span", () => {
  const layout = lying([CONSUMER, WORKER]);
  expect(arrowOf({ ...BLAME, sample: null }, layout, AXIS)!.curve[3]).toEqual([34, layout.rows[1]!.spanY]);
  const plain = layOut([CONSUMER, WORKER], () => false, 60);
  expect(arrowOf(BLAME, plain, AXIS)!.boxes).toHaveLength(2);
});

test("what is partly out of view is pointed at where it can be seen", () => {
  const arrow = arrowOf({ ...BLAME, sample: null }, lying([CONSUMER, WORKER]), new TimeScale(50, 50, 100))!;
  expect(arrow.curve[0][0]).toBe(10); // the wait is seen from 50 to 60
  expect(arrow.curve[3][0]).toBe(8); // the work from 50 to 58
});

test("there is no arrow where a lane is not shown, or nothing of it is in view", () => {
  expect(arrowOf(BLAME, lying([CONSUMER]), AXIS)).toBeNull();
  expect(arrowOf(BLAME, lying([CONSUMER, WORKER]), new TimeScale(200, 100, 100))).toBeNull();
  expect(arrowOf(BLAME, lying([CONSUMER, WORKER]), new TimeScale(61, 100, 100))).toBeNull();
});

test("a span of no width is seen all the same", () => {
  const arrow = arrowOf({ ...BLAME, wait: { lane: 0, startNs: 40, endNs: 40 } }, lying([CONSUMER, WORKER]), AXIS)!;
  expect(arrow.boxes[0]![2]).toBe(3);
});
