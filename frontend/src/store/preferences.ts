/** Language and theme: from the URL, else from an earlier visit, else from the system. */
import { computed, effect, signal } from "@preact/signals";
import { LANGUAGES, THEMES, readPageState, type Language, type Theme } from "./page-state";

const initial = readPageState(location.search);

function remembered<T extends string>(key: string, allowed: readonly T[]): T | null {
  try {
    const value = localStorage.getItem(key);
    return allowed.find((option) => option === value) ?? null;
  } catch {
    return null; // storage may be forbidden; then nothing is remembered
  }
}

function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // as above
  }
}

/** The first of the reader's languages that the page speaks. */
function systemLanguage(): Language {
  for (const tag of navigator.languages) {
    const known = LANGUAGES.find((option) => tag.toLowerCase().startsWith(option));
    if (known) return known;
  }
  return "en";
}

export const language = signal<Language>(initial.lang || remembered("language", LANGUAGES) || systemLanguage());
export const theme = signal<Theme>(
  new URLSearchParams(location.search).has("theme") ? initial.theme : (remembered("theme", THEMES) ?? "system"),
);

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener("change", () => (systemIsDark.value = systemDark.matches));

/** Bumped when the system switches forced colours, so that canvases read their palette again. */
export const contrastRevision = signal(0);
matchMedia("(forced-colors: active)").addEventListener("change", () => (contrastRevision.value += 1));

/** While the page is being printed: paper is white, whatever the theme. */
export const printing = signal(false);
addEventListener("beforeprint", () => (printing.value = true));
addEventListener("afterprint", () => (printing.value = false));

export const isDark = computed(() => !printing.value && (theme.value === "system" ? systemIsDark.value : theme.value === "dark"));

/** Keeps the document in step. Called once, before the first drawing. */
export function applyPreferences(): void {
  effect(() => {
    document.documentElement.lang = language.value;
    remember("language", language.value);
  });
  effect(() => {
    document.documentElement.dataset.theme = isDark.value ? "dark" : "light";
    remember("theme", theme.value);
  });
}
