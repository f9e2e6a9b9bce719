/**
 * The code that ran: its current line lit, the lines of suspended and calling frames marked, breakpoints in the gutter.
 * Pointing at a line lights up what it has to do with in the picture, and the other way round.
 */
import { useComputed, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { changedLines } from "../../lesson/changes";
import { place, toggled } from "../../lesson/breakpoints";
import { MINE } from "../../lesson/ids";
import type { Frame, Source } from "../../lesson/log";
import { tokenLines, type Token } from "../../lesson/python";
import { base, breakpoints, film, lesson, picture, pointed } from "../../store/lesson";
import { relatedNow } from "./related-now";
import { tl } from "./words";

/** How the frames stand to a line: at most one mark for each line, the strongest. */
type Mark = "running" | "finished" | "suspended" | "calling";

function marks(): ReadonlyMap<string, Mark> {
  const found = new Map<string, Mark>();
  const { stack, step } = picture.value;
  for (const frame of stack) found.set(place(frame.source, frame.line), markOf(frame, step?.frame ?? null));
  if (step) found.set(place(step.source, step.line), step.event === "return" ? "finished" : step.event === "yield" ? "suspended" : "running");
  return found;
}

const markOf = (frame: Frame, current: number | null): Mark =>
  frame.state === "suspended" ? "suspended" : frame.state === "finished" ? "finished" : frame.id === current ? "running" : "calling";

export function Program() {
  const shown = film.value;
  if (!shown) return <Skeleton />;
  return (
    <div class="program">
      {shown.log.sources.map((source, index) => (
        <SourceCode key={`${shown.log.variant}-${source.name}-${source.first_line}`} source={source} index={index} />
      ))}
    </div>
  );
}

function SourceCode({ source, index }: { readonly source: Source; readonly index: number }) {
  const list = useRef<HTMLOListElement>(null);
  const tokens = useMemo(() => tokenLines(source.lines), [source]);
  const here = useComputed(marks);
  const current = picture.value.step?.source === index ? picture.value.step.line : null;
  const original = index === 0 ? base.value?.log : null;
  const isVariant = original && film.value && original.variant !== film.value.log.variant;
  const changed = useMemo(
    () => (isVariant ? changedLines(original.sources[0]!.lines, source.lines) : new Set<number>()),
    [source, isVariant ? original : null],
  );
  const bringCurrent = () => {
    const step = picture.peek().step;
    if (step?.source === index) bringIntoView(list.current?.querySelector<HTMLElement>(`[data-line="${step.line}"]`));
  };
  // After the line was drawn. Only this pane scrolls: the page stays where the reader has it.
  useSignalEffect(() => {
    if (picture.value.step?.source === index) queueMicrotask(bringCurrent);
  });
  useEffect(() => {
    const pane = list.current?.closest(".code-pane");
    if (!pane) return;
    const resized = new ResizeObserver(bringCurrent); // a telephone that is turned, a window that is made smaller
    resized.observe(pane);
    return () => resized.disconnect();
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const buttons = [...(list.current?.querySelectorAll<HTMLButtonElement>("button") ?? [])];
    const next = buttons[buttons.indexOf(event.target as HTMLButtonElement) + (event.key === "ArrowDown" ? 1 : -1)];
    next?.focus();
    event.preventDefault();
  };
  return (
    <section class="source" aria-label={tl("program.of", { name: source.name })}>
      <h3>
        <code>{source.name}</code>
        {index > 0 && <span>{tl(lesson.value === MINE ? "program.call" : "program.beside")}</span>}
      </h3>
      <ol ref={list} onKeyDown={onKeyDown}>
        {source.lines.map((_, at) => (
          <Line
            key={at}
            index={index}
            line={source.first_line + at}
            tokens={tokens[at]!}
            mark={here.value.get(place(index, source.first_line + at)) ?? null}
            isChanged={changed.has(at)}
            isTabStop={current === null ? at === 0 : source.first_line + at === current}
          />
        ))}
      </ol>
    </section>
  );
}

/** A line that is too long for its pane goes on below, this much farther in. */
const HANG = 4;

const indentOf = (tokens: readonly Token[]): number => /^ */.exec(tokens.map(({ text }) => text).join(""))![0].length;

interface LineProps {
  readonly index: number;
  readonly line: number;
  readonly tokens: readonly Token[];
  readonly mark: Mark | null;
  readonly isChanged: boolean;
  readonly isTabStop: boolean;
}

function Line({ index, line, tokens, mark, isChanged, isTabStop }: LineProps) {
  const here = place(index, line);
  const stops = breakpoints.value.includes(here);
  const lit = relatedNow.value.lines.has(here);
  const { step } = picture.value;
  const isCurrent = step !== null && step.source === index && step.line === line;
  const point = () => (pointed.value = { on: "line", source: index, line });
  const leave = () => (pointed.value = null);
  return (
    <li
      class={["line", mark ?? "", isCurrent ? "current" : "", lit ? "lit" : "", isChanged ? "changed" : ""].join(" ")}
      data-line={line}
      onPointerEnter={point}
      onPointerLeave={leave}
    >
      <button
        type="button"
        class="number"
        aria-pressed={stops}
        aria-label={tl("program.line", { line })}
        aria-describedby={mark ? `mark-${index}-${line}` : undefined}
        tabIndex={isTabStop ? 0 : -1}
        title={tl(stops ? "program.clear_breakpoint" : "program.set_breakpoint")}
        onClick={() => (breakpoints.value = toggled(breakpoints.value, here))}
        onFocus={point}
        onBlur={leave}
      >
        {line}
      </button>
      <div class="text" style={{ "--hang": `${indentOf(tokens) + HANG}ch` }}>
        <code>
          {tokens.map(({ text, kind }, at) =>
            kind === "" ? (
              text
            ) : (
              <span key={at} class={lit && kind === "name" && relatedNow.value.names.has(text) ? "name marked" : kind}>
                {text}
              </span>
            ),
          )}
          {tokens.length === 0 && "\u200b"}
        </code>
        {isCurrent && <Outcome />}
        {mark && (
          <span class="mark" id={`mark-${index}-${line}`}>
            {tl(`mark.${mark}`)}
          </span>
        )}
      </div>
    </li>
  );
}

/** What came out of the line: beside it, where it is looked for. */
function Outcome() {
  const { step } = picture.value;
  if (!step || step.value === null) return null;
  // A module returns to nobody.
  if (step.event === "return" && picture.value.stack.find(({ id }) => id === step.frame)?.function === "<module>") return null;
  return (
    <span class={`outcome ${step.event}`}>
      {tl(`outcome.${step.event}` as Parameters<typeof tl>[0])} <code>{step.value}</code>
    </span>
  );
}

function bringIntoView(line: HTMLElement | null | undefined): void {
  const pane = line?.closest<HTMLElement>(".code-pane");
  if (!line || !pane || pane.scrollHeight <= pane.clientHeight) return;
  const top = line.getBoundingClientRect().top - pane.getBoundingClientRect().top;
  const margin = Math.min(96, pane.clientHeight / 4);
  if (top < margin || top + line.offsetHeight > pane.clientHeight - margin) pane.scrollTop += top - pane.clientHeight * 0.4;
}

const SKELETON = [38, 62, 30, 54, 70, 44, 58, 26, 66, 48, 36, 60];

function Skeleton() {
  return (
    <div class="program skeleton" aria-hidden="true">
      {SKELETON.map((width, index) => (
        <i key={index} style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}
