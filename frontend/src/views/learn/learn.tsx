/** Learn: the contents, or a lesson. Loaded when it is first opened, with its prose and its style. */
import "../../style/learn.css";
import "../../style/learn-table.css";
import "../../style/stage.css";
import "../../style/print.css";
import { useEffect } from "preact/hooks";
import { cards, keepRecording, lesson, loadCards, presenting } from "../../store/lesson";
import { stray } from "../../store/lesson-address";
import { say } from "../../store/messages";
import { Contents } from "./contents";
import { Glossary } from "./glossary";
import { learnKey } from "./keys";
import { Lesson } from "./lesson";
import { LessonBar } from "./lesson-bar";
import { tl } from "./words";

export function Learn() {
  useEffect(() => {
    if (stray.peek()) say(tl("bar.no_lesson", { name: stray.peek() }), { tone: "problem" });
    stray.value = "";
    if (cards.peek().phase !== "ready") void loadCards();
    const stop = keepRecording();
    const press = (event: KeyboardEvent) => {
      if (!event.defaultPrevented && learnKey(event)) event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => {
      removeEventListener("keydown", press);
      stop();
    };
  }, []);
  return (
    <main class={`learn${presenting.value ? " presenting" : ""}`}>
      <LessonBar />
      {lesson.value === "" ? <Contents /> : <Lesson />}
      <Glossary />
    </main>
  );
}
