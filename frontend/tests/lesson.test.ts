import { expect, test } from "vitest";
import { isRight, isMended } from "../src/lesson/answers";
import { extent, path, roundTicks, valueTicks } from "../src/lesson/axis";
import { readBreakpoints, runTo, toggled, writeBreakpoints, MAX_BREAKPOINTS } from "../src/lesson/breakpoints";
import { changedLines } from "../src/lesson/changes";
import type { Question, Thing } from "../src/lesson/log";
import { readParameters, withParameter, writeParameters, type Fields } from "../src/lesson/parameters";
import { pictureAt } from "../src/lesson/picture";
import { readProgress, stageOf, NOT_BEGUN } from "../src/lesson/progress";
import { pieces, withoutCode } from "../src/lesson/prose";
import { tokenLines } from "../src/lesson/python";
import { functionAround, related } from "../src/lesson/related";
import { cellsOf, placed, walkOf } from "../src/lesson/walk";
import { MAX_ROWS, rowsOf, windowOf } from "../src/lesson/window";
import { logOf } from "./log";

// --- breakpoints ---

const LINES = logOf([1, 2, 3, 2, 3, 4].map((line) => ({ line })));

test("running stops before each line that has a breakpoint, and at the end", () => {
  const stops = new Set(["0:2"]);
  expect(runTo(LINES, -1, stops, 1)).toBe(1);
  expect(runTo(LINES, 1, stops, 1)).toBe(3);
  expect(runTo(LINES, 3, stops, 1)).toBe(5);
  expect(runTo(LINES, 5, stops, -1)).toBe(3);
  expect(runTo(LINES, 1, stops, -1)).toBe(-1);
  expect(runTo(LINES, -1, new Set(), 1)).toBe(5);
});

test("a line is stopped at once, before it runs, and not again when it returns", () => {
  const log = logOf([{ line: 2 }, { line: 2, event: "return" }, { line: 3 }]);
  expect(runTo(log, 0, new Set(["0:2"]), 1)).toBe(2);
});

test("breakpoints of a link are read, bounded and written again", () => {
  expect(readBreakpoints("7,1:12, 7,x,-3,9:999999")).toEqual(["0:7", "1:12"]);
  expect(writeBreakpoints(["0:7", "1:12"])).toBe("7,1:12");
  const many = readBreakpoints(Array.from({ length: 99 }, (_, line) => line + 1).join(","));
  expect(many.length).toBe(MAX_BREAKPOINTS);
  expect(toggled(many, "0:500")).toBe(many);
  expect(toggled(["0:7"], "0:7")).toEqual([]);
});

// --- parameters ---

const FIELDS: Fields = {
  count: { type: "number", default: 10, integer: true, min: 1, max: 40 },
  word: { type: "choice", default: "abc", choices: ["abc", "python"] },
  shuffle: { type: "flag", default: false },
};

test("parameters of a link are kept within the lesson's bounds", () => {
  expect(readParameters("count:9999,word:rm -rf,shuffle:1,unknown:3", FIELDS)).toEqual({ count: 40, word: "abc", shuffle: true });
  expect(readParameters("", FIELDS)).toEqual({ count: 10, word: "abc", shuffle: false });
});

test("only what is not at its default is written, and it is read again", () => {
  const chosen = withParameter(withParameter(readParameters("", FIELDS), "count", FIELDS.count!, 3.4), "word", FIELDS.word!, "python");
  expect(writeParameters(chosen, FIELDS)).toBe("count:3,word:python");
  expect(readParameters("count:3,word:python", FIELDS)).toEqual(chosen);
});

test("no number is no change", () => {
  expect(withParameter({ count: 5 }, "count", FIELDS.count!, NaN)).toEqual({ count: 5 });
});

// --- answers ---

const question = (fields: Partial<Question>): Question => ({ measure: "m", choices: [], min: 0, max: 10, unit: "", tolerance: 0, curve: "", ...fields });
const measured = (value: number | string | boolean) => ({ ...logOf([]), measures: { m: { value, unit: "" } } });

test("an answer is right when this run has measured it", () => {
  expect(isRight(measured(4), question({}), "4")).toBe(true);
  expect(isRight(measured(4), question({}), "5")).toBe(false);
  expect(isRight(measured(100), question({ tolerance: 0.25 }), "80")).toBe(true);
  expect(isRight(measured("list"), question({ choices: ["list", "generator"] }), "list")).toBe(true);
  expect(isRight(measured(true), question({ choices: ["true", "false"] }), "true")).toBe(true);
  expect(isRight(measured(4), question({}), "")).toBe(false);
  expect(isRight(logOf([]), question({}), "4")).toBe(null);
});

test("a task is done when what it asks for was measured", () => {
  const task = { start: "a", choices: ["a"], measure: "m", wanted: true };
  expect(isMended(measured(true), task)).toBe(true);
  expect(isMended(measured(false), task)).toBe(false);
  expect(isMended(logOf([]), task)).toBe(false);
});

// --- progress ---

test("what an earlier page left is read, and nonsense is passed over", () => {
  expect(readProgress(null)).toEqual({});
  expect(readProgress("{")).toEqual({});
  expect(readProgress("[1]")).toEqual({});
  expect(readProgress('{"02-iterator":{"seen":7,"guess":3,"answered":"yes","broken":"x"},"x":null}')).toEqual({ "02-iterator": NOT_BEGUN, x: NOT_BEGUN });
});

test("a lesson is done when it was seen to its end and answered", () => {
  expect(stageOf(NOT_BEGUN)).toBe("new");
  expect(stageOf({ ...NOT_BEGUN, guess: "4" })).toBe("begun");
  expect(stageOf({ ...NOT_BEGUN, seen: 1 })).toBe("begun");
  expect(stageOf({ ...NOT_BEGUN, seen: 1, answered: true })).toBe("done");
});

// --- text ---

test("prose is cut at its marks and nothing is lost", () => {
  expect(pieces("a `x*y` *b* [[iterator|iterador]] {n}{?m}.")).toEqual([
    { kind: "text", text: "a " },
    { kind: "code", text: "x*y" },
    { kind: "text", text: " " },
    { kind: "em", text: "b" },
    { kind: "text", text: " " },
    { kind: "term", term: "iterator", text: "iterador" },
    { kind: "text", text: " " },
    { kind: "measure", name: "n", waits: false },
    { kind: "measure", name: "m", waits: true },
    { kind: "text", text: "." },
  ]);
  expect(withoutCode("`x1` {n2}{?m4} 3")).toBe("  3");
});

test("code is coloured without a character lost, over strings of several lines too", () => {
  const lines = ['def f(x):  # "no string"', '    """one', "    two", '    """', "    return f'{x}' if x != 10 else None"];
  const tokens = tokenLines(lines);
  expect(tokens.map((line) => line.map(({ text }) => text).join(""))).toEqual(lines);
  expect(tokens[2]!.map(({ kind }) => kind)).toEqual(["string"]);
  expect(tokens[0]!.at(-1)).toEqual({ text: '# "no string"', kind: "comment" });
  expect(tokens[4]!.filter(({ kind }) => kind === "word").map(({ text }) => text)).toEqual(["return", "if", "else", "None"]);
});

test("the changed lines of a variant are those that the program did not have", () => {
  expect([...changedLines(["a", "b", "c"], ["a", "x", "c", "d"])]).toEqual([1, 3]);
  expect([...changedLines(["a", "b", "c"], ["a", "c"])]).toEqual([]);
});

// --- what belongs together ---

const SOURCE = { name: "program.py", first_line: 10, lines: ["def f(x):", "    y = x", "    return y", "", "a = [1]", "f(a)"] };
const list: Thing = { id: 5, kind: "list", type: "list", text: "list[1]", parts: [{ name: "0", text: "1", thing: null }], hidden: 0, shape: null, frame: null };
const shown = pictureAt(
  logOf([
    {
      line: 11,
      frame: 2,
      stack: [1, 2],
      things: [list],
      frames: [
        { id: 1, function: "<module>", source: 0, line: 15, state: "running", locals: [{ name: "a", text: "list[1]", thing: 5 }] },
        { id: 2, function: "f", source: 0, line: 11, state: "running", locals: [{ name: "x", text: "list[1]", thing: 5 }] },
      ],
    },
  ]),
  0,
);

test("a function is the lines that are indented below its def", () => {
  expect(functionAround(SOURCE, 11)).toEqual([10, 12]);
  expect(functionAround(SOURCE, 14)).toEqual([10, 15]);
});

test("pointing at a line lights the frame that is there, the names in it and what they name", () => {
  const lit = related(shown, [SOURCE], { on: "line", source: 0, line: 11 });
  expect([...lit.frames]).toEqual([2]);
  expect([...lit.locals]).toEqual(["2.x"]);
  expect([...lit.things]).toEqual([5]);
});

test("pointing at an object lights every name of it, in frames and in code", () => {
  const lit = related(shown, [SOURCE], { on: "thing", thing: 5 });
  expect([...lit.locals]).toEqual(["1.a", "2.x"]);
  expect([...lit.lines].sort()).toEqual(["0:10", "0:11", "0:14", "0:15"]);
});

test("pointing at a name of a frame stays within its function", () => {
  expect([...related(shown, [SOURCE], { on: "local", frame: 2, name: "x" }).lines]).toEqual(["0:10", "0:11"]);
  expect(related(shown, [SOURCE], { on: "frame", frame: 99 }).lines.size).toBe(0);
});

// --- iterators ---

const iterator = (sequence: Partial<Thing["parts"][number]>, position: string): Thing => ({
  ...list,
  id: 9,
  kind: "iterator",
  type: "Enumerate",
  parts: [{ name: "sequence", text: "", thing: null, ...sequence }, { name: "index", text: position, thing: null }],
});

test("an iterator is a place in its sequence, written or on screen", () => {
  expect(walkOf(iterator({ text: "'abc'" }, "2"), new Map())).toEqual({ over: null, cells: ["a", "b", "c"], position: 2 });
  expect(walkOf(iterator({ text: "list[1]", thing: 5 }, "1"), new Map([[5, list]]))).toEqual({ over: 5, cells: ["1"], position: 1 });
  expect(walkOf(iterator({ text: "<file>" }, "1"), new Map())).toBe(null);
});

test("cells of texts and ranges", () => {
  const cells = (text: string) => cellsOf({ name: "x", text, thing: null });
  expect(cells("range(0, 6, 2)")).toEqual(["0", "2", "4"]);
  expect(cells("range(3, 0, -1)")).toEqual(["3", "2", "1"]);
  expect(cells("''")).toBe(null);
  expect(cells("42")).toBe(null);
});

test("what only one box names is drawn within it, what a frame names stands alone", () => {
  const outer: Thing = { ...list, id: 1, parts: [{ name: "0", text: "list[1]", thing: 2 }, { name: "1", text: "list[1]", thing: 3 }] };
  const things = new Map([[1, outer], [2, { ...list, id: 2 }], [3, { ...list, id: 3 }]]);
  const frames = [{ locals: [{ name: "rows", text: "", thing: 1 }, { name: "last", text: "", thing: 3 }] }];
  const { alone, within } = placed(frames, things);
  expect(alone.map(({ id }) => id)).toEqual([1, 3]);
  expect([...within]).toEqual([2]);
});

test("of a long sequence as much is shown as fits, what happens among it", () => {
  const names = Array.from({ length: 60 }, (_, index) => `'photograph-${index}.jpg'`);
  expect(windowOf(["1", "2"], -1)).toEqual([0, 2]);
  expect(windowOf(names, -1)[0]).toBe(0);
  for (const focus of [0, 17, 59, 60]) {
    const [from, to] = windowOf(names, focus);
    expect(rowsOf(names.slice(from, to))).toBeLessThanOrEqual(MAX_ROWS);
    expect(from <= Math.min(focus, 59) && Math.min(focus, 59) < to).toBe(true);
  }
});

// --- charts ---

test("an axis begins at zero and its ticks are round", () => {
  expect(extent([5, 9])).toEqual({ from: 0, to: 9 });
  expect(extent([])).toEqual({ from: 0, to: 1 });
  expect(roundTicks({ from: 0, to: 9 }, 4)).toEqual([0, 2, 4, 6, 8]);
  expect(roundTicks({ from: 0, to: 1 }, 2)).toEqual([0, 0.5, 1]);
  expect(valueTicks([4, 1, 16, 64, 4, 256], 3)).toEqual([1, 16, 256]);
  expect(valueTicks([1, 2], 9)).toEqual([1, 2]);
  expect(path([0, 1], [0, 2], { from: 0, to: 1 }, { from: 0, to: 2 }, 100, 50)).toBe("M0.0 50.0L100.0 0.0");
});
