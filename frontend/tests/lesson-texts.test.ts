import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { placeholders } from "../src/i18n/fill";
import { LESSON_IDS } from "../src/lesson/ids";
import { pieces, withoutCode } from "../src/lesson/prose";
import enGlossary from "../src/locales/lessons/en/glossary.json";

const folder = new URL("../src/locales/lessons/", import.meta.url);
const names = readdirSync(new URL("es/", folder)).sort();
const numbered = names.filter((name) => /^\d\d\.json$/.test(name));

/** Every text of a file by its path: `prose.0`, `variants.take.name`. */
function texts(value: unknown, at = ""): [string, string][] {
  if (typeof value === "string") return [[at, value]];
  if (typeof value !== "object" || value === null) throw new Error(`${at} is no text`);
  return Object.entries(value).flatMap(([key, inner]) => texts(inner, at === "" ? key : `${at}\0${key}`));
}

const read = (language: string, name: string): [string, string][] => texts(JSON.parse(readFileSync(new URL(`${language}/${name}`, folder), "utf8")));

/** The measured numbers that a text names, and whether each waits for the prediction. */
const measured = (text: string) => pieces(text).flatMap((piece) => (piece.kind === "measure" ? [`${piece.waits ? "?" : ""}${piece.name}`] : [])).sort();

/** What is the same word in both languages: short labels and code alone. */
const isWord = (text: string) => withoutCode(text).trim().split(/\s+/).length <= 3;

test("both languages have the same files", () => {
  expect(readdirSync(new URL("en/", folder)).sort()).toEqual(names);
});

test.each(names)("%s has the same keys and placeholders in both languages, and no text is empty", (name) => {
  const english = new Map(read("en", name));
  const spanish = new Map(read("es", name));
  expect([...spanish.keys()].sort()).toEqual([...english.keys()].sort());
  for (const [key, text] of spanish) {
    expect([name, key, placeholders(english.get(key)!)]).toEqual([name, key, placeholders(text)]);
    expect([name, key, measured(english.get(key)!)]).toEqual([name, key, measured(text)]);
    expect([key, text.trim()]).not.toEqual([key, ""]);
    expect([key, english.get(key)!.trim()]).not.toEqual([key, ""]);
  }
});

test.each(names)("%s: no paragraph was left untranslated", (name) => {
  const english = new Map(read("en", name));
  const same = read("es", name).filter(([key, text]) => english.get(key) === text && !isWord(text) && !key.endsWith("lesson"));
  expect(same).toEqual([]);
});

test.each(numbered)("%s: numbers are measured, not typed", (name) => {
  for (const language of ["es", "en"]) {
    const typed = read(language, name).filter(([, text]) => /\d/.test(withoutCode(text)));
    expect(typed).toEqual([]);
  }
});

test.each(names)("%s: every term is in the glossary", (name) => {
  for (const language of ["es", "en"]) {
    const terms = read(language, name).flatMap(([, text]) => pieces(text).flatMap((piece) => (piece.kind === "term" ? [piece.term] : [])));
    expect(terms.filter((term) => !(term in enGlossary))).toEqual([]);
  }
});

test.each(numbered)("%s has two to four paragraphs and all that a lesson needs", (name) => {
  for (const language of ["es", "en"]) {
    const prose = JSON.parse(readFileSync(new URL(`${language}/${name}`, folder), "utf8"));
    expect(prose.prose.length).toBeGreaterThanOrEqual(2);
    expect(prose.prose.length).toBeLessThanOrEqual(4);
    for (const key of ["title", "summary", "prediction", "task", "question", "variants"]) expect([key, prose[key]]).not.toEqual([key, undefined]);
  }
});

test("each term of the glossary leads to a lesson", () => {
  for (const { lesson } of Object.values(enGlossary)) expect(LESSON_IDS).toContain(lesson);
});

test("each text of the interface is used, by its key or by the beginning of it", () => {
  const source = new URL("../src/views/learn/", import.meta.url);
  const code = readdirSync(source)
    .map((name) => readFileSync(new URL(name, source), "utf8"))
    .join("\n");
  const isUsed = (key: string) => {
    const stem = key.replace(/_(one|other)$/, "");
    return code.includes(`"${key}"`) || code.includes(`"${stem}"`) || code.includes(`\`${key.slice(0, key.indexOf("."))}.$`) || code.includes(`"${key.split("_")[0]}`);
  };
  expect(read("es", "interface.json").map(([key]) => key).filter((key) => !isUsed(key))).toEqual([]);
});
