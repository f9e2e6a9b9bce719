/**
 * `picture = f(log, cursor)`. A program is run once and every step is written down; to step forth and back, to scrub,
 * to link and to test are then the same: a number. The same fold is in loader_core/lessons/log.py.
 */
import type { Frame, Log, Step, Thing } from "./log";

export interface Picture {
  /** The step; -1 before the first. */
  readonly cursor: number;
  readonly step: Step | null;
  /** Frames that run, the outermost first, then those that are suspended. */
  readonly stack: readonly Frame[];
  readonly things: ReadonlyMap<number, Thing>;
  readonly output: string;
}

export const BEFORE: Picture = { cursor: -1, step: null, stack: [], things: new Map(), output: "" };

/** The picture after one more step. What a step does not name is as it was: it is the very same object. */
export function advance(picture: Picture, step: Step): Picture {
  const frames = new Map(picture.stack.map((frame) => [frame.id, frame]));
  for (const frame of step.frames) frames.set(frame.id, frame);
  let things = picture.things;
  if (step.things.length > 0 || step.gone.length > 0) {
    const changed = new Map(things);
    for (const thing of step.things) changed.set(thing.id, thing);
    for (const id of step.gone) changed.delete(id);
    things = changed;
  }
  return {
    cursor: picture.cursor + 1,
    step,
    stack: step.stack.flatMap((id) => frames.get(id) ?? []),
    things,
    output: picture.output + step.output,
  };
}

/** The picture at a step. What is out of bounds is taken as the nearest. */
export function pictureAt(log: Log, cursor: number): Picture {
  return log.steps.slice(0, Math.max(0, cursor + 1)).reduce(advance, BEFORE);
}

/** A log with the pictures that were asked for, so that one step more is one fold more, and a step back none. */
export class Film {
  private readonly pictures: Picture[] = [];

  constructor(readonly log: Log) {}

  get last(): number {
    return this.log.steps.length - 1;
  }

  clamp(cursor: number): number {
    return Math.min(this.last, Math.max(-1, Math.trunc(cursor)));
  }

  at(cursor: number): Picture {
    const wanted = this.clamp(cursor);
    for (let next = this.pictures.length; next <= wanted; next += 1) {
      this.pictures.push(advance(this.pictures[next - 1] ?? BEFORE, this.log.steps[next]!));
    }
    return wanted < 0 ? BEFORE : this.pictures[wanted]!;
  }
}
