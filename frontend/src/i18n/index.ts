/** Texts by key. They live in locales/{es,en}.json alone; a test holds both to the same keys and placeholders. */
import en from "../locales/en.json";
import es from "../locales/es.json";
import { language } from "../store/preferences";
import type { Bilingual } from "../wire";
import { fill } from "./fill";

export type Key = keyof typeof en;

const locales: Readonly<Record<"es" | "en", Readonly<Record<Key, string>>>> = { es, en };

/** The text of a key in the page's language. Reading it in a component subscribes to the language. */
export function t(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  return fill(locales[language.value][key], values);
}

/** The text of a key that may not exist, such as one made from a kind's name; otherwise `fallback`. */
export function tOr(key: string, fallback: string): string {
  return locales[language.value][key as Key] ?? fallback;
}

/** `key_one` or `key_other`, by the language's rules, with `{count}` filled in. */
export function tCount(key: string, count: number, shown: string = String(count)): string {
  const form = new Intl.PluralRules(language.value).select(count) === "one" ? "one" : "other";
  return fill(tOr(`${key}_${form}`, key), { count: shown });
}

/** A text that the server has said in both languages. */
export function said(text: Bilingual): string {
  return text[language.value];
}
