/** Logs for tests: small ones made here, and random ones that keep the rules of a recorder. */
import type { Frame, Log, Step, Thing } from "../src/lesson/log";

export const NO_STEP: Step = {
  at_ns: 0,
  event: "line",
  source: 0,
  line: 1,
  frame: 1,
  value: null,
  stack: [],
  frames: [],
  things: [],
  gone: [],
  output: "",
  memory_bytes: null,
  span: null,
};

export function logOf(steps: readonly Partial<Step>[], lines: readonly string[] = ["pass"]): Log {
  return {
    lesson: "02-iterator",
    variant: "from-one",
    language: "en",
    parameters: {},
    host: { python: "3.11", torch: null, system: "Linux", cores: 2, memory_bytes: 1, accelerator: null },
    sources: [{ name: "program.py", first_line: 1, lines }],
    steps: steps.map((step) => ({ ...NO_STEP, ...step })),
    measures: {},
    curves: [],
    lanes: [],
    spans: [],
    fault: null,
    cut: "",
  };
}

/** Numbers that look random and are the same in each run (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A log in which frames come, wait and go, things change and vanish, and something is printed. */
export function randomLog(seed: number, count: number): Log {
  const next = random(seed);
  const below = (bound: number) => Math.floor(next() * bound);
  const frames = new Map<number, Frame>();
  const things = new Set<number>();
  const steps: Step[] = [];
  for (let at = 0; at < count; at += 1) {
    const changed: Frame[] = [];
    for (let times = below(3); times > 0; times -= 1) {
      const id = 1 + below(6);
      const state = (["running", "suspended", "finished"] as const)[below(3)]!;
      changed.push({ id, function: `f${id}`, source: 0, line: 1 + below(9), state, locals: [{ name: "x", text: String(below(100)), thing: null }] });
    }
    for (const frame of changed) frames.set(frame.id, frame);
    const made = Array.from({ length: below(3) }, (): Thing => {
      const id = 1 + below(8);
      return { id, kind: "list", type: "list", text: `list[${below(5)}]`, parts: [], hidden: 0, shape: null, frame: null };
    });
    for (const { id } of made) things.add(id);
    const gone = [...things].filter(() => next() < 0.1);
    for (const id of gone) things.delete(id);
    const stack = [...frames.keys()].filter(() => next() < 0.8);
    for (const id of [...frames.keys()]) if (!stack.includes(id)) frames.delete(id);
    steps.push({
      ...NO_STEP,
      at_ns: at * 10,
      line: 1 + below(9),
      event: (["line", "call", "return", "yield", "raise"] as const)[below(5)]!,
      stack,
      frames: changed.filter(({ id }) => stack.includes(id)),
      things: made,
      gone,
      output: next() < 0.2 ? `${at}\n` : "",
    });
  }
  return logOf(steps);
}
