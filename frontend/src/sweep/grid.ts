/** What a sweep is made of: the values that a parameter can take, as they are typed, and how warm a cell's colour is. */
import { SETTINGS, getSetting, type SettingName } from "../store/settings-table";
import { MAX_CELLS, SWEPT, type RunSettings, type Sweep, type SweepCell, type SweepRequest } from "../wire";
import type { Value } from "../store/fields";

export type Swept = (typeof SWEPT)[number];

/** How a run of a sweep is called: its id, and its cell. */
const NAME = /^sweep ([0-9a-f]{4}): (.+)$/;

export function sweepOf(name: string): { readonly id: string; readonly cell: string } | null {
  const found = NAME.exec(name);
  return found ? { id: found[1]!, cell: found[2]! } : null;
}

/** Why typed values will not do; the page has words for each (`sweep.wrong.*`). */
export interface Wrong {
  readonly why: "empty" | "value" | "twice" | "cells" | "same" | "seconds";
  readonly values: Readonly<Record<string, string | number>>;
}

export const MIN_SECONDS = 1;
export const MAX_SECONDS = 60;

/** What a parameter may be, as "0 … 8" or "fork, spawn". `most`: the most workers of this host. */
export function allowed(name: Swept, most: number): string {
  const field = SETTINGS[name as SettingName];
  switch (field.type) {
    case "number":
      return `${field.min} … ${name === "num_workers" ? Math.min(field.max, most) : field.max}`;
    case "flag":
      return "true, false";
    case "choice":
      return field.choices.join(", ");
    case "text":
      return "";
  }
}

/** The values in a text such as "1, 2, 4": commas or spaces between them. */
export function parse(name: Swept, text: string, most: number): readonly Value[] | Wrong {
  const words = text.split(/[\s,;]+/).filter(Boolean);
  const range = allowed(name, most);
  if (words.length === 0) return { why: "empty", values: { name, range } };
  const found: Value[] = [];
  for (const word of words) {
    const value = one(name, word, most);
    if (value === null) return { why: "value", values: { name, value: word, range } };
    if (found.includes(value)) return { why: "twice", values: { name, value: word } };
    found.push(value);
  }
  return found;
}

function one(name: Swept, word: string, most: number): Value | null {
  const field = SETTINGS[name as SettingName];
  switch (field.type) {
    case "number": {
      const value = Number(word);
      const max = name === "num_workers" ? Math.min(field.max, most) : field.max;
      const fits = Number.isFinite(value) && value >= field.min && value <= max && (!field.integer || Number.isInteger(value));
      return fits ? value : null;
    }
    case "flag":
      return /^(true|1)$/i.test(word) ? true : /^(false|0)$/i.test(word) ? false : null;
    case "choice":
      return field.choices.includes(word) ? word : null;
    case "text":
      return null;
  }
}

const PRESETS: Readonly<Partial<Record<Swept, readonly number[]>>> = {
  batch_size: [16, 32, 64],
  num_workers: [0, 1, 2, 4],
  prefetch_factor: [1, 2, 4],
};

/** What is tried of a parameter if nothing else is typed: a few values around what it is now. */
export function preset(name: Swept, settings: RunSettings, most: number): string {
  const field = SETTINGS[name as SettingName];
  if (field.type === "flag") return "false, true";
  if (field.type === "choice") return field.choices.join(", ");
  const now = Number(getSetting(settings, name as SettingName));
  const around = PRESETS[name] ?? (now > 0 ? [now / 2, now, now * 2] : [0, 1, 10]);
  const [min, max, whole] =
    field.type === "number" ? [field.min, name === "num_workers" ? Math.min(field.max, most) : field.max, field.integer] : [0, 0, true];
  const fitting = around.map((value) => Math.min(max, Math.max(min, whole ? Math.round(value) : value)));
  return [...new Set(fitting)].join(", ");
}

export interface Draft {
  readonly x: Swept;
  readonly y: Swept;
  readonly xText: string;
  readonly yText: string;
  readonly seconds: number;
}

/** The request for what was typed, or why it is none. */
export function requestOf(draft: Draft, settings: RunSettings, most: number): SweepRequest | Wrong {
  if (draft.x === draft.y) return { why: "same", values: { name: draft.x } };
  const x = parse(draft.x, draft.xText, most);
  if ("why" in x) return x;
  const y = parse(draft.y, draft.yText, most);
  if ("why" in y) return y;
  const cells = x.length * y.length;
  if (cells < 2 || cells > MAX_CELLS) return { why: "cells", values: { across: x.length, down: y.length, cells, most: MAX_CELLS } };
  if (!(draft.seconds >= MIN_SECONDS && draft.seconds <= MAX_SECONDS)) {
    return { why: "seconds", values: { low: MIN_SECONDS, high: MAX_SECONDS } };
  }
  return { settings, x: { name: draft.x, values: x }, y: { name: draft.y, values: y }, seconds: draft.seconds };
}

/** What a run takes before its first batch, about. */
const START_S = 4;

export function estimateS(cells: number, seconds: number): number {
  return cells * (seconds + START_S);
}

/** A scale of colour never begins above this share of its end: noise of a few percent must not look like a mountain. */
const WIDEST_BEGIN = 0.8;

export interface Heat {
  readonly low: number;
  readonly high: number;
}

export function heatOf(cells: readonly SweepCell[]): Heat | null {
  const rates = cells.flatMap(({ rate }) => (rate ? [rate.samples_per_s] : []));
  if (rates.length === 0) return null;
  const high = Math.max(...rates);
  return { low: Math.min(...rates, WIDEST_BEGIN * high), high };
}

/** 0 for the slowest, 1 for the fastest. */
export function warmth({ low, high }: Heat, rate: number): number {
  return high > low ? Math.min(1, Math.max(0, (rate - low) / (high - low))) : 1;
}

export function doneOf({ cells }: Pick<Sweep, "cells">): number {
  return cells.filter(({ state }) => state === "done" || state === "failed").length;
}

/** The cell that an arrow key leads to from one at (x, y); the same at an edge. */
export function moved(key: string, x: number, y: number, columns: number, rows: number): readonly [number, number] | null {
  switch (key) {
    case "ArrowLeft":
      return [Math.max(0, x - 1), y];
    case "ArrowRight":
      return [Math.min(columns - 1, x + 1), y];
    case "ArrowUp":
      return [x, Math.max(0, y - 1)];
    case "ArrowDown":
      return [x, Math.min(rows - 1, y + 1)];
    case "Home":
      return [0, y];
    case "End":
      return [columns - 1, y];
    default:
      return null;
  }
}
