/** The contents: the ladder from `__next__` to a training loop, and how far up the reader has come. */
import { LESSON_IDS, MINE, type LessonId } from "../../lesson/ids";
import { stageOf } from "../../lesson/progress";
import { Icon } from "../../parts/icon";
import { cards, openLesson, retry } from "../../store/lesson";
import { forgetProgress, progress, progressOf } from "../../store/lesson-progress";
import { describe } from "../../store/problems";
import { openGlossary } from "./glossary-state";
import { Instead } from "./lesson";
import { Rich } from "./rich";
import { proseOf, tl, tlCount } from "./words";

/** The rungs of the ladder, by their first lesson. */
const PARTS: readonly { readonly name: "python" | "batches" | "parallel" | "whole"; readonly lessons: readonly LessonId[] }[] = [
  { name: "python", lessons: LESSON_IDS.slice(0, 4) },
  { name: "batches", lessons: LESSON_IDS.slice(4, 7) },
  { name: "parallel", lessons: LESSON_IDS.slice(7, 10) },
  { name: "whole", lessons: LESSON_IDS.slice(10) },
];

export function Contents() {
  const state = cards.value;
  const known = state.phase === "ready" ? new Set(state.is.map(({ id }) => id)) : null;
  const done = LESSON_IDS.filter((id) => stageOf(progressOf(id)) === "done").length;
  const goOn = LESSON_IDS.find((id) => stageOf(progressOf(id)) !== "done" && (known === null || known.has(id)));
  return (
    <div class="learn-contents">
      <header>
        <h1>{tl("contents.title")}</h1>
        <p>
          <Rich text={tl("contents.about")} />
        </p>
        <div class="row">
          {goOn && (
            <button type="button" class="button primary" onClick={() => openLesson(goOn)}>
              <Icon name="play" />
              {LESSON_IDS.every((id) => stageOf(progressOf(id)) === "new") ? tl("contents.begin") : tl("contents.go_on", { title: proseOf(goOn)?.title ?? goOn })}
            </button>
          )}
          <button type="button" class="button" onClick={() => openGlossary()}>
            <Icon name="book" />
            {tl("glossary.title")} <kbd>G</kbd>
          </button>
          {known?.has(MINE) && (
            <button type="button" class="button" onClick={() => openLesson(MINE)}>
              {tl("mine.title")}
            </button>
          )}
          {done > 0 && <span class="quiet">{tlCount("contents.done", done)}</span>}
        </div>
      </header>
      {state.phase === "failed" && (
        <Instead title={tl(state.error.status === 0 ? "offline.title" : "failed.title")} text={state.error.status === 0 ? tl("offline.about") : describe(state.error)} onRetry={retry} />
      )}
      {PARTS.map(({ name, lessons }) => (
        <section key={name} aria-labelledby={`part-${name}`}>
          <h2 id={`part-${name}`}>{tl(`part.${name}`)}</h2>
          <ol>
            {lessons.map((id) => (
              <Entry key={id} id={id} isThere={known === null || known.has(id)} />
            ))}
          </ol>
        </section>
      ))}
      {Object.keys(progress.value).length > 0 && (
        <p class="quiet small">
          {tl("contents.kept")}{" "}
          <button type="button" class="term" onClick={forgetProgress}>
            {tl("contents.forget")}
          </button>
        </p>
      )}
    </div>
  );
}

function Entry({ id, isThere }: { readonly id: LessonId; readonly isThere: boolean }) {
  const prose = proseOf(id);
  const kept = progressOf(id);
  const stage = stageOf(kept);
  return (
    <li class={`rung ${stage}`}>
      <button type="button" disabled={!isThere} onClick={() => openLesson(id)}>
        <span class="place" aria-hidden="true">
          {stage === "done" ? <Icon name="check" /> : Number(id.slice(0, 2))}
        </span>
        <strong>{prose?.title ?? id}</strong>
        <span class="summary">{prose && <Rich text={prose.summary} plain />}</span>
        <span class="stage-name">{isThere ? tl(`stage.${stage}`) : tl("stage.absent")}</span>
        <i class="seen" style={{ width: `${kept.seen * 100}%` }} />
      </button>
    </li>
  );
}
