/** A lesson: its text and tasks to the left, its code and picture, which stay in sight, to the right. */
import { useEffect, useRef } from "preact/hooks";
import { MINE, neighbour } from "../../lesson/ids";
import { Icon } from "../../parts/icon";
import { card, cards, cursor, film, lesson, openLesson, presenting, recording, retry } from "../../store/lesson";
import { describe } from "../../store/problems";
import { hidden, view } from "../../store/url";
import { LessonLanes } from "./lanes";
import { Measures } from "./measures";
import { MemoryStrip } from "./memory-strip";
import { OutputPane } from "./output";
import { ParameterBar } from "./parameters";
import { PicturePane } from "./picture";
import { Program } from "./program";
import { Rich } from "./rich";
import { Comparison } from "./comparison";
import { Prediction, BreakIt, CheckQuestion } from "./tasks";
import { Narration, TransportBar } from "./transport";
import { proseOf, tl } from "./words";
import { adoptLesson } from "./to-explore";

export function Lesson() {
  const page = useRef<HTMLDivElement>(null);
  const id = lesson.value;
  useEffect(() => page.current?.scrollTo(0, 0), [id]);
  const prose = proseOf(id);
  const known = card.value;
  // In a room the text is the first slide: with the first step the room is for code and picture.
  const showsText = !hidden.value.includes("prose") && !(presenting.value && cursor.value >= 0);
  return (
    <div class={`lesson${showsText ? "" : " without-text"}`} ref={page}>
      {showsText && (
        <article class="lesson-text">
          <h1>
            {known?.number != null && <span class="place">{known.number}</span>}
            {prose?.title ?? (id === MINE ? (film.value?.log.sources[0]?.name ?? tl("mine.title")) : id)}
          </h1>
          {(prose?.prose ?? (id === MINE ? [tl("mine.about")] : [])).map((text, index) => (
            <p key={index}>
              <Rich text={text} of="program" />
            </p>
          ))}
          {prose && known && <Prediction card={known} prose={prose} />}
        </article>
      )}
      <Stage />
      {showsText && !presenting.value && (
        <div class="lesson-tasks">
          {prose && known && <BreakIt card={known} prose={prose} />}
          {prose && known && <Comparison card={known} prose={prose} />}
          <Measures />
          {prose && known && <CheckQuestion card={known} prose={prose} />}
          <Onwards />
        </div>
      )}
    </div>
  );
}

function Stage() {
  const state = recording.value;
  const shows = (part: string) => !hidden.value.includes(part);
  const isAbsent = cards.value.phase === "ready" && card.value === null; // a link to a file that this server was not given
  const isStale = state.phase === "asking" && film.value !== null;
  return (
    <section class="stage" aria-label={tl("stage.title")} aria-busy={state.phase === "asking"}>
      <ParameterBar />
      {isAbsent ? (
        <Instead title={tl("mine.absent")} text={tl("mine.how")} />
      ) : state.phase === "forbidden" && film.value === null ? (
        <Instead title={tl("forbidden.title")} text={tl("forbidden.about")} />
      ) : state.phase === "failed" ? (
        <Instead title={tl(state.error.status === 0 ? "offline.title" : "failed.title")} text={state.error.status === 0 ? tl("offline.about") : describe(state.error)} onRetry={retry} />
      ) : (
        <div class={`panes${isStale ? " stale" : ""}${shows("picture") ? "" : " code-alone"}${shows("code") ? "" : " picture-alone"}`}>
          {shows("code") && (
            <div class="code-pane" tabIndex={-1}>
              {film.value === null && <p class="recording">{tl("recording.about")}</p>}
              <Program />
            </div>
          )}
          {shows("picture") && (
            <div class="picture-pane">
              <PicturePane />
              {shows("output") && <OutputPane />}
            </div>
          )}
        </div>
      )}
      <MemoryStrip />
      <LessonLanes />
      {shows("transport") ? <TransportBar /> : <Narration />}
    </section>
  );
}

interface InsteadProps {
  readonly title: string;
  readonly text: string;
  readonly onRetry?: () => void;
}

/** What stands where code and picture would be. */
export function Instead({ title, text, onRetry }: InsteadProps) {
  return (
    <div class="instead" role="status">
      <h2>{title}</h2>
      <p>{text}</p>
      {onRetry && (
        <button type="button" class="button" onClick={onRetry}>
          {tl("again")}
        </button>
      )}
    </div>
  );
}

function Onwards() {
  const id = lesson.value;
  const next = id === "" ? null : neighbour(id, 1);
  return (
    <footer class="onwards">
      {next ? (
        <button type="button" class="button primary" onClick={() => openLesson(next)}>
          {tl("onwards", { title: proseOf(next)?.title ?? next })}
          <Icon name="right" />
        </button>
      ) : (
        <button type="button" class="button" onClick={() => openLesson("")}>
          {tl("bar.contents")}
        </button>
      )}
      <button
        type="button"
        class="button bare"
        onClick={() => {
          adoptLesson();
          view.value = "explore";
        }}
      >
        {tl("to_explore")}
      </button>
    </footer>
  );
}
