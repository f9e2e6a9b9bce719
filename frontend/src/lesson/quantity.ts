/** A measured value as it is read: SI units take their prefix, and what is only counted has its words elsewhere. */
import { bytes, duration, joined, number, share, significant, type Quantity } from "../i18n/format";
import type { Measure, Value } from "./log";

const NS_PER_S = 1e9;

export function quantity({ value, unit }: Measure): Quantity {
  if (typeof value !== "number") return { value: String(value), unit: "" };
  switch (unit) {
    case "B":
      return bytes(value);
    case "B/s": {
      const scaled = bytes(value);
      return { value: scaled.value, unit: `${scaled.unit}/s` };
    }
    case "s":
      return duration(value * NS_PER_S);
    case "ns":
      return duration(value);
    case "share":
      return share(value);
    case "x":
    case "×":
      return { value: significant(value), unit: "×" };
    default:
      return { value: plain(value), unit };
  }
}

/** A whole number as it is; any other with three significant digits. */
function plain(value: number): string {
  return Number.isInteger(value) ? number(value) : significant(value);
}

const SI = new Set(["B", "kB", "MB", "GB", "TB", "ns", "µs", "ms", "s", "min", "h", "%", "×", "B/s", "kB/s", "MB/s", "GB/s"]);

/** Within a sentence: the unit only where it is a symbol, since the sentence itself says what is counted. */
export function inProse(measure: Measure): string {
  const shown = quantity(measure);
  if (shown.unit === "×") return shown.value;
  return SI.has(shown.unit) ? joined(shown) : shown.value;
}

/** The number that a field or an axis has to carry, in words of its unit. */
export function axisText(value: Value, unit: string): string {
  return typeof value === "number" ? joined(quantity({ value, unit })).trim() : String(value);
}
