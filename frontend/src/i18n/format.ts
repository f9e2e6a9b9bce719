/** Numbers as people read them, in the page's language. `null` and NaN, "not measured", are a dash: never 0. */
import { language } from "../store/preferences";

export const DASH = "–";

export interface Quantity {
  readonly value: string;
  readonly unit: string;
}

const formats = new Map<string, Intl.NumberFormat>();

function format(digits: number): Intl.NumberFormat {
  const key = `${language.value}${digits}`;
  let found = formats.get(key);
  if (!found) {
    found = new Intl.NumberFormat(language.value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(key, found);
  }
  return found;
}

function missing(value: number | null | undefined): value is null | undefined {
  return value === null || value === undefined || Number.isNaN(value);
}

export function number(value: number | null | undefined, digits = 0): string {
  return missing(value) ? DASH : format(digits).format(value);
}

/** Three significant digits: 4.12, 41.2, 412. */
export function significant(value: number | null | undefined): string {
  if (missing(value)) return DASH;
  const size = Math.abs(value);
  return number(value, size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : 2);
}

export function share(value: number | null | undefined): Quantity {
  if (missing(value)) return { value: DASH, unit: "" };
  return { value: number(value * 100, value < 0.0995 && value > 0 ? 1 : 0), unit: "%" };
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Decimal units, as storage and buses are sold. */
export function bytes(value: number | null | undefined): Quantity {
  if (missing(value)) return { value: DASH, unit: "" };
  let power = 0;
  let scaled = value;
  while (scaled >= 999.5 && power < BYTE_UNITS.length - 1) {
    scaled /= 1000;
    power += 1;
  }
  return { value: power === 0 ? number(scaled) : significant(scaled), unit: BYTE_UNITS[power]! };
}

export function duration(ns: number | null | undefined): Quantity {
  if (missing(ns)) return { value: DASH, unit: "" };
  const size = Math.abs(ns);
  if (size < 1e3) return { value: number(ns), unit: "ns" };
  if (size < 999.5e3) return { value: significant(ns / 1e3), unit: "µs" };
  if (size < 999.5e6) return { value: significant(ns / 1e6), unit: "ms" };
  if (size < 60e9) return { value: significant(ns / 1e9), unit: "s" };
  const seconds = Math.round(ns / 1e9);
  const two = (part: number) => String(part).padStart(2, "0");
  if (seconds < 3600) return { value: `${Math.floor(seconds / 60)}:${two(seconds % 60)}`, unit: "min" };
  return { value: `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`, unit: "h" };
}

export function joined({ value, unit }: Quantity): string {
  return value === DASH ? value : `${value}\u202f${unit}`;
}

/** A length of time that is only estimated: whole seconds, or minutes and seconds. */
export function roughly(seconds: number): string {
  return seconds < 59.5 ? `${number(Math.round(seconds))}\u202fs` : joined(duration(seconds * 1e9));
}

/** A moment of run time, as precise as the ticks around it: `stepNs` is their distance. */
export function moment(ns: number, stepNs: number): string {
  if (stepNs >= 60e9 || ns >= 3600e9) {
    const seconds = Math.round(ns / 1e9);
    const two = (part: number) => String(part).padStart(2, "0");
    const minutes = Math.floor(seconds / 60);
    return minutes < 60 ? `${minutes}:${two(seconds % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
  }
  const digits = Math.max(0, Math.min(6, Math.ceil(-Math.log10(stepNs / 1e9) - 1e-9)));
  return `${number(ns / 1e9, digits)}\u202fs`;
}

export function date(unixNs: number): string {
  return new Intl.DateTimeFormat(language.value, {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).format(unixNs / 1e6);
}
