/** The lessons, in their order. */
export const LESSON_IDS = [
  "01-on-demand",
  "02-iterator",
  "03-generator",
  "04-side-by-side",
  "05-loader-by-hand",
  "06-batches",
  "07-shuffling",
  "08-workers",
  "09-prefetch",
  "10-device",
  "11-together",
  "12-table",
] as const;
/** The reader's own program, which the command line may have given to the server. */
export const MINE = "mine";
export type LessonId = (typeof LESSON_IDS)[number] | typeof MINE;

export function isLesson(id: string): id is LessonId {
  return id === MINE || (LESSON_IDS as readonly string[]).includes(id);
}

/** The lesson `by` places further, or none at either end. */
export function neighbour(id: LessonId, by: 1 | -1): LessonId | null {
  const at = (LESSON_IDS as readonly string[]).indexOf(id);
  return at < 0 ? null : (LESSON_IDS[at + by] ?? null);
}
