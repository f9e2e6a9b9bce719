/** A change of settings in the words of the code: `num_workers=4`. */
import type { Change } from "../wire";

const MAX_FIELDS = 2;

export function changeText(change: Change): string {
  const fields = Object.entries(change.fields).flatMap(([name, value]) =>
    typeof value === "object" && value !== null
      ? Object.entries(value).map(([inner, shown]) => `${inner}=${String(shown)}`)
      : [`${name}=${python(value)}`],
  );
  const shown = fields.slice(0, MAX_FIELDS).join(", ");
  return fields.length > MAX_FIELDS ? `${shown} …` : shown;
}

function python(value: unknown): string {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  return typeof value === "string" ? `"${value}"` : String(value);
}
