/** How far the reader has come, kept in this browser (lesson/progress.ts says what). */
import { effect, signal } from "@preact/signals";
import { NOT_BEGUN, readProgress, type LessonProgress, type Progress } from "../lesson/progress";

const KEY = "lessons";

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage may be forbidden; then progress lasts as long as the page
  }
}

export const progress = signal<Progress>(readProgress(stored()));

effect(() => {
  const text = JSON.stringify(progress.value);
  try {
    localStorage.setItem(KEY, text);
  } catch {
    // as above
  }
});

export const progressOf = (lesson: string): LessonProgress => progress.value[lesson] ?? NOT_BEGUN;

export function note(lesson: string, fields: Partial<LessonProgress>): void {
  progress.value = { ...progress.value, [lesson]: { ...(progress.peek()[lesson] ?? NOT_BEGUN), ...fields } };
}

export function markSeen(lesson: string, share: number, variant: string): void {
  const known = progress.peek()[lesson] ?? NOT_BEGUN;
  const seen = Math.max(known.seen, Math.round(share * 100) / 100);
  const broken = share >= 1 && !known.broken.includes(variant) ? [...known.broken, variant] : known.broken;
  if (seen !== known.seen || broken !== known.broken) note(lesson, { seen, broken });
}

/** The lesson whose numbers were asked for without a prediction. */
const uncovered = signal("");

export function uncover(lesson: string): void {
  uncovered.value = lesson;
}

/** Whether what would give the prediction away may be shown: it was made and run, or the numbers were asked for. */
export function isRevealed(lesson: string): boolean {
  const { guess, seen } = progressOf(lesson);
  return (guess !== null && seen >= 1) || uncovered.value === lesson;
}

export function forgetProgress(): void {
  progress.value = {};
}
