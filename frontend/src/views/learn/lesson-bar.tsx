/** Where we are on the ladder, and what can be done with the whole lesson. */
import { notebookUrl } from "../../api";
import { LESSON_IDS, MINE, neighbour } from "../../lesson/ids";
import { stageOf } from "../../lesson/progress";
import { Icon } from "../../parts/icon";
import { cards, lesson, openLesson, presenting } from "../../store/lesson";
import { progressOf } from "../../store/lesson-progress";
import { say } from "../../store/messages";
import { language } from "../../store/preferences";
import { addressNow, hidden } from "../../store/url";
import { openGlossary } from "./glossary-state";
import { proseOf, tl } from "./words";

export function LessonBar() {
  const id = lesson.value;
  if (id === "" || hidden.value.includes("header")) return null;
  const previous = neighbour(id, -1);
  const next = neighbour(id, 1);
  const known = cards.value.phase === "ready" ? new Set(cards.value.is.map((one) => one.id)) : null;
  return (
    <div class="lesson-bar">
      <button type="button" class="button bare compact" onClick={() => openLesson("")}>
        <Icon name="left" />
        {tl("bar.contents")}
      </button>
      <nav class="ladder" aria-label={tl("bar.lessons")}>
        {LESSON_IDS.map((one, index) => (
          <button
            key={one}
            type="button"
            class={stageOf(progressOf(one))}
            aria-current={one === id ? "step" : undefined}
            disabled={known !== null && !known.has(one)}
            title={proseOf(one)?.title}
            onClick={() => openLesson(one)}
          >
            <span class="spoken">{tl("bar.lesson", { number: index + 1, title: proseOf(one)?.title ?? one })}</span>
            <span aria-hidden="true">{index + 1}</span>
          </button>
        ))}
      </nav>
      <div class="end">
        <button type="button" class="button bare compact" title={`${tl("glossary.title")} (G)`} onClick={() => openGlossary()}>
          <Icon name="book" />
          <span class="wide-only">{tl("glossary.title")}</span>
        </button>
        {id !== MINE && (
          <a class="button bare compact wide-only" href={notebookUrl(id, language.value)} download>
            <Icon name="save" />
            {tl("bar.notebook")}
          </a>
        )}
        <button type="button" class="button bare compact" onClick={() => void copyLink()} title={tl("bar.link_about")}>
          <Icon name="link" />
          <span class="wide-only">{tl("bar.link")}</span>
        </button>
        <button
          type="button"
          class="button bare compact wide-only"
          aria-pressed={presenting.value}
          title={`${tl("bar.present")} (P)`}
          onClick={() => (presenting.value = !presenting.value)}
        >
          <Icon name="present" />
          {tl("bar.present")}
        </button>
        <span class="turn">
          <Turn to={previous} by={-1} known={known} />
          <Turn to={next} by={1} known={known} />
        </span>
      </div>
    </div>
  );
}

interface TurnProps {
  readonly to: ReturnType<typeof neighbour>;
  readonly by: 1 | -1;
  readonly known: ReadonlySet<string> | null;
}

function Turn({ to, by, known }: TurnProps) {
  const title = to === null ? "" : (proseOf(to)?.title ?? to);
  const label = tl(by > 0 ? "bar.next" : "bar.previous");
  return (
    <button
      type="button"
      class="button compact icon"
      disabled={to === null || (known !== null && !known.has(to))}
      title={title === "" ? label : `${label}: ${title} (${by > 0 ? "N" : "B"})`}
      aria-label={title === "" ? label : `${label}: ${title}`}
      onClick={() => to && openLesson(to)}
    >
      <Icon name={by > 0 ? "right" : "left"} />
    </button>
  );
}

async function copyLink(): Promise<void> {
  try {
    await navigator.clipboard.writeText(addressNow());
    say(tl("bar.link_copied"));
  } catch {
    say(addressNow()); // no clipboard here: then it can be read and copied by hand
  }
}
