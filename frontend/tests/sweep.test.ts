import { expect, test } from "vitest";
import { PAGE_DEFAULTS, SETTINGS } from "../src/store/settings-table";
import { allowed, heatOf, moved, parse, preset, requestOf, sweepOf, warmth } from "../src/sweep/grid";
import { grouped } from "../src/sweep/groups";
import { MAX_CELLS, SWEPT, type RunSummary, type SweepCell } from "../src/wire";

const MOST = 8;
const draft = { x: "num_workers", y: "prefetch_factor", xText: "0, 1, 2", yText: "1 2", seconds: 4 } as const;

test("values are read with commas, spaces or both", () => {
  expect(parse("num_workers", "0, 1,2  4;8", MOST)).toEqual([0, 1, 2, 4, 8]);
  expect(parse("pin_memory", "true, False", MOST)).toEqual([true, false]);
  expect(parse("worker_method", "process thread", MOST)).toEqual(["process", "thread"]);
});

test.each([
  ["num_workers", "9", "value", "0 … 8"],
  ["num_workers", "1.5", "value", "0 … 8"],
  ["batch_size", "0", "value", "1 … 4096"],
  ["batch_size", "sixteen", "value", "1 … 4096"],
  ["worker_method", "fiber", "value", "process, thread"],
  ["batch_size", " , ", "empty", "1 … 4096"],
] as const)("%s does not take %j, and says what it takes", (name, text, why, range) => {
  expect(parse(name, text, MOST)).toMatchObject({ why, values: { name, range } });
});

test("a value that stands there twice is told", () => {
  expect(parse("num_workers", "1, 2, 1", MOST)).toMatchObject({ why: "twice", values: { value: "1" } });
});

test("what is offered first is allowed, for every parameter that can be swept", () => {
  for (const name of SWEPT) {
    expect(name in SETTINGS).toBe(true);
    expect(allowed(name, MOST)).not.toBe("");
    expect([name, parse(name, preset(name, PAGE_DEFAULTS, MOST), MOST)]).toEqual([name, expect.any(Array)]);
  }
});

test("a draft becomes a request", () => {
  expect(requestOf(draft, PAGE_DEFAULTS, MOST)).toEqual({
    settings: PAGE_DEFAULTS,
    x: { name: "num_workers", values: [0, 1, 2] },
    y: { name: "prefetch_factor", values: [1, 2] },
    seconds: 4,
  });
});

test("too many cells, one cell, one parameter and no seconds are refused with words", () => {
  const wrong = (change: Partial<typeof draft> | object) => requestOf({ ...draft, ...change }, PAGE_DEFAULTS, MOST);
  expect(wrong({ yText: Array.from({ length: 13 }, (_, at) => at + 1).join() })).toMatchObject({ why: "cells", values: { cells: 39, most: MAX_CELLS } });
  expect(wrong({ xText: "1", yText: "1" })).toMatchObject({ why: "cells" });
  expect(wrong({ y: "num_workers" })).toMatchObject({ why: "same" });
  expect(wrong({ seconds: NaN })).toMatchObject({ why: "seconds" });
  expect(wrong({ seconds: 61 })).toMatchObject({ why: "seconds" });
});

const cell = (samples_per_s: number | null): SweepCell => ({
  x: 0,
  y: 0,
  state: samples_per_s === null ? "waiting" : "done",
  run: "",
  rate:
    samples_per_s === null
      ? null
      : { samples_per_s, low: null, high: null, batches_per_s: 9, batches: 9, start_ns: 0, end_ns: 1 },
  reason: "",
  disturbed: false,
  ties_best: false,
});

test("a few percent of noise do not fill the scale of colours", () => {
  const heat = heatOf([cell(100), cell(98), cell(null)])!;
  expect(warmth(heat, 100)).toBe(1);
  expect(warmth(heat, 98)).toBeCloseTo(0.9);
  const wide = heatOf([cell(100), cell(20)])!;
  expect([warmth(wide, 20), warmth(wide, 60)]).toEqual([0, 0.5]);
  expect(heatOf([cell(null)])).toBeNull();
});

test("arrow keys go from cell to cell and stop at the edges", () => {
  expect(moved("ArrowRight", 0, 0, 3, 2)).toEqual([1, 0]);
  expect(moved("ArrowRight", 2, 0, 3, 2)).toEqual([2, 0]);
  expect(moved("ArrowDown", 1, 0, 3, 2)).toEqual([1, 1]);
  expect(moved("ArrowUp", 1, 0, 3, 2)).toEqual([1, 0]);
  expect(moved("End", 0, 1, 3, 2)).toEqual([2, 1]);
  expect(moved("x", 0, 1, 3, 2)).toBeNull();
});

test("the runs of a sweep stand together in the list, at the place of the newest", () => {
  expect(sweepOf("sweep 0a1f: num_workers=1, batch_size=32")).toEqual({ id: "0a1f", cell: "num_workers=1, batch_size=32" });
  expect(sweepOf("my sweep 0a1f: x")).toBeNull();
  const run = (id: string, name: string) => ({ id, name }) as RunSummary;
  const list = [run("1", "sweep 0a1f: a=1, b=1"), run("2", "mine"), run("3", "sweep 0a1f: a=2, b=1"), run("4", "sweep ffff: a=1, b=1")];
  expect(grouped(list).map(({ sweep, runs }) => [sweep, runs.map(({ id }) => id)])).toEqual([
    ["0a1f", ["1", "3"]],
    ["", ["2"]],
    ["ffff", ["4"]],
  ]);
});
