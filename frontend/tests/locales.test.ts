import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { placeholders } from "../src/i18n/fill";
import en from "../src/locales/en.json";
import es from "../src/locales/es.json";
import { SETTING_NAMES } from "../src/store/settings-table";
import { PAINTS } from "../src/timeline/paints";
import { Kind } from "../src/wire";

const english: Record<string, string> = en;
const spanish: Record<string, string> = es;

test("both languages have the same keys", () => {
  expect(Object.keys(spanish).sort()).toEqual(Object.keys(english).sort());
});

test("a text has the same placeholders in both", () => {
  for (const key of Object.keys(english)) expect([key, placeholders(spanish[key]!)]).toEqual([key, placeholders(english[key]!)]);
});

test("no text is empty", () => {
  for (const [key, text] of [...Object.entries(english), ...Object.entries(spanish)]) expect([key, text.trim()]).not.toEqual([key, ""]);
});

test("each kind, setting and shown paint has its words", () => {
  const wanted = [
    ...Object.keys(Kind).flatMap((name) => [`kind.${name}.name`, `kind.${name}.meaning`]),
    ...SETTING_NAMES.flatMap((name) => [`setting.${name}`, `setting.${name}.about`]),
    ...PAINTS.filter((paint) => paint !== "mark" && paint !== "error").map((paint) => `paint.${paint}`),
  ];
  expect(wanted.filter((key) => !(key in english))).toEqual([]);
});

test("each text is used somewhere, by its key or by the beginning of it", () => {
  const source = new URL("../src/", import.meta.url);
  const code = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name))
    .map((name) => readFileSync(new URL(name, source), "utf8"))
    .join("\n");
  const isUsed = (key: string) => {
    if (code.includes(`"${key}"`)) return true;
    const parts = key.split(/[._]/);
    return parts.some((_, length) => {
      const beginning = key.slice(0, parts.slice(0, length + 1).join(".").length);
      return code.includes(`\`${beginning}.$`) || code.includes(`"${beginning}"`);
    });
  };
  expect(Object.keys(english).filter((key) => !isUsed(key))).toEqual([]);
});
