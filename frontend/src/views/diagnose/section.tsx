/** A part of the diagnosis: its title, what it means in a sentence, why something is missing, and what was left out. */
import type { ComponentChildren } from "preact";
import { said, t } from "../../i18n";
import { moment } from "../../i18n/format";
import { diagnosis, diagnosisProblem } from "../../store/diagnosis";

interface Props {
  readonly id: string;
  readonly title: string;
  readonly about: string;
  /** A short count or sum beside the title. */
  readonly note?: string | undefined;
  readonly children: ComponentChildren;
}

export function Section({ id, title, about, note, children }: Props) {
  return (
    <section class="pane diagnosis-section" id={id} aria-labelledby={`${id}-title`}>
      <div class="section-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {note && <span class="note">{note}</span>}
        <p>{about}</p>
      </div>
      <div class="section-body">
        <Coming />
        {children}
      </div>
    </section>
  );
}

/** Nothing is known yet, or it could not be had. */
export function Coming() {
  return diagnosis.value ? null : <p class="hint">{diagnosisProblem.value || t("diagnose.coming")}</p>;
}

/** What the recording does not tell of a field of the diagnosis, and why. */
export function NotMeasured({ what }: { readonly what: string }) {
  const known = diagnosis.value;
  if (!known) return null;
  const why = known.not_measured.filter((each) => each.what === what || each.what.startsWith(`${what}.`));
  return (
    <>
      {why.map((each) => (
        <p key={each.what} class="not-measured">
          {said(each.why)}
        </p>
      ))}
    </>
  );
}

/** Where not all of the run was looked at: long runs hold more events than can be read at once. */
export function Limits() {
  const known = diagnosis.value;
  if (!known) return null;
  const notes = [
    known.shortened && t("diagnose.shortened", { from: moment(known.start_ns, 1e9) }),
    known.details_from_ns > known.start_ns && t("diagnose.details_from", { from: moment(known.details_from_ns, 1e9) }),
  ].filter((note) => note !== false);
  if (notes.length === 0) return null;
  return (
    <div class="limits pane">
      {notes.map((note) => (
        <p key={note} class="not-measured">
          {note}
        </p>
      ))}
    </div>
  );
}
