/** What the program has printed up to here. A variant stands beside the program as it was, line by line. */
import { useRef } from "preact/hooks";
import { useSignalEffect } from "@preact/signals";
import { atEnd, base, card, film, picture } from "../../store/lesson";
import { Rich } from "./rich";
import { proseOf, tl } from "./words";

const linesOf = (text: string): string[] => text.replace(/\n$/, "").split("\n");

export function OutputPane() {
  const box = useRef<HTMLDivElement>(null);
  const { output, step } = picture.value;
  useSignalEffect(() => {
    void picture.value;
    queueMicrotask(() => box.current && (box.current.scrollTop = box.current.scrollHeight));
  });
  const log = film.value?.log;
  if (log && log.fault === null && log.cut === "" && log.steps.every((one) => one.output === "")) return null;
  const first = card.value?.variants[0] ?? "";
  const original = log && log.variant !== first ? base.value : null;
  const lines = output === "" ? [] : linesOf(output);
  const fresh = step?.output ? linesOf(step.output).length : 0;
  const other = original ? linesOf(original.at(original.last).output) : [];
  const name = (variant: string) => proseOf(log?.lesson ?? "")?.variants[variant]?.name ?? variant;
  return (
    <section class="output" aria-label={tl("output.title")}>
      <h2>
        {tl("output.title")}
        {log && log.cut !== "" && <span class="chip notice">{tl(`cut.${log.cut}`)}</span>}
      </h2>
      <div class="columns" ref={box} tabIndex={0} role="region" aria-label={tl("output.title")}>
        <Printed
          lines={lines}
          title={original ? name(log!.variant) : ""}
          fresh={fresh}
          other={original ? other : null}
          fault={log?.fault && atEnd.value ? `${log.fault.type}: ${log.fault.message}` : ""}
        />
        {original && <Printed lines={other} title={name(first)} fresh={0} other={lines} fault="" />}
      </div>
    </section>
  );
}

interface PrintedProps {
  readonly lines: readonly string[];
  readonly title: string;
  /** How many of the last lines this step has printed. */
  readonly fresh: number;
  /** The lines that stand beside these. */
  readonly other: readonly string[] | null;
  /** The exception that ended the program, once it has. */
  readonly fault: string;
}

function Printed({ lines, title, fresh, other, fault }: PrintedProps) {
  return (
    <div class="printed">
      {title !== "" && (
        <h3>
          <Rich text={title} />
        </h3>
      )}
      {lines.length === 0 && fault === "" ? (
        <p class="quiet">{tl("output.none")}</p>
      ) : (
        <pre>
          {lines.map((line, index) => (
            <code key={index} class={`${index >= lines.length - fresh ? "fresh" : ""}${other && index < other.length && other[index] !== line ? " differs" : ""}`}>
              {line === "" ? " " : line}
            </code>
          ))}
          {fault !== "" && <code class="fault">{fault}</code>}
        </pre>
      )}
    </div>
  );
}
