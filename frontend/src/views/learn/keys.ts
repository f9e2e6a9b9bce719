/** The keys of Learn. Nothing needs a mouse: a clicker that sends Page Up and Page Down will do. */
import { breakpoints, goTo, film, lesson, openLesson, presenting, reset, runBy, stepBy, togglePlaying, turnPage } from "../../store/lesson";
import { isLeaving, isTyping } from "../../timeline/keyboard";
import { openGlossary } from "./glossary-state";

/** Returns false for a key that is not one of Learn's, or that belongs to what has the focus. */
export function learnKey(event: KeyboardEvent): boolean {
  if (isTyping(event) || document.querySelector("dialog[open]")) return false;
  const target = event.target as HTMLElement;
  // A slider of a parameter or of a guess keeps its arrows; on the scrubber they are ours.
  if (target instanceof HTMLInputElement && target.id !== "scrubber" && !isLeaving(target)) return false;
  switch (event.key) {
    case "g":
    case "G":
      openGlossary();
      return true;
    case "p":
    case "P":
      presenting.value = !presenting.value;
      return true;
  }
  return lesson.value !== "" && lessonKey(event);
}

const LINE_PX = 72;

/** The text is read on without a mouse; what scrolls by itself keeps its arrows. */
function scrollText(event: KeyboardEvent): boolean {
  const text = document.querySelector(".lesson");
  if (!text || text.scrollHeight <= text.clientHeight || (event.target as HTMLElement).closest("[role=region], .scene")) return false;
  text.scrollBy(0, event.key === "ArrowDown" ? LINE_PX : -LINE_PX);
  return true;
}

function lessonKey(event: KeyboardEvent): boolean {
  switch (event.key) {
    case "ArrowRight":
    case "PageDown":
      if (event.shiftKey) runBy(1);
      else stepBy(1);
      return true;
    case "ArrowLeft":
    case "PageUp":
      if (event.shiftKey) runBy(-1);
      else stepBy(-1);
      return true;
    case "ArrowDown":
    case "ArrowUp":
      return scrollText(event);
    case "Home":
      reset();
      return true;
    case "End":
      goTo(film.value?.last ?? -1);
      return true;
    case " ":
      togglePlaying();
      return true;
    case "n":
    case "N":
      turnPage(1);
      return true;
    case "b":
    case "B":
      turnPage(-1);
      return true;
    case "c":
    case "C":
      openLesson("");
      return true;
    case "x":
    case "X":
      breakpoints.value = [];
      return true;
    case "Escape":
      if (!presenting.value) return false;
      presenting.value = false;
      return true;
    default:
      return false;
  }
}
