/** What was measured in this run: curves as small charts, everything else as large numbers with their units. */
import { joined } from "../../i18n/format";
import type { Curve, Log } from "../../lesson/log";
import { card, film } from "../../store/lesson";
import { isRevealed, uncover } from "../../store/lesson-progress";
import { hidden } from "../../store/url";
import { CurveChart } from "./curve-chart";
import { Rich } from "./rich";
import { proseOf, tl, worded, wordedMeasure } from "./words";

/** The numbers give the prediction away: they are shown once it was made and run, or when they are asked for. */
export function Measures() {
  const log = film.value?.log;
  const known = card.value;
  if (!log || !known || hidden.value.includes("measures")) return null;
  const isOpen = known.prediction === null || isRevealed(known.id);
  const inTable = new Set(known.table?.rows.flatMap(({ cells }) => cells.filter(({ lesson }) => lesson === known.id).map(({ measure }) => measure)));
  const names = Object.keys(log.measures).filter((name) => !inTable.has(name));
  if (names.length === 0 && log.curves.length === 0) return null;
  return (
    <section class="measures" aria-labelledby="measures-title">
      <h2 id="measures-title">{tl("measures.title")}</h2>
      {isOpen ? (
        <>
          {grouped(log.curves).map((curves) => (
            <CurveChart key={curves[0]!.name} curves={curves} />
          ))}
          <dl class="measure-grid">
            {names.map((name) => (
              <One key={name} log={log} name={name} />
            ))}
          </dl>
          <p class="quiet small">
            {tl("measures.host", { python: log.host.python, system: log.host.system, cores: log.host.cores, memory: joined(worded({ value: log.host.memory_bytes, unit: "B" })) })}
            {log.host.torch !== null && ` · torch ${log.host.torch}`}
          </p>
        </>
      ) : (
        <p class="quiet">
          {tl("measures.covered")}{" "}
          <button type="button" class="term" onClick={() => uncover(known.id)}>
            {tl("measures.show")}
          </button>
        </p>
      )}
    </section>
  );
}

function One({ log, name }: { readonly log: Log; readonly name: string }) {
  const words = proseOf(log.lesson)?.measures?.[name];
  const { value, unit } = wordedMeasure(log, name);
  return (
    <div>
      <dt>
        {words ? <Rich text={words.name} /> : name}
        {words?.about && (
          <small>
            <Rich text={words.about} />
          </small>
        )}
      </dt>
      <dd>
        <b class={value.length > 12 ? "long" : ""}>{value}</b> <span>{unit}</span>
      </dd>
    </div>
  );
}

/** Curves that can share their axes share them. */
function grouped(curves: readonly Curve[]): Curve[][] {
  const groups = new Map<string, Curve[]>();
  for (const curve of curves) {
    const key = `${curve.x_unit} ${curve.y_unit}`;
    groups.set(key, [...(groups.get(key) ?? []), curve]);
  }
  return [...groups.values()];
}

