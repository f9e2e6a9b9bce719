/** One field of the page's state: its type, its bounds, and how it is read from and written to a URL. */
import type { Limit } from "../wire";

export type Field =
  | { readonly type: "number"; readonly default: number; readonly integer: boolean; readonly min: number; readonly max: number }
  | { readonly type: "flag"; readonly default: boolean }
  | { readonly type: "choice"; readonly default: string; readonly choices: readonly string[] }
  | { readonly type: "text"; readonly default: string; readonly maxLength: number };

export type Value = number | boolean | string;

/** The smallest number above a minimum that is itself refused, coarse enough to be written. */
const ABOVE = 0.001;

/** A field from the limits that the server itself checks. */
export function fieldOf(limit: Limit): Field {
  const preset = limit.default;
  if (typeof preset === "boolean") return { type: "flag", default: preset };
  if (typeof preset === "number") {
    return {
      type: "number",
      default: preset,
      integer: limit.integer ?? false,
      min: limit.min ?? (limit.above === undefined ? -Infinity : limit.above + ABOVE),
      max: limit.max ?? Infinity,
    };
  }
  if (limit.choices) return { type: "choice", default: String(preset), choices: limit.choices };
  return { type: "text", default: String(preset), maxLength: limit.maxLength ?? 200 };
}

/**
 * What a written value means. Whatever is wrong with it ends within the bounds or at the default: a URL can be edited
 * by anyone, and must not start 10,000 workers.
 */
export function read(field: Field, text: string | null): Value {
  if (text === null) return field.default;
  switch (field.type) {
    case "number": {
      const value = Number(text);
      return text.trim() === "" || !Number.isFinite(value) ? field.default : clamp(field, value);
    }
    case "flag":
      return text === "1" ? true : text === "0" ? false : field.default;
    case "choice":
      return field.choices.includes(text) ? text : field.default;
    case "text":
      // Control characters have no place in a name, an id or a list of words.
      return [...text].filter((character) => character >= " ").join("").slice(0, field.maxLength);
  }
}

export function clamp(field: Field & { type: "number" }, value: number): number {
  const within = Math.min(field.max, Math.max(field.min, value));
  return field.integer ? Math.round(within) : within;
}

export function write(value: Value): string {
  if (typeof value === "boolean") return value ? "1" : "0";
  return String(value);
}
