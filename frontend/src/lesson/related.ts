/**
 * What belongs together in code and picture: pointing at one lights up the other. Pure: a test asks it what a line has
 * to do with a frame.
 */
import type { Frame, Source } from "./log";
import type { Picture } from "./picture";
import { place } from "./breakpoints";

/** What the pointer or the keyboard is on. */
export type Pointed =
  | { readonly on: "line"; readonly source: number; readonly line: number }
  | { readonly on: "frame"; readonly frame: number }
  | { readonly on: "local"; readonly frame: number; readonly name: string }
  | { readonly on: "thing"; readonly thing: number };

export interface Related {
  /** Lines as "source:line". */
  readonly lines: ReadonlySet<string>;
  /** Names to mark within those lines. */
  readonly names: ReadonlySet<string>;
  readonly frames: ReadonlySet<number>;
  /** Locals as "frame.name". */
  readonly locals: ReadonlySet<string>;
  readonly things: ReadonlySet<number>;
}

export const NOTHING: Related = { lines: new Set(), names: new Set(), frames: new Set(), locals: new Set(), things: new Set() };

const IDENTIFIER = /[A-Za-z_]\w*/g;

export function namesIn(line: string): ReadonlySet<string> {
  return new Set(line.replace(/#.*$/, "").replace(/"[^"]*"|'[^']*'/g, "").match(IDENTIFIER) ?? []);
}

/** First and last line of the `def` that a line is in, by its indentation; the whole source where it is in none. */
export function functionAround({ lines, first_line }: Source, line: number): readonly [number, number] {
  const indent = (text: string) => text.length - text.trimStart().length;
  for (let at = line - first_line; at >= 0; at -= 1) {
    const text = lines[at];
    if (text === undefined || !/^\s*(async\s+)?def\s/.test(text)) continue;
    let end = at + 1;
    while (end < lines.length && (lines[end]!.trim() === "" || indent(lines[end]!) > indent(text))) end += 1;
    while (lines[end - 1]!.trim() === "") end -= 1;
    if (line - first_line < end) return [at + first_line, end - 1 + first_line];
  }
  return [first_line, first_line + lines.length - 1];
}

const localKey = (frame: number, name: string) => `${frame}.${name}`;

function localsOf(frame: Frame, names: ReadonlySet<string>): Frame["locals"] {
  return frame.locals.filter(({ name }) => names.has(name));
}

export function related(picture: Picture, sources: readonly Source[], pointed: Pointed | null): Related {
  if (pointed === null) return NOTHING;
  const lines = new Set<string>();
  const names = new Set<string>();
  const frames = new Set<number>();
  const locals = new Set<string>();
  const things = new Set<number>();
  const linesWith = (frame: Frame, name: string) => {
    const source = sources[frame.source];
    if (!source) return;
    names.add(name);
    const [first, last] = functionAround(source, frame.line);
    for (let line = first; line <= last; line += 1) {
      if (namesIn(source.lines[line - source.first_line] ?? "").has(name)) lines.add(place(frame.source, line));
    }
  };
  switch (pointed.on) {
    case "line": {
      const source = sources[pointed.source];
      if (!source) break;
      lines.add(place(pointed.source, pointed.line));
      const said = namesIn(source.lines[pointed.line - source.first_line] ?? "");
      const [first, last] = functionAround(source, pointed.line);
      for (const frame of picture.stack) {
        if (frame.source !== pointed.source) continue;
        if (frame.line === pointed.line) frames.add(frame.id);
        if (frame.line < first || frame.line > last) continue;
        for (const { name, thing } of localsOf(frame, said)) {
          locals.add(localKey(frame.id, name));
          if (thing !== null && thing !== undefined) things.add(thing);
        }
      }
      break;
    }
    case "frame": {
      const frame = picture.stack.find(({ id }) => id === pointed.frame);
      if (!frame) break;
      frames.add(frame.id);
      lines.add(place(frame.source, frame.line));
      for (const thing of picture.things.values()) if (thing.frame === frame.id) things.add(thing.id);
      break;
    }
    case "local": {
      const frame = picture.stack.find(({ id }) => id === pointed.frame);
      const local = frame?.locals.find(({ name }) => name === pointed.name);
      if (!frame || !local) break;
      locals.add(localKey(frame.id, local.name));
      if (local.thing !== null && local.thing !== undefined) things.add(local.thing);
      linesWith(frame, local.name);
      break;
    }
    case "thing": {
      things.add(pointed.thing);
      const runs = picture.things.get(pointed.thing)?.frame;
      for (const frame of picture.stack) {
        if (frame.id === runs) {
          frames.add(frame.id);
          lines.add(place(frame.source, frame.line));
        }
        for (const { name, thing } of frame.locals) {
          if (thing !== pointed.thing) continue;
          locals.add(localKey(frame.id, name));
          linesWith(frame, name);
        }
      }
    }
  }
  return { lines, names, frames, locals, things };
}
