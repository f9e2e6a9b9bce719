/** An iterator as a position over its sequence: found in what the objects on screen hold, whoever wrote their class. */
import type { Local, Log, Thing } from "./log";

export interface Walk {
  /** The sequence's own box, if it has one. */
  readonly over: number | null;
  readonly cells: readonly string[];
  /** Cells before it were given; it may lie past the last. */
  readonly position: number;
}

const POSITIONS = new Set(["position", "index", "idx", "current", "current_index", "cursor", "i"]);
const MAX_CELLS = 48;

export function walkOf(thing: Thing, things: ReadonlyMap<number, Thing>): Walk | null {
  const at = thing.parts.find(({ name, text }) => POSITIONS.has(name) && /^\d+$/.test(text));
  if (!at) return null;
  const position = Number(at.text);
  for (const part of thing.parts) {
    if (part === at) continue;
    const sequence = part.thing === null || part.thing === undefined ? null : (things.get(part.thing) ?? null);
    if (sequence && (sequence.kind === "list" || sequence.kind === "tuple")) {
      return { over: sequence.id, cells: sequence.parts.map(({ text }) => text), position };
    }
    const cells = sequence ? null : cellsOf(part);
    if (cells) return { over: null, cells, position };
  }
  return null;
}

/** The elements of a sequence that is written where it stands: a text or a range. */
export function cellsOf({ text }: Local): readonly string[] | null {
  const quoted = /^(['"])((?:[^\\]|\\.)*)\1$/.exec(text);
  if (quoted && quoted[2] !== "" && !text.includes("\\")) return [...quoted[2]!].slice(0, MAX_CELLS);
  const range = /^range\((-?\d+), (-?\d+)(?:, (-?\d+))?\)$/.exec(text);
  if (!range) return null;
  const [first, end, step] = [Number(range[1]), Number(range[2]), Number(range[3] ?? 1)];
  const cells: string[] = [];
  for (let at = first; step !== 0 && (end - at) * Math.sign(step) > 0 && cells.length < MAX_CELLS; at += step) cells.push(String(at));
  return cells;
}

/** Whether a generator has ever run up to this step: one that has ended has no frame any more, as one that never began. */
export function hasRun(log: Log, cursor: number, generator: number): boolean {
  return log.steps.some((step, at) => at <= cursor && step.things.some(({ id, frame }) => id === generator && frame !== null));
}

/** How the boxes are placed: those on their own in the order in which the frames name them, and those within another. */
export interface Placing {
  readonly alone: readonly Thing[];
  /** Boxes that only one other box refers to: they are drawn in it. */
  readonly within: ReadonlySet<number>;
}

export function placed(frames: readonly { readonly locals: readonly Local[] }[], things: ReadonlyMap<number, Thing>): Placing {
  const uses = new Map<number, number>();
  const use = (id: number | null | undefined, by: number) => {
    if (id !== null && id !== undefined) uses.set(id, (uses.get(id) ?? 0) + by);
  };
  // A name in a frame wants an arrow: what it names stands on its own.
  const named: number[] = [];
  for (const { locals } of frames) {
    for (const { thing } of locals) {
      use(thing, 2);
      if (thing !== null && thing !== undefined) named.push(thing);
    }
  }
  for (const thing of things.values()) for (const part of thing.parts) use(part.thing, thing.kind === "iterator" ? 2 : 1);
  const within = new Set([...things.keys()].filter((id) => uses.get(id) === 1));
  const order = [...new Set([...named, ...things.keys()])];
  return { alone: order.flatMap((id) => (within.has(id) ? [] : (things.get(id) ?? []))), within };
}
