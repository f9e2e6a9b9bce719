import { expect, test } from "vitest";
import { DrawList, build } from "../src/timeline/draw-list";
import { layOut } from "../src/timeline/layout";
import { SpanStore } from "../src/timeline/span-store";
import { TimeScale } from "../src/timeline/time-scale";
import { Kind, type Lane } from "../src/wire";
import { columns, kindTable, type Row } from "./spans";

const LANE: Lane = { lane: 0, role: "consumer", worker: -1, rank: 0, pids: [1], label: "consumer" };

/** What is drawn of these spans in a window of 0..100 ns that is 100 px wide. */
function drawn(rows: readonly Row[], hasParts = false): ReturnType<DrawList["toJSON"]> {
  const store = new SpanStore(kindTable(), 4096);
  store.push(columns(rows), 0, 1);
  const list = new DrawList();
  build(list, store, layOut([LANE], () => hasParts, 30), new TimeScale(0, 100, 100), 1);
  return JSON.parse(JSON.stringify(list));
}

test("few spans become rectangles, grouped by paint, with a pixel of air", () => {
  expect(
    drawn([
      { kind: Kind.WAIT_BATCH, start: 0, end: 10 },
      { kind: Kind.STEP, start: 10, end: 40 },
      { kind: Kind.WAIT_BATCH, start: 40, end: 42 },
    ]),
  ).toEqual({
    solid: { waiting: [[0, 4, 9, 22], [40, 4, 2, 22]], step: [[10, 4, 29, 22]] },
    tint: {},
    raster: [],
    labels: [[10, 30]],
    spans: 3,
  });
});

test("a span outside of the window is cut at its edge", () => {
  expect(drawn([{ kind: Kind.STEP, start: 90, end: 5000 }])).toMatchObject({ solid: { step: [[90, 4, 11, 22]] } });
});

test("samples are a tint below the stages", () => {
  const picture = drawn(
    [
      { kind: Kind.STAGE, start: 0, end: 10 },
      { kind: Kind.ITEM, start: 0, end: 20 },
      { kind: Kind.FETCH, start: 0, end: 20 },
    ],
    true,
  );
  expect(picture).toMatchObject({ solid: { transform: [[0, 18, 9, 9]], read: [[0, 3, 19, 14]] }, tint: { read: [[0, 18, 19, 9]] } });
});

/** 200 spans in 100 px: each pixel has one wait and one step, of these lengths in tenths of a pixel. */
function dense(waitTenths: number): Row[] {
  return Array.from({ length: 100 }, (_, pixel) => [
    { kind: Kind.WAIT_BATCH, start: pixel * 10, end: pixel * 10 + waitTenths },
    { kind: Kind.STEP, start: pixel * 10 + waitTenths, end: pixel * 10 + 10 },
  ]).flat();
}

function denseRow(waitTenths: number): string {
  const store = new SpanStore(kindTable(), 4096);
  store.push(columns(dense(waitTenths)), 0, 1);
  const list = new DrawList();
  build(list, store, layOut([LANE], () => false, 30), new TimeScale(0, 1000, 100), 1);
  const { raster, solid } = JSON.parse(JSON.stringify(list)) as { raster: { pixels: string }[]; solid: object };
  expect(solid).toEqual({});
  return raster[0]!.pixels;
}

test("many spans become a raster of what covers most of each pixel", () => {
  expect(denseRow(8)).toBe("w".repeat(100));
  expect(denseRow(2)).toBe("s".repeat(100));
});

test("waiting wins ties, so that starvation never vanishes", () => {
  expect(denseRow(5)).toBe("w".repeat(100));
});

test("an error is drawn however dense its neighbours are", () => {
  const store = new SpanStore(kindTable(), 4096);
  store.push(columns([...dense(5), { kind: Kind.ERROR, start: 995, end: 995 }]), 0, 1);
  const list = new DrawList();
  build(list, store, layOut([LANE], () => false, 30), new TimeScale(0, 1000, 100), 1);
  expect(list.alarms.count).toBe(1);
  expect(list.alarms.values[0]).toBeCloseTo(99.5);
});
