/** The parameters of a lesson in a link: `name:value` separated by commas, kept within the lesson's own bounds. */
import { clamp, read, write, type Field, type Value } from "../store/fields";

export type Fields = Readonly<Record<string, Field>>;
export type Parameters = Readonly<Record<string, Value>>;

export function readParameters(text: string, fields: Fields): Parameters {
  const written = new Map(
    text.split(",").map((pair) => {
      const at = pair.indexOf(":");
      return [pair.slice(0, at), pair.slice(at + 1)] as const;
    }),
  );
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, read(field, written.get(name) ?? null)]));
}

/** Only what is not at its default. */
export function writeParameters(parameters: Parameters, fields: Fields): string {
  return Object.entries(fields)
    .filter(([name, field]) => name in parameters && parameters[name] !== field.default)
    .map(([name]) => `${name}:${write(parameters[name]!)}`)
    .join(",");
}

export function withParameter(parameters: Parameters, name: string, field: Field, value: Value): Parameters {
  const kept = field.type === "number" ? (Number.isFinite(value) ? clamp(field, Number(value)) : (parameters[name] ?? field.default)) : value;
  return { ...parameters, [name]: kept };
}
