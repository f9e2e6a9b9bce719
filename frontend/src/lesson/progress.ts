/** How far the reader has come: kept in this browser, for each lesson alone. */
export interface LessonProgress {
  /** Share of the steps that were seen, 0..1. */
  readonly seen: number;
  /** What was predicted, as it was given: a number, or the name of a choice. */
  readonly guess: string | null;
  readonly answered: boolean;
  /** The variants that were run to their end. */
  readonly broken: readonly string[];
}

export const NOT_BEGUN: LessonProgress = { seen: 0, guess: null, answered: false, broken: [] };

export type Progress = Readonly<Record<string, LessonProgress>>;

export type Stage = "new" | "begun" | "done";

/** A lesson is done when it was seen to its end and its question was answered. */
export function stageOf({ seen, answered, guess }: LessonProgress): Stage {
  if (seen >= 1 && answered) return "done";
  return seen > 0 || answered || guess !== null ? "begun" : "new";
}

/** What was kept, whatever an older page or a curious hand has left there. */
export function readProgress(text: string | null): Progress {
  let found: unknown;
  try {
    found = JSON.parse(text ?? "{}");
  } catch {
    return {};
  }
  if (typeof found !== "object" || found === null || Array.isArray(found)) return {};
  return Object.fromEntries(Object.entries(found).map(([lesson, kept]) => [lesson, readOne(kept)]));
}

function readOne(kept: unknown): LessonProgress {
  if (typeof kept !== "object" || kept === null) return NOT_BEGUN;
  const { seen, guess, answered, broken } = kept as Record<string, unknown>;
  return {
    seen: typeof seen === "number" && seen >= 0 && seen <= 1 ? seen : 0,
    guess: typeof guess === "string" ? guess.slice(0, 40) : null,
    answered: answered === true,
    broken: Array.isArray(broken) ? broken.filter((one) => typeof one === "string").slice(0, 20) : [],
  };
}
