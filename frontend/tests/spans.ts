/** Spans for tests, and a kind table as the server sends it. */
import { KindTable } from "../src/timeline/paints";
import { Kind, NOT_MEASURED, type KindInfo, type SpanColumns } from "../src/wire";

export interface Row {
  readonly kind: number;
  readonly start: number;
  readonly end: number;
  readonly lane?: number;
  readonly batch?: number;
  readonly epoch?: number;
  readonly value?: number;
  readonly flags?: number;
}

export function columns(rows: readonly Row[]): SpanColumns {
  return {
    sample: Float64Array.from(rows, () => NOT_MEASURED),
    value: Float64Array.from(rows, ({ value }) => value ?? NOT_MEASURED),
    start: Uint32Array.from(rows, ({ start }) => start),
    duration: Uint32Array.from(rows, ({ start, end }) => end - start),
    batch: Uint32Array.from(rows, ({ batch }) => batch ?? 0),
    epoch: Uint16Array.from(rows, ({ epoch }) => epoch ?? 0),
    lane: Uint8Array.from(rows, ({ lane }) => lane ?? 0),
    kind: Uint8Array.from(rows, ({ kind }) => kind),
    flags: Uint8Array.from(rows, ({ flags }) => flags ?? 0),
  };
}

const row = (kind: number, name: string, nature: string, paint: string): KindInfo => ({
  kind,
  name,
  role: "any",
  nature,
  value: "",
  paint,
  meaning: "",
});

export function kindTable(): KindTable {
  const table = new KindTable();
  table.learn([
    row(Kind.FETCH, "FETCH", "work", "read"),
    row(Kind.COLLATE, "COLLATE", "work", "collate"),
    row(Kind.ITEM, "ITEM", "part", "read"),
    row(Kind.STAGE, "STAGE", "part", "stage"),
    row(Kind.HOLD, "HOLD", "part", "blocked"),
    row(Kind.WAIT_BATCH, "WAIT_BATCH", "wait", "waiting"),
    row(Kind.STEP, "STEP", "work", "step"),
    row(Kind.WAIT_TASK, "WAIT_TASK", "wait", "blocked"),
    row(Kind.SEND, "SEND", "work", "transfer"),
    row(Kind.STOP, "STOP", "mark", "mark"),
    row(Kind.ERROR, "ERROR", "mark", "error"),
  ]);
  return table;
}
