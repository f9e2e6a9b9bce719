import { expect, test } from "vitest";
import { KindTable, Level } from "../src/timeline/paints";
import { SpanStore } from "../src/timeline/span-store";
import { columns, kindTable, type Row } from "./spans";
import { Kind } from "../src/wire";

function storeOf(rows: readonly Row[], capacity = 64): SpanStore {
  const store = new SpanStore(kindTable(), capacity);
  store.push(columns(rows), 0, 1);
  return store;
}

const slots = (store: SpanStore, lane: number, level: number, from: number, to: number) => {
  const range = store.range(lane, level, from, to);
  return [...range.slots.subarray(range.from, range.to)];
};

test("a window finds the spans that overlap it", () => {
  const store = storeOf([
    { kind: Kind.STEP, start: 0, end: 10 },
    { kind: Kind.STEP, start: 10, end: 20 },
    { kind: Kind.STEP, start: 20, end: 30 },
    { kind: Kind.STEP, start: 90, end: 95 },
  ]);
  expect(slots(store, 0, Level.SPAN, 12, 18)).toContain(1);
  expect(slots(store, 0, Level.SPAN, 12, 18)).not.toContain(0);
  expect(slots(store, 0, Level.SPAN, 40, 60)).not.toContain(2);
});

test("a long span around many short ones is found though it ends after the window", () => {
  const store = storeOf([
    { kind: Kind.HOLD, start: 40, end: 41 },
    { kind: Kind.HOLD, start: 50, end: 51 },
    { kind: Kind.HOLD, start: 0, end: 100 },
  ]);
  expect(slots(store, 0, Level.PART, 10, 20)).toContain(2);
});

test("spans that arrive out of order are put in the order of their ends", () => {
  const store = storeOf([
    { kind: Kind.STEP, start: 0, end: 30 },
    { kind: Kind.STEP, start: 0, end: 10 },
    { kind: Kind.STEP, start: 0, end: 20 },
  ]);
  expect(slots(store, 0, Level.SPAN, 0, 100)).toEqual([1, 2, 0]);
});

test("at its bound the oldest span makes room, and the store says from when on it is complete", () => {
  const rows = Array.from({ length: 10 }, (_, index) => ({ kind: Kind.STEP, start: index * 10, end: index * 10 + 5 }));
  const store = storeOf(rows, 4);
  expect(store.size).toBe(4);
  expect(store.received).toBe(10);
  expect(store.heldFromNs).toBe(55);
  expect(slots(store, 0, Level.SPAN, 0, 1000).map((slot) => store.start[slot])).toEqual([60, 70, 80, 90]);
});

test("an evicted span is found in no lane, however the lanes took turns", () => {
  const rows = Array.from({ length: 1000 }, (_, index) => ({
    kind: index % 3 ? Kind.STEP : Kind.ITEM,
    lane: index % 4,
    start: index,
    end: index + 1 + (index % 7),
  }));
  const store = storeOf(rows, 64);
  const found = [0, 1, 2, 3].flatMap((lane) => [...slots(store, lane, Level.SPAN, 0, 2000), ...slots(store, lane, Level.PART, 0, 2000)]);
  expect(found.length).toBe(64);
  expect(new Set(found).size).toBe(64);
});

test("the span at a time is the nearest within the slack", () => {
  const store = storeOf([
    { kind: Kind.STEP, start: 0, end: 10 },
    { kind: Kind.STEP, start: 20, end: 30 },
  ]);
  expect(store.at(0, Level.SPAN, 25, 0)).toBe(1);
  expect(store.at(0, Level.SPAN, 12, 5)).toBe(0);
  expect(store.at(0, Level.SPAN, 15, 2)).toBe(-1);
});

test("neighbours stay in their lane and level", () => {
  const store = storeOf([
    { kind: Kind.STEP, start: 0, end: 10 },
    { kind: Kind.STEP, lane: 1, start: 10, end: 12 },
    { kind: Kind.STEP, start: 20, end: 30 },
  ]);
  expect(store.neighbour(0, 1)).toBe(2);
  expect(store.neighbour(2, 1)).toBe(-1);
  expect(store.neighbour(2, -1)).toBe(0);
});

test("the journey of a batch is its spans of that epoch, by their start", () => {
  const store = storeOf([
    { kind: Kind.STEP, batch: 3, epoch: 1, start: 50, end: 60 },
    { kind: Kind.FETCH, batch: 3, epoch: 1, start: 0, end: 40 },
    { kind: Kind.FETCH, batch: 3, epoch: 2, start: 5, end: 45 },
  ]);
  expect(store.ofBatch(1, 3)).toEqual([1, 0]);
});

test("a stage is painted anew when its name becomes known", () => {
  const kinds = kindTable();
  const store = new SpanStore(kinds, 8);
  store.push(columns([{ kind: Kind.STAGE, value: 77, start: 0, end: 1 }]), 0, 1);
  const before = store.paint[0];
  expect(kinds.learnStages([{ id: 77, name: "decode" }])).toBe(true);
  store.repaint();
  expect(store.paint[0]).not.toBe(before);
  expect(kinds.learnStages([{ id: 77, name: "decode" }])).toBe(false);
});

test("units and bases become run time", () => {
  const store = new SpanStore(new KindTable(), 8);
  store.push(columns([{ kind: Kind.STEP, start: 2, end: 5 }]), 1000, 10);
  expect([store.start[0], store.end[0], store.newestNs]).toEqual([1020, 1050, 1050]);
});
