/** The texts of Learn: its interface, the lessons' prose and the glossary. A test holds both languages to each other. */
import { fill } from "../../i18n/fill";
import { number } from "../../i18n/format";
import type { Log, Measure } from "../../lesson/log";
import { quantity } from "../../lesson/quantity";
import type { Quantity } from "../../i18n/format";
import enGlossary from "../../locales/lessons/en/glossary.json";
import enInterface from "../../locales/lessons/en/interface.json";
import esGlossary from "../../locales/lessons/es/glossary.json";
import esInterface from "../../locales/lessons/es/interface.json";
import { language } from "../../store/preferences";

export type WordKey = keyof typeof esInterface;
const words: Readonly<Record<"es" | "en", Readonly<Record<string, string>>>> = { es: esInterface, en: enInterface };

export function tl(key: WordKey, values: Readonly<Record<string, string | number>> = {}): string {
  return fill(words[language.value][key]!, values);
}

export function tlOr(key: string, fallback: string): string {
  return words[language.value][key] ?? fallback;
}

/** `key_one` or `key_other`, by the language's rules, with `{count}` filled in. */
export function tlCount(key: string, count: number): string {
  const form = new Intl.PluralRules(language.value).select(count) === "one" ? "one" : "other";
  return fill(tlOr(`${key}_${form}`, key), { count: number(count) });
}

/** A name in words, and what it means. */
export interface Named {
  readonly name: string;
  readonly about?: string;
  /** Of what can have one of a few values, each value in words. */
  readonly values?: Readonly<Record<string, string>>;
}

/** One file of prose. Marks within a text: see lesson/prose.ts. */
export interface LessonProse {
  readonly title: string;
  /** One sentence for the contents. */
  readonly summary: string;
  readonly prose: readonly string[];
  readonly prediction: { readonly text: string; readonly reveal: string; readonly choices?: Readonly<Record<string, string>> };
  readonly task: { readonly text: string; readonly done: string };
  readonly question: {
    readonly text: string;
    readonly right: string;
    readonly wrong: string;
    readonly choices?: Readonly<Record<string, string>>;
  };
  readonly variants: Readonly<Record<string, Named>>;
  readonly parameters?: Readonly<Record<string, Named>>;
  readonly measures?: Readonly<Record<string, Named>>;
  readonly curves?: Readonly<Record<string, Named>>;
  /** The comparison that the lesson ends in: its columns and rows in words. */
  readonly table?: { readonly columns: Readonly<Record<string, string>>; readonly rows: Readonly<Record<string, string>> };
  /** Lanes of the small timeline, by the name that the log gives them. */
  readonly lanes?: Readonly<Record<string, string>>;
}

const files = import.meta.glob<LessonProse>("../../locales/lessons/*/[0-9][0-9].json", { eager: true, import: "default" });

/** The prose of a lesson in the page's language; null for a program of the reader's own. */
export function proseOf(lesson: string): LessonProse | null {
  return files[`../../locales/lessons/${language.value}/${lesson.slice(0, 2)}.json`] ?? null;
}

export interface Term {
  readonly id: string;
  readonly name: string;
  readonly text: string;
  readonly lesson: string;
}

const glossaries: Readonly<Record<"es" | "en", Readonly<Record<string, Omit<Term, "id">>>>> = { es: esGlossary, en: enGlossary };

/** The glossary in the page's language, by the alphabet. */
export function terms(): readonly Term[] {
  return Object.entries(glossaries[language.value])
    .map(([id, term]) => ({ id, ...term }))
    .sort((a, b) => a.name.localeCompare(b.name, language.value));
}

export function term(id: string): Term | null {
  const found = glossaries[language.value][id];
  return found ? { id, ...found } : null;
}

/** A measured value with its unit in words of the page. */
export function worded(measure: Measure): Quantity {
  if (typeof measure.value === "boolean") return { value: tl(measure.value ? "value.true" : "value.false"), unit: "" };
  const shown = quantity(measure);
  return { value: shown.value, unit: unitWord(shown.unit, measure.value) };
}

/** What a lesson has measured under that name, in words of the page. */
export function wordedMeasure(log: Log, name: string): Quantity {
  const measure = log.measures[name] ?? { value: log.parameters[name] ?? "", unit: "" };
  const said = proseOf(log.lesson)?.measures?.[name]?.values?.[String(measure.value)];
  return said === undefined ? worded(measure) : { value: said, unit: "" };
}

/** What is counted, in words of the page: "hilo" of one, else "hilos". */
export function unitWord(unit: string, count?: Measure["value"]): string {
  const [one, many = one] = tlOr(`unit.${unit}`, unit).split("|");
  return (count === 1 ? one : many)!;
}
