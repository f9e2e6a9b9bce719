/**
 * The open lesson: which program with which parameters was run, and where in its log we are. What is shown is a
 * function of these signals alone.
 */
import { batch, computed, effect, signal } from "@preact/signals";
import { ApiError, getLessons, recordLesson } from "../api";
import { runTo } from "../lesson/breakpoints";
import { neighbour, type LessonId } from "../lesson/ids";
import type { LessonCard, Log, Parameter, Value } from "../lesson/log";
import { readParameters, withParameter, writeParameters, type Fields, type Parameters } from "../lesson/parameters";
import { BEFORE, Film } from "../lesson/picture";
import type { Pointed } from "../lesson/related";
import type { Field } from "./fields";
import { breakpoints, cursor, lesson, params, presenting, variant } from "./lesson-address";
import { language } from "./preferences";
import { markSeen } from "./lesson-progress";
import { entry, mayOperate } from "./session";
import { view } from "./url";

export { breakpoints, cursor, lesson, presenting, variant };

export type Loading<T> =
  | { readonly phase: "asking" }
  | { readonly phase: "ready"; readonly is: T }
  | { readonly phase: "failed"; readonly error: ApiError }
  | { readonly phase: "forbidden" };

export const cards = signal<Loading<readonly LessonCard[]>>({ phase: "asking" });
export const recording = signal<Loading<Film>>({ phase: "asking" });
/** What the pointer or the keyboard is on, in code or picture. */
export const pointed = signal<Pointed | null>(null);
export const playing = signal(false);
/** Steps per second while it plays. */
export const SPEEDS = [1, 2, 5, 15] as const;
/** Whether it plays the whole in a few seconds, however many steps there are. */
const hurrying = signal(false);
const HURRY = { perSecond: 15, seconds: 8 };
export const speed = signal<(typeof SPEEDS)[number]>(2);

export const card = computed(() => (cards.value.phase === "ready" ? (cards.value.is.find(({ id }) => id === lesson.value) ?? null) : null));
export const fields = computed<Fields>(() => Object.fromEntries((card.value?.parameters ?? []).map((one) => [one.name, fieldOf(one)])));
export const parameters = computed<Parameters>(() => readParameters(params.value, fields.value));
/** The variant that runs: the lesson's first where the address names none that exists. */
export const running = computed(() => {
  const known = card.value?.variants ?? [];
  return known.includes(variant.value) ? variant.value : (known[0] ?? "");
});

/** The newest log of the open lesson: it stays on screen while a new one is made. */
export const film = signal<Film | null>(null);
/** The log of the lesson's own program, its first variant: what the prose tells of, and what variants are held against. */
export const base = signal<Film | null>(null);
export const picture = computed(() => film.value?.at(cursor.value) ?? BEFORE);
export const before = computed(() => film.value?.at(picture.value.cursor - 1) ?? BEFORE);
export const atEnd = computed(() => film.value !== null && picture.value.cursor === film.value.last);

function fieldOf(one: Parameter): Field {
  switch (one.kind) {
    case "bool":
      return { type: "flag", default: one.default === true };
    case "choice":
      return { type: "choice", default: String(one.default), choices: one.choices };
    default:
      return { type: "number", default: Number(one.default), integer: one.kind === "int", min: one.min ?? 0, max: one.max ?? 0 };
  }
}

// --- asking ----------------------------------------------------------------------------------------------------------

export async function loadCards(): Promise<void> {
  cards.value = { phase: "asking" };
  try {
    cards.value = { phase: "ready", is: await getLessons() };
  } catch (error) {
    cards.value = { phase: "failed", error: asApiError(error) };
  }
}

/** Logs that were made since the page was opened, the newest last. The server keeps them too; this saves the way there. */
const kept = new Map<string, Film>();
const MAX_KEPT = 12;
/** A slider sends many values on its way. */
const SETTLED_MS = 250;

const keyOf = (id: string, name: string, given: Parameters, lang: string) => JSON.stringify([id, name, given, lang]);

async function filmOf(id: string, name: string, given: Parameters, lang: "es" | "en", abort: AbortSignal): Promise<Film> {
  const key = keyOf(id, name, given, lang);
  const found = kept.get(key);
  if (found) return found;
  const made = new Film(await recordLesson(id, { parameters: given, variant: name, language: lang }, abort));
  kept.set(key, made);
  for (const oldest of kept.keys()) {
    if (kept.size <= MAX_KEPT) break;
    kept.delete(oldest);
  }
  return made;
}

/** The log of a lesson as it opens, for what is measured in another one. */
export async function logOf(id: string): Promise<Log> {
  const listed = cards.peek();
  const known = listed.phase === "ready" ? listed.is.find((one) => one.id === id) : undefined;
  const defaults = Object.fromEntries((known?.parameters ?? []).map((one) => [one.name, one.default]));
  return (await filmOf(id, known?.variants[0] ?? "", defaults, language.peek(), new AbortController().signal)).log;
}

const again = signal(0);

export function retry(): void {
  if (cards.value.phase === "failed") void loadCards();
  again.value += 1;
}

/** Keeps the log that is shown the one that the address asks for. Called once; gives what ends it. */
export function keepRecording(): () => void {
  let abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stopAsking = effect(() => {
    const [id, name, given, lang, known] = [lesson.value, running.value, parameters.value, language.value, card.value];
    void again.value;
    abort.abort();
    abort = new AbortController();
    clearTimeout(timer);
    if (entry.value !== "in" || id === "" || view.value !== "learn") return;
    const shown = film.peek();
    if (shown && shown.log.lesson !== id) film.value = base.value = null;
    if (!known) return;
    if (!mayOperate.value) {
      recording.value = { phase: "forbidden" };
      return;
    }
    const mine = abort.signal;
    const ask = async () => {
      try {
        const made = await filmOf(id, name, given, lang, mine);
        if (mine.aborted) return;
        batch(() => {
          film.value = made;
          recording.value = { phase: "ready", is: made };
          cursor.value = made.clamp(cursor.peek());
          if (name === known.variants[0]) base.value = made;
        });
        if (name === known.variants[0]) return;
        const own = await filmOf(id, known.variants[0]!, given, lang, mine);
        if (!mine.aborted) base.value = own;
      } catch (error) {
        if (!mine.aborted) recording.value = { phase: "failed", error: asApiError(error) };
      }
    };
    if (!kept.has(keyOf(id, name, given, lang))) recording.value = { phase: "asking" };
    timer = setTimeout(() => void ask(), film.peek() && !kept.has(keyOf(id, name, given, lang)) ? SETTLED_MS : 0);
  });
  const stopMarking = effect(() => {
    const shown = film.value;
    if (!shown || shown.log.lesson !== lesson.value) return;
    markSeen(lesson.value, (picture.value.cursor + 1) / Math.max(1, shown.last + 1), shown.log.variant);
  });
  const stopPlaying = keepPlaying();
  return () => {
    abort.abort();
    clearTimeout(timer);
    playing.value = false;
    for (const stop of [stopAsking, stopMarking, stopPlaying]) stop();
  };
}

function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, "unreachable", String(error));
}

// --- moving ----------------------------------------------------------------------------------------------------------

export function goTo(step: number): void {
  playing.value = false;
  if (film.value) cursor.value = film.value.clamp(step);
}

export const stepBy = (by: number): void => goTo(picture.value.cursor + by);
export const reset = (): void => goTo(-1);

/** To the next breakpoint, or to the end; back to the one before, or to the beginning. */
export function runBy(by: 1 | -1): void {
  if (film.value) goTo(runTo(film.value.log, picture.value.cursor, new Set(breakpoints.value), by));
}

/** Plays from here, or from the beginning if this is the end. */
export function togglePlaying(): void {
  if (!playing.value && atEnd.value) cursor.value = -1;
  hurrying.value = false;
  playing.value = !playing.value && film.value !== null;
}

/** Plays the whole from its beginning, in a few seconds: the arrow keys are there for the details. */
export function playThrough(): void {
  if (!film.value) return;
  batch(() => {
    cursor.value = -1;
    hurrying.value = true;
    playing.value = true;
  });
}

function keepPlaying(): () => void {
  let timer: ReturnType<typeof setInterval> | undefined;
  const stop = effect(() => {
    clearInterval(timer);
    if (!playing.value) return;
    timer = setInterval(() => {
      const shown = film.peek();
      if (!shown) return;
      const stride = hurrying.value ? Math.ceil((shown.last + 1) / (HURRY.perSecond * HURRY.seconds)) : 1;
      const stop = runTo(shown.log, shown.clamp(cursor.peek()), new Set(breakpoints.peek()), 1); // a breakpoint, or the last
      batch(() => {
        cursor.value = Math.min(shown.clamp(cursor.peek() + stride), stop);
        if (cursor.value === stop) playing.value = false;
      });
    }, 1000 / (hurrying.value ? HURRY.perSecond : speed.value));
  });
  return () => {
    clearInterval(timer);
    stop();
  };
}

// --- choosing --------------------------------------------------------------------------------------------------------

/** Opens a lesson at its beginning, or the contents. */
export function openLesson(id: LessonId | ""): void {
  batch(() => {
    if (id !== lesson.value) film.value = base.value = null;
    lesson.value = id;
    variant.value = "";
    params.value = "";
    breakpoints.value = [];
    cursor.value = -1;
    playing.value = false;
    pointed.value = null;
  });
}

export function turnPage(by: 1 | -1): void {
  if (lesson.value === "") return;
  const next = neighbour(lesson.value, by);
  if (next) openLesson(next);
}

export function chooseVariant(name: string): void {
  batch(() => {
    variant.value = name === card.value?.variants[0] ? "" : name;
    cursor.value = -1;
    playing.value = false;
  });
}

export function setParameter(name: string, value: Value): void {
  const field = fields.value[name];
  if (!field) return;
  batch(() => {
    params.value = writeParameters(withParameter(parameters.value, name, field, value), fields.value);
    playing.value = false;
  });
}
