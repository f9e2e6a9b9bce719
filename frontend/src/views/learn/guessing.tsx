/** Guesses and answers: a number between bounds or one of a few choices, and how it stood to what was measured. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Question, Value } from "../../lesson/log";
import { extent, position } from "../../lesson/axis";
import { worded, tl } from "./words";
import { joined } from "../../i18n/format";

interface GiveProps {
  readonly id: string;
  readonly question: Question;
  readonly choices: Readonly<Record<string, string>> | undefined;
  /** The text above it, by its id. */
  readonly labelledBy: string;
  readonly given: string | null;
  readonly button: string;
  readonly onGive: (answer: string) => void;
}

export function Give({ id, question, choices, labelledBy, given, button, onGive }: GiveProps) {
  const value = useSignal(given ?? "");
  useEffect(() => {
    value.value = given ?? "";
  }, [given, id]);
  const submit = (event: Event) => {
    event.preventDefault();
    if (value.value !== "") onGive(value.value);
  };
  return (
    <form class="give" onSubmit={submit} aria-labelledby={labelledBy}>
      {question.choices.length > 0 ? (
        <div class="choices" role="radiogroup" aria-labelledby={labelledBy}>
          {question.choices.map((choice) => (
            <label key={choice}>
              <input type="radio" name={id} value={choice} checked={value.value === choice} onChange={() => (value.value = choice)} />
              <span>{choices?.[choice] ?? choice}</span>
            </label>
          ))}
        </div>
      ) : (
        <NumberEntry question={question} labelledBy={labelledBy} value={value.value} onChange={(next) => (value.value = next)} />
      )}
      <button class="button" disabled={value.value === ""}>
        {button}
      </button>
    </form>
  );
}

/** Bounds this far apart are walked through by factors: a slider of equal steps would have its small numbers in one pixel. */
const WIDE = 500;

interface NumberEntryProps {
  readonly question: Question;
  readonly labelledBy: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function NumberEntry({ question, labelledBy, value, onChange }: NumberEntryProps) {
  const { min, max, unit } = question;
  const isWide = min >= 0 && max / Math.max(min, 1) > WIDE;
  const isWhole = Number.isInteger(min) && Number.isInteger(max) && max - min >= 2;
  const toPlace = (number: number) => (isWide ? Math.log10(Math.max(number, 1)) / Math.log10(max) : (number - min) / (max - min));
  const toNumber = (place: number) => {
    const raw = isWide ? max ** place : min + place * (max - min);
    return isWide ? Number(raw.toPrecision(2)) : isWhole ? Math.round(raw) : Number(raw.toPrecision(3));
  };
  const stops = isWhole && !isWide && max - min <= 200 ? max - min : 200;
  const number = value === "" ? null : Number(value);
  return (
    <div class="number-entry">
      <input
        type="range"
        min={0}
        max={stops}
        value={number === null ? 0 : Math.round(toPlace(number) * stops)}
        class={number === null ? "unset" : ""}
        style={{ "--filled": `${number === null ? 0 : toPlace(number) * 100}%` }}
        aria-labelledby={labelledBy}
        aria-valuetext={number === null ? tl("guess.none") : joined(worded({ value: number, unit }))}
        onInput={(event) => onChange(String(toNumber(event.currentTarget.valueAsNumber / stops)))}
      />
      <span class="entered">{number === null ? "?" : shownValue(number, unit)}</span>
    </div>
  );
}

function shownValue(value: Value, unit: string) {
  const { value: text, unit: name } = worded({ value, unit });
  return (
    <>
      <b>{text}</b> {name}
    </>
  );
}

interface ComparedProps {
  readonly question: Question;
  readonly given: string;
  readonly answer: Value;
  readonly choices: Readonly<Record<string, string>> | undefined;
}

/** The guess and what was measured, on one line of numbers, or one below the other. */
export function Compared({ question, given, answer, choices }: ComparedProps) {
  const { unit } = question;
  if (question.choices.length > 0 || typeof answer !== "number") {
    const text = (value: string) => choices?.[value] ?? worded({ value: value === "true" ? true : value === "false" ? false : value, unit: "" }).value;
    return (
      <dl class="compared words">
        <dt>{tl("guess.yours")}</dt>
        <dd>{text(given)}</dd>
        <dt>{tl("guess.measured")}</dt>
        <dd>
          <b>{text(String(answer))}</b>
        </dd>
      </dl>
    );
  }
  const guess = Number(given);
  const bounds = extent([question.min, question.max, guess, answer]);
  const isWide = bounds.from >= 0 && bounds.to > WIDE;
  const at = (value: number) => (isWide ? (Math.log10(Math.max(1, value)) / Math.log10(bounds.to)) * 100 : position(value, bounds, 100));
  return (
    <figure class="compared" aria-label={tl("guess.chart", { guess: joined(worded({ value: guess, unit })), measured: joined(worded({ value: answer, unit })) })}>
      <div class="bar">
        <span class="label">{tl("guess.yours")}</span>
        <span class="track">
          <i class="guess" style={{ width: `${at(guess)}%` }} />
        </span>
        <span class="value">{shownValue(guess, unit)}</span>
      </div>
      <div class="bar">
        <span class="label">{tl("guess.measured")}</span>
        <span class="track">
          <i class="answer" style={{ width: `${at(answer)}%` }} />
          <i class="mark" style={{ left: `${at(guess)}%` }} />
        </span>
        <span class="value">{shownValue(answer, unit)}</span>
      </div>
      {isWide && <figcaption class="quiet">{tl("chart.logarithmic")}</figcaption>}
    </figure>
  );
}
