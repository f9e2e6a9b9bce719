/** Objects as boxes: a sequence as its cells, an iterator as a place in its sequence, a tensor as its numbers. */
import type { Local, Thing } from "../../lesson/log";
import { hasRun, walkOf, type Walk } from "../../lesson/walk";
import { windowOf } from "../../lesson/window";
import { before, film, picture, pointed } from "../../store/lesson";
import { relatedNow } from "./related-now";
import { tl, tlCount, tlOr } from "./words";

interface Props {
  readonly thing: Thing;
  /** Objects that are drawn within the one that names them. */
  readonly within: ReadonlySet<number>;
}

export function ThingBox({ thing, within, isFirst }: Props & { readonly isFirst: boolean }) {
  const lit = relatedNow.value.things.has(thing.id);
  const names = picture.value.stack.flatMap(({ locals }) => locals.flatMap((local) => (local.thing === thing.id ? [local.name] : [])));
  const point = () => (pointed.value = { on: "thing", thing: thing.id });
  const leave = () => (pointed.value = null);
  return (
    <article
      class={`thing ${thing.kind}${lit ? " lit" : ""}${before.value.things.has(thing.id) ? "" : " new"}`}
      data-thing={thing.id}
      data-point
      tabIndex={isFirst ? 0 : -1}
      onPointerEnter={point}
      onPointerLeave={leave}
      onFocus={point}
      onBlur={leave}
    >
      <h3>
        <code>{thing.type}</code>
        <span class="names">{[...new Set(names)].join(", ")}</span>
        {thing.kind !== thing.type && <span>{tlOr(`thing.${thing.kind}`, thing.kind)}</span>}
      </h3>
      <Body thing={thing} within={within} />
    </article>
  );
}

function Body({ thing, within }: Props) {
  const { things } = picture.value;
  if (thing.kind === "tensor") return <Tensor thing={thing} />;
  if (thing.kind === "list" || thing.kind === "tuple" || thing.kind === "set") {
    const walkers = [...things.values()].filter((other) => walkOf(other, things)?.over === thing.id);
    return <Sequence thing={thing} within={within} walkers={walkers} />;
  }
  if (thing.kind === "generator") return <p class="note">{generatorNote(thing)}</p>;
  const walk = walkOf(thing, things);
  return (
    <>
      {walk && walk.over === null && <WalkCells walk={walk} />}
      <Parts thing={thing} within={within} />
      {walk && <p class="note">{walk.position >= walk.cells.length ? tl("walk.used_up") : tl("walk.next", { cell: walk.cells[walk.position]! })}</p>}
    </>
  );
}

function generatorNote(thing: Thing): string {
  const frame = picture.value.stack.find(({ id }) => id === thing.frame);
  if (thing.frame === null) return tl(film.value && hasRun(film.value.log, picture.value.cursor, thing.id) ? "generator.ended" : "generator.not_begun");
  if (!frame || frame.state === "finished") return tl("generator.ended");
  return frame.state === "suspended" ? tl("generator.waits", { line: frame.line }) : tl("generator.runs", { line: frame.line });
}

/** The elements of a text or a range, those that were given already behind the mark. */
function WalkCells({ walk }: { readonly walk: Walk }) {
  return (
    <ol class="cells walk" aria-label={tl("walk.title", { position: walk.position, count: walk.cells.length })}>
      {walk.cells.map((cell, index) => (
        <li key={index} class={index < walk.position ? "given" : index === walk.position ? "next" : ""}>
          {cell}
        </li>
      ))}
      {walk.position >= walk.cells.length && <li class="next end" aria-hidden="true" />}
    </ol>
  );
}

const oldPart = (thing: Thing, name: string): Local | undefined => before.value.things.get(thing.id)?.parts.find((part) => part.name === name);

function isNew(thing: Thing, part: Local): boolean {
  if (!before.value.things.has(thing.id)) return false;
  const old = oldPart(thing, part.name);
  return old?.text !== part.text || old.thing !== part.thing;
}

function Sequence({ thing, within, walkers }: Props & { readonly walkers: readonly Thing[] }) {
  const { things } = picture.value;
  const positions = new Map(walkers.map((walker) => [walkOf(walker, things)!.position, walker.type]));
  if (thing.parts.length === 0) return <p class="note">{tl("thing.empty")}</p>;
  const isNested = thing.parts.some(({ thing: id }) => id !== null && within.has(id));
  const newest = thing.parts.findLastIndex((part) => isNew(thing, part));
  const [from, to] = isNested ? [0, thing.parts.length] : windowOf(thing.parts.map(({ text }) => text), [...positions.keys()][0] ?? newest);
  const left = thing.hidden + thing.parts.length - to;
  return (
    <ol class={`cells${isNested ? " nested" : ""}${positions.size > 0 ? " walked" : ""}`}>
      {from > 0 && <li class="hidden-parts">{tlCount("thing.earlier", from)}</li>}
      {thing.parts.slice(from, to).map((part, at) => (
        <li key={part.name} class={`${isNew(thing, part) ? "new" : ""}${positions.has(from + at) ? " next" : ""}`} data-index={thing.kind === "set" ? undefined : part.name}>
          {positions.has(from + at) && <span class="spoken">{positions.get(from + at)}</span>}
          <PartValue part={part} within={within} />
        </li>
      ))}
      {left > 0 && <li class="hidden-parts">{tlCount("thing.hidden", left)}</li>}
      {positions.has(thing.parts.length) && (
        <li class="next end">
          <span class="spoken">{positions.get(thing.parts.length)}</span>
        </li>
      )}
    </ol>
  );
}

function PartValue({ part, within }: { readonly part: Local; readonly within: ReadonlySet<number> }) {
  const inner = part.thing === null ? undefined : picture.value.things.get(part.thing);
  if (!inner) return <code>{part.text}</code>;
  if (within.has(inner.id)) return <Inner thing={inner} within={within} />;
  return (
    <span class="refers" data-refers={inner.id}>
      {part.text}
    </span>
  );
}

/** An object in the box of the only one that names it. */
function Inner({ thing, within }: Props) {
  if (thing.kind === "tensor") return <Tensor thing={thing} isInner />;
  if (thing.kind === "list" || thing.kind === "tuple") return <Body thing={thing} within={within} />;
  return (
    <div class="inner">
      <code>{thing.type}</code>
      <Body thing={thing} within={within} />
    </div>
  );
}

function Parts({ thing, within }: Props) {
  if (thing.parts.length === 0) return <p class="note">{tl("thing.no_parts")}</p>;
  return (
    <>
      <dl>
        {thing.parts.map((part) => (
          <div key={part.name} class={`local${isNew(thing, part) ? " new" : ""}`}>
            <dt>{part.name}</dt>
            <dd>
              <PartValue part={part} within={within} />
            </dd>
          </div>
        ))}
      </dl>
      {thing.hidden > 0 && <p class="note">{tlCount("thing.hidden", thing.hidden)}</p>}
    </>
  );
}

const MAX_COLUMNS = 20;

/** Rows of the last dimension. Zeros are faint: padding is seen at a glance. One dimension is a row of cells like any other. */
function Tensor({ thing, isInner = false }: { readonly thing: Thing; readonly isInner?: boolean }) {
  const shape = thing.shape ?? [];
  const columns = Math.min(MAX_COLUMNS, shape.at(-1) ?? 1);
  const wide = shape.at(-1) ?? 1;
  if (shape.length <= 1) {
    return (
      <>
        {!isInner && (
          <p class="note">
            <code>{thing.text}</code>
          </p>
        )}
        <ol class="cells tensor-row">
          {thing.parts.map((cell) => (
            <li key={cell.name}>{cell.text}</li>
          ))}
          {thing.hidden > 0 && <li class="hidden-parts">{tlCount("thing.hidden", thing.hidden)}</li>}
        </ol>
      </>
    );
  }
  const rows: Local[][] = [];
  for (let at = 0; at < thing.parts.length; at += Math.max(1, wide)) rows.push(thing.parts.slice(at, at + Math.min(wide, columns)));
  return (
    <>
      <p class="note">
        <code>{thing.text}</code>
      </p>
      <div class="tensor-grid" style={{ "--columns": columns }}>
        {rows.map((row, index) => (
          <div key={index}>
            {row.map((cell) => (
              <code key={cell.name} class={Number(cell.text) === 0 ? "zero" : ""}>
                {cell.text}
              </code>
            ))}
          </div>
        ))}
      </div>
      {thing.hidden > 0 && <p class="note">{tlCount("thing.hidden", thing.hidden)}</p>}
    </>
  );
}
