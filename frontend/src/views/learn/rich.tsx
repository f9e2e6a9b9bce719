/** A text with its marks: code, emphasis, terms that open the glossary, and numbers that were measured in this run. */
import type { ComponentChildren } from "preact";
import { DASH } from "../../i18n/format";
import type { Log } from "../../lesson/log";
import { pieces, type Piece } from "../../lesson/prose";
import { inProse } from "../../lesson/quantity";
import { base, film } from "../../store/lesson";
import { isRevealed } from "../../store/lesson-progress";
import { openGlossary } from "./glossary-state";
import { term, tl, worded, wordedMeasure } from "./words";

interface Props {
  readonly text: string;
  /** Whose numbers: those of the lesson's own program, or of the variant that is shown. */
  readonly of?: "program" | "shown";
  /** Terms as plain words: within a button there can be no other. */
  readonly plain?: boolean;
}

/** What clings to the word before it: no line begins with it. */
const CLINGS = /^[.,:;!?)»”…]+/;

export function Rich({ text, of = "shown", plain = false }: Props) {
  const log = (of === "program" ? base : film).value?.log;
  const found: ComponentChildren[] = [];
  const cut = pieces(text);
  cut.forEach((piece, at) => {
    const next = cut[at + 1];
    // Only a button is a box of its own, behind which a line may break.
    const clings = piece.kind === "term" && !plain && next?.kind === "text" ? (CLINGS.exec(next.text)?.[0] ?? "") : "";
    if (clings !== "" && next?.kind === "text") cut[at + 1] = { kind: "text", text: next.text.slice(clings.length) };
    const said = <Said key={at} piece={cut[at]!} log={log} plain={plain} />;
    found.push(
      clings === "" ? (
        said
      ) : (
        <span key={at} class="glued">
          {said}
          {clings}
        </span>
      ),
    );
  });
  return <>{found}</>;
}

function Said({ piece, log, plain }: { readonly piece: Piece; readonly log: Log | undefined; readonly plain: boolean }) {
  switch (piece.kind) {
    case "text":
      return <>{piece.text}</>;
    case "em":
      return <em>{piece.text}</em>;
    case "code":
      return <code>{piece.text}</code>;
    case "measure":
      return <Measured name={piece.name} waits={piece.waits} log={log} />;
    case "term":
      if (plain) return <>{piece.text}</>;
      return (
        <button type="button" class="term" title={term(piece.term)?.text.replace(/[`*]/g, "")} onClick={() => openGlossary(piece.term)}>
          {piece.text}
        </button>
      );
  }
}

/** A number of this very run; a dash as long as there is none, and a blank where it would give the prediction away. */
function Measured({ name, waits, log }: { readonly name: string; readonly waits: boolean; readonly log: Log | undefined }) {
  if (waits && log && !isRevealed(log.lesson)) {
    return (
      <b class="measured waits" title={tl("measures.covered")}>
        ?
      </b>
    );
  }
  const measure = log?.measures[name];
  const given = log?.parameters[name];
  const known = measure ?? (given === undefined ? null : { value: given, unit: "" });
  const said = known === null ? DASH : typeof known.value === "boolean" ? worded(known).value : typeof known.value === "string" && log ? wordedMeasure(log, name).value : inProse(known);
  return (
    <b class="measured" title={tl(known === null ? "measured.not_yet" : measure ? "measured.here" : "measured.given")}>
      {said}
    </b>
  );
}
