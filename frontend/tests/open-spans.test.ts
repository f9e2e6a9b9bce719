import { expect, test } from "vitest";
import { DrawList } from "../src/timeline/draw-list";
import { layOut } from "../src/timeline/layout";
import { addOpen, openKind } from "../src/timeline/open-spans";
import { SpanStore } from "../src/timeline/span-store";
import { TimeScale } from "../src/timeline/time-scale";
import { Kind, NO_BATCH, type Lane } from "../src/wire";
import { columns, kindTable, type Row } from "./spans";

const LOOP: Lane = { lane: 0, role: "consumer", worker: -1, rank: 0, pids: [1], label: "consumer" };
const WORKER: Lane = { lane: 0, role: "worker", worker: 1, rank: 0, pids: [2], label: "worker 1" };

function storeOf(rows: readonly Row[]): SpanStore {
  const store = new SpanStore(kindTable(), 4096);
  store.push(columns(rows), 0, 1);
  return store;
}

const after = (lane: Lane, ...rows: readonly Row[]) => openKind(storeOf(rows), lane);

test("the newest span tells what goes on since", () => {
  expect(after(LOOP, { kind: Kind.STEP, start: 0, end: 5 })).toBe(Kind.WAIT_BATCH);
  expect(after(LOOP, { kind: Kind.STEP, start: 0, end: 5 }, { kind: Kind.WAIT_BATCH, start: 5, end: 9 })).toBe(Kind.STEP);
  expect(after(WORKER, { kind: Kind.WAIT_TASK, start: 0, end: 5 })).toBe(Kind.FETCH);
  expect(after(WORKER, { kind: Kind.FETCH, start: 0, end: 5 })).toBe(Kind.COLLATE);
  expect(after(WORKER, { kind: Kind.COLLATE, start: 0, end: 5 })).toBe(Kind.SEND);
  expect(after(WORKER, { kind: Kind.SEND, start: 0, end: 5 })).toBe(Kind.WAIT_TASK);
});

test("where that is not known nothing goes on", () => {
  expect(after(LOOP)).toBeNull();
  expect(after(LOOP, { kind: Kind.WAIT_BATCH, start: 0, end: 5, batch: NO_BATCH })).toBeNull();
  expect(after(WORKER, { kind: Kind.WAIT_TASK, start: 0, end: 5, batch: NO_BATCH })).toBeNull();
  expect(after(WORKER, { kind: Kind.STEP, start: 0, end: 5 })).toBeNull();
  expect(after({ ...WORKER, worker: -1 }, { kind: Kind.COLLATE, start: 0, end: 5 })).toBeNull();
  expect(after({ ...WORKER, role: "pin" }, { kind: Kind.SEND, start: 0, end: 5 })).toBeNull();
});

test("a worker that has ended does nothing, and one that was started anew does", () => {
  const ended = [
    { kind: Kind.SEND, start: 0, end: 5 },
    { kind: Kind.STOP, start: 6, end: 6 },
  ];
  expect(after(WORKER, ...ended)).toBeNull();
  expect(after(WORKER, ...ended, { kind: Kind.WAIT_TASK, start: 7, end: 9 })).toBe(Kind.FETCH);
});

test("it is drawn from the end of the newest span up to now", () => {
  const drawn = (lane: Lane, nowNs: number, ...rows: readonly Row[]) => {
    const list = new DrawList();
    addOpen(list, storeOf(rows), layOut([lane], () => false, 30), new TimeScale(0, 100, 100), kindTable(), nowNs);
    return (JSON.parse(JSON.stringify(list)) as { solid: unknown }).solid;
  };
  expect(drawn(LOOP, 90, { kind: Kind.STEP, start: 10, end: 40 })).toEqual({ waiting: [[40, 4, 50, 22]] });
  expect(drawn(WORKER, 500, { kind: Kind.WAIT_TASK, start: 10, end: 40 })).toEqual({ read: [[40, 4, 62, 22]] });
  expect(drawn(LOOP, 40, { kind: Kind.STEP, start: 10, end: 40 })).toEqual({});
  expect(drawn(LOOP, 900, { kind: Kind.STEP, start: 100, end: 300 })).toEqual({});
});
