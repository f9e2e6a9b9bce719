/** What the reader does: predict and run, break or mend, answer. Each is checked against the log of this very run. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { answerOf, isMended, isRight } from "../../lesson/answers";
import type { LessonCard } from "../../lesson/log";
import { Icon } from "../../parts/icon";
import { atEnd, base, chooseVariant, film, lesson, playThrough, running } from "../../store/lesson";
import { hidden } from "../../store/url";
import { isRevealed, note, progressOf } from "../../store/lesson-progress";
import { Compared, Give } from "./guessing";
import { Rich } from "./rich";
import { tl, type LessonProse } from "./words";

interface Props {
  readonly card: LessonCard;
  readonly prose: LessonProse;
}

export function Prediction({ card, prose }: Props) {
  const question = card.prediction;
  const { guess } = progressOf(card.id);
  const wasGiven = useRef(false);
  const run = useRef<HTMLButtonElement>(null);
  // The form that had the focus is gone: the next thing to press has it.
  useEffect(() => {
    if (wasGiven.current) run.current?.focus({ preventScroll: true });
    wasGiven.current = false;
  }, [guess]);
  if (!question || hidden.value.includes("prediction")) return null;
  // The prediction is about the program as it is, whichever variant is shown.
  const log = base.value?.log;
  const answer = log ? answerOf(log, question) : null;
  return (
    <section class="task predict" aria-labelledby="prediction-title">
      <h2 id="prediction-title">{tl("predict.title")}</h2>
      <p id="prediction-text">
        <Rich text={prose.prediction.text} of="program" />
      </p>
      {guess === null ? (
        <Give
          id="guess"
          question={question}
          choices={prose.prediction.choices}
          labelledBy="prediction-text"
          given={null}
          button={tl("predict.give")}
          onGive={(given) => {
            wasGiven.current = true;
            note(card.id, { guess: given });
          }}
        />
      ) : !isRevealed(card.id) ? (
        <div class="kept-guess">
          <p>
            {tl("predict.kept")}{" "}
            <button type="button" class="term" onClick={() => note(card.id, { guess: null })}>
              {tl("predict.change")}
            </button>
          </p>
          <button ref={run} type="button" class="button primary" disabled={!film.value} onClick={playThrough}>
            <Icon name="play" />
            {tl("predict.run")}
          </button>
        </div>
      ) : (
        <div class="revealed">
          {log && answer !== null && (
            <>
              <Compared question={question} given={guess} answer={answer} choices={prose.prediction.choices} />
              <p>
                <b class={isRight(log, question, guess) ? "right" : "other"}>{tl(isRight(log, question, guess) ? "predict.right" : "predict.other")}</b>{" "}
                <Rich text={prose.prediction.reveal} of="program" />
              </p>
            </>
          )}
          <button type="button" class="term" onClick={() => note(card.id, { guess: null, seen: 0.99 })}>
            {tl("predict.again")}
          </button>
        </div>
      )}
    </section>
  );
}

export function BreakIt({ card, prose }: Props) {
  const { task } = card;
  if (!task || hidden.value.includes("break")) return null;
  const log = film.value?.log;
  const isDone = log !== undefined && task.choices.includes(log.variant) && log.variant === running.value && atEnd.value && isMended(log, task);
  const about = prose.variants[running.value]?.about;
  return (
    <section class="task" aria-labelledby="break-title">
      <h2 id="break-title">{tl("break.title")}</h2>
      <p id="break-text">
        <Rich text={prose.task.text} />
      </p>
      <div class="choices" role="radiogroup" aria-labelledby="break-text">
        {card.variants.map((name) => (
          <label key={name}>
            <input type="radio" name="variant" value={name} checked={running.value === name} onChange={() => chooseVariant(name)} />
            <span>
              <Rich text={prose.variants[name]?.name ?? name} />
            </span>
          </label>
        ))}
      </div>
      {about && (
        <p class="quiet">
          <Rich text={about} />
        </p>
      )}
      {isDone && (
        <p class="verdict right" role="status">
          <Rich text={prose.task.done} />
        </p>
      )}
    </section>
  );
}

export function CheckQuestion({ card, prose }: Props) {
  const { question } = card;
  if (!question || hidden.value.includes("question")) return null;
  const log = film.value?.log;
  const given = answers.value[card.id] ?? null;
  const right = given !== null && log ? isRight(log, question, given) : null;
  return (
    <section class="task" aria-labelledby="question-title">
      <h2 id="question-title">{tl("question.title")}</h2>
      <p id="question-text">
        <Rich text={prose.question.text} />
      </p>
      <Give
        id={`answer-${lesson.value}`}
        question={question}
        choices={prose.question.choices}
        labelledBy="question-text"
        given={given}
        button={tl("question.check")}
        onGive={(answer) => {
          answers.value = { ...answers.value, [card.id]: answer };
          if (log && isRight(log, question, answer)) note(card.id, { answered: true });
        }}
      />
      {given !== null && log && right === null && (
        <p class="verdict" role="status">
          {tl("question.not_measured")}
        </p>
      )}
      {right !== null && (
        <p class={`verdict ${right ? "right" : "other"}`} role="status">
          <Rich text={right ? prose.question.right : prose.question.wrong} />
        </p>
      )}
    </section>
  );
}

/** What was answered since the page was opened: only that it was right is kept for longer. */
const answers = signal<Readonly<Record<string, string>>>({});
