/** The picture of a step: frames with their names, the objects that they name, and what was printed. */
import { useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Frame, Local } from "../../lesson/log";
import { placed } from "../../lesson/walk";
import { before, film, picture, pointed } from "../../store/lesson";
import { Arrows } from "./arrows";
import { relatedNow } from "./related-now";
import { ThingBox } from "./things";
import { tl } from "./words";

export function PicturePane() {
  const box = useRef<HTMLDivElement>(null);
  const { stack, things, cursor } = picture.value;
  useSignalEffect(() => {
    void picture.value;
    queueMicrotask(() => box.current && bringChangesIntoView(box.current));
  });
  if (!film.value) return <div class="scene" aria-hidden="true" />;
  if (cursor < 0) {
    return (
      <div class="scene not-begun">
        <p>{tl("picture.not_begun")}</p>
        <p class="quiet">
          <kbd>→</kbd> {tl("picture.first_step")}
        </p>
      </div>
    );
  }
  const { alone, within } = placed(stack, things);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [...(box.current?.querySelectorAll<HTMLElement>("[data-point]") ?? [])];
    stops[stops.indexOf(document.activeElement as HTMLElement) + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
    event.preventDefault();
  };
  return (
    <div class="scene" ref={box} onKeyDown={onKeyDown} role="group" aria-label={tl("picture.title")}>
      <section class="frames" aria-label={tl("picture.frames")}>
        {stack.map((frame, index) => (
          <FrameCard key={frame.id} frame={frame} isFirst={index === 0} />
        ))}
      </section>
      <section class="things" aria-label={tl("picture.things")}>
        {alone.map((thing, index) => (
          <ThingBox key={thing.id} thing={thing} within={within} isFirst={index === 0} />
        ))}
      </section>
      <Arrows box={box} />
    </div>
  );
}

/** The frame that runs, and what this step has changed: each column scrolls for itself, and no farther than it must. */
function bringChangesIntoView(box: HTMLElement): void {
  const [frames, things] = [box.querySelector<HTMLElement>(".frames"), box.querySelector<HTMLElement>(".things")];
  if (!frames || !things) return;
  const renamed = frames.querySelector(".local.new");
  scrollTo(frames, frames.querySelector(".frame.current"));
  scrollTo(frames, renamed);
  const named = renamed?.querySelector<HTMLElement>("[data-refers]")?.dataset.refers;
  const changed = [...things.querySelectorAll(`.thing.new, .local.new, .cells > .new, [data-thing="${named}"]`)].at(-1) ?? null;
  scrollTo(things, changed?.closest(".thing") ?? null);
  scrollTo(things, changed);
}

const MARGIN_PX = 8;

/** Of what is taller than the column its beginning is shown. */
function scrollTo(column: HTMLElement, part: Element | null): void {
  if (!part) return;
  const [seen, wanted] = [column.getBoundingClientRect(), part.getBoundingClientRect()];
  const [above, below] = [seen.top + MARGIN_PX - wanted.top, wanted.bottom + MARGIN_PX - seen.bottom];
  if (above > 0) column.scrollTop -= above;
  else if (below > 0) column.scrollTop += Math.min(below, -above);
}

function FrameCard({ frame, isFirst }: { readonly frame: Frame; readonly isFirst: boolean }) {
  const { step } = picture.value;
  const old = before.value.stack.find(({ id }) => id === frame.id);
  const isCurrent = step?.frame === frame.id;
  const state = frame.state === "running" && !isCurrent ? "calling" : frame.state;
  const lit = relatedNow.value.frames.has(frame.id);
  const point = () => (pointed.value = { on: "frame", frame: frame.id });
  const leave = () => (pointed.value = null);
  return (
    <article class={`frame ${state}${isCurrent ? " current" : ""}${lit ? " lit" : ""}${old ? "" : " new"}`}>
      <header
        tabIndex={isFirst ? 0 : -1}
        data-point
        data-frame={frame.id}
        onPointerEnter={point}
        onPointerLeave={leave}
        onFocus={point}
        onBlur={leave}
      >
        <h3>{frame.function === "<module>" ? tl("picture.module") : <code>{frame.function}</code>}</h3>
        <span class="state">
          {tl(`frame.${state}`)} · {tl("picture.at_line", { line: frame.line })}
        </span>
      </header>
      {frame.locals.length > 0 && (
        <dl>
          {frame.locals.map((local) => (
            <LocalRow key={local.name} frame={frame} local={local} old={old?.locals.find(({ name }) => name === local.name)} isKnown={old !== undefined} />
          ))}
        </dl>
      )}
    </article>
  );
}

interface LocalProps {
  readonly frame: Frame;
  readonly local: Local;
  readonly old: Local | undefined;
  readonly isKnown: boolean;
}

function LocalRow({ frame, local, old, isKnown }: LocalProps) {
  const changed = isKnown && (old?.text !== local.text || old.thing !== local.thing);
  const lit = relatedNow.value.locals.has(`${frame.id}.${local.name}`);
  const point = () => (pointed.value = { on: "local", frame: frame.id, name: local.name });
  const leave = () => (pointed.value = null);
  return (
    <div
      class={`local${changed ? " new" : ""}${lit ? " lit" : ""}`}
      tabIndex={-1}
      data-point
      onPointerEnter={point}
      onPointerLeave={leave}
      onFocus={point}
      onBlur={leave}
    >
      <dt>{local.name}</dt>
      <dd>
        {local.thing === null ? (
          <code>{local.text}</code>
        ) : (
          <span class="refers" data-refers={local.thing}>
            {local.text}
          </span>
        )}
      </dd>
    </div>
  );
}
