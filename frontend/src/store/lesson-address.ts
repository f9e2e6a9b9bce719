/** What of a lesson stands in the address: read once at the beginning, kept as signals since. */
import { signal } from "@preact/signals";
import { readBreakpoints, writeBreakpoints } from "../lesson/breakpoints";
import type { LessonId } from "../lesson/ids";
import { readPageState, type PageState } from "./page-state";

const initial = readPageState(location.search);

export const lesson = signal<LessonId | "">(initial.lesson);
const asked = new URLSearchParams(location.search).get("lesson") ?? "";
/** What the address named, if that is no lesson; "" once that was said. */
export const stray = signal(initial.lesson === "" ? asked.slice(0, 40) : "");
/** The step that is shown; -1: before the first. */
export const cursor = signal(initial.step);
/** A "break it" variant of the program; "": the program as it is. */
export const variant = signal(initial.variant);
/** The parameters as they are written in the address. */
export const params = signal(initial.params);
export const breakpoints = signal<readonly string[]>(readBreakpoints(initial.breaks));
export const presenting = signal(initial.present);

type LessonState = Pick<PageState, "lesson" | "step" | "variant" | "params" | "breaks" | "present">;

export function lessonState(): LessonState {
  return {
    lesson: lesson.value,
    step: cursor.value,
    variant: variant.value,
    params: params.value,
    breaks: writeBreakpoints(breakpoints.value),
    present: presenting.value,
  };
}
