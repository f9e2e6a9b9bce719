/** Settings of a loader in words, and as what a run is started with. */
import type { RunSettings, Script, Setting } from "../wire";

/** How long a run lasts that measures a prediction, in seconds. */
export const TRIAL_S = 8;

const SHARED = ["num_workers", "prefetch_factor", "batch_size", "worker_method", "in_order", "persistent_workers", "pin_memory"] as const;

/** The settings of a run, with those of the loader as in `setting`. */
export function asRunSettings(settings: RunSettings, setting: Setting): RunSettings {
  const loader = Object.fromEntries(SHARED.map((name) => [name, setting[name]]));
  return { ...settings, ...loader, seconds: TRIAL_S, name: changedArguments(setting, settings).join(", ").slice(0, 80) };
}

/** The arguments in which a setting differs from another, as they are written in Python. */
export function changedArguments(setting: Pick<Setting, (typeof SHARED)[number]>, from: Pick<Setting, (typeof SHARED)[number]>): string[] {
  return SHARED.filter((name) => setting[name] !== from[name]).map((name) => `${name}=${python(setting[name])}`);
}

/** What `loaderscope run --with` can change of a script's loaders. */
const OVERRIDABLE: ReadonlySet<string> = new Set(["num_workers", "prefetch_factor", "persistent_workers", "in_order", "pin_memory"]);

/** What to type to run a script again with another setting; "" where an argument can only be changed in its code. */
export function commandToMeasure({ argv, site }: Pick<Script, "argv" | "site">, setting: Setting, from: Setting): string {
  const changes = changedArguments(setting, from);
  if (changes.length === 0 || !changes.every((change) => OVERRIDABLE.has(change.split("=")[0]!))) return "";
  return ["loaderscope", "run", ...changes.flatMap((change) => ["--with", change]), "--at", site, ...argv].map(quoted).join(" ");
}

/** As a POSIX shell takes it for one word. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

function python(value: number | boolean | string): string {
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** The query of `GET /api/runs/{id}/whatif`: what is not asked for is as it was recorded. */
export function query(wish: Readonly<Record<string, unknown>>): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(wish)) {
    if (name === "faster") for (const [part, times] of value as Setting["faster"]) parts.append("faster", `${part}:${times}`);
    else if (value !== undefined) parts.set(name, String(value));
  }
  const text = parts.toString();
  return text === "" ? "" : `?${text}`;
}
