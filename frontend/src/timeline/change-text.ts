/** Changes of settings in the words of the code: `num_workers=4`. */
import { DEFAULT_SETTINGS, type SettingsChange } from "../wire";

const MAX_FIELDS = 2;
/** Stands before a change for which the loader was started anew. */
const RESTARTED = "↻ ";

type Dials = Readonly<Record<string, unknown>>;

/** One text per change. Dials come all together: only those that differ from before are named. */
export function changeTexts(changes: readonly SettingsChange[]): string[] {
  let dials: Dials = { ...DEFAULT_SETTINGS.dials };
  return changes.map((change) => {
    const turned = change.fields.dials as Dials | undefined;
    const fields = Object.entries(change.fields)
      .filter(([name]) => name !== "dials")
      .map(([name, value]) => `${name}=${python(value)}`);
    if (turned) {
      for (const [name, value] of Object.entries(turned)) if (dials[name] !== value) fields.push(`${name}=${python(value)}`);
      dials = { ...dials, ...turned };
    }
    const shown = fields.slice(0, MAX_FIELDS).join(", ");
    return `${change.restarted_loader ? RESTARTED : ""}${shown}${fields.length > MAX_FIELDS ? " …" : ""}`;
  });
}

/** A plain value as Python writes it. */
export function python(value: unknown): string {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  return typeof value === "string" ? `"${value}"` : Array.isArray(value) ? `[${value.map(python).join(", ")}]` : String(value);
}
