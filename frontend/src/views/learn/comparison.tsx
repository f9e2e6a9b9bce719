/** The comparison that a lesson ends in: each cell a number that was measured, in this lesson or in the one it leads to. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { LessonCard, Log } from "../../lesson/log";
import { DASH, joined } from "../../i18n/format";
import { film, logOf, openLesson } from "../../store/lesson";
import { isRevealed } from "../../store/lesson-progress";
import { Rich } from "./rich";
import { proseOf, tl, wordedMeasure, type LessonProse } from "./words";
import type { LessonId } from "../../lesson/ids";

interface Props {
  readonly card: LessonCard;
  readonly prose: LessonProse;
}

export function Comparison({ card, prose }: Props) {
  const logs = useSignal<Readonly<Record<string, Log>>>({});
  const isMeasuring = useSignal(false);
  const isAlive = useSignal(true);
  useEffect(() => () => void (isAlive.value = false), []);
  const { table } = card;
  const words = prose.table;
  const own = film.value?.log;
  if (!table || !words || !own) return null;
  const others = [...new Set(table.rows.flatMap(({ cells }) => cells.map(({ lesson }) => lesson)))].filter((id) => id !== card.id);
  // What the prediction asks for stands in a table of its own lesson too.
  if (others.length === 0 && !isRevealed(card.id)) return null;
  const measure = async () => {
    isMeasuring.value = true;
    for (const id of others) {
      if (!isAlive.peek()) return;
      try {
        logs.value = { ...logs.peek(), [id]: await logOf(id) };
      } catch {
        break; // its cells stay open, and the button is there again
      }
    }
    isMeasuring.value = false;
  };
  const isWhole = others.every((id) => id in logs.value);
  return (
    <section class="comparison" aria-labelledby="comparison-title">
      <h2 id="comparison-title">{tl("table.title")}</h2>
      <div class="scrolled" tabIndex={0} role="region" aria-labelledby="comparison-title">
        <table style={{ "--columns": table.columns.length }}>
          <thead>
            <tr>
              <td />
              {table.columns.map((column) => (
                <th key={column} scope="col">
                  {words.columns[column] ?? column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.rows.map(({ key, cells }) => (
              <tr key={key}>
                <th scope="row">
                  <Rich text={words.rows[key] ?? key} />
                  {cells[0] && cells[0].lesson !== card.id && (
                    <button type="button" class="term" onClick={() => openLesson(cells[0]!.lesson as LessonId)}>
                      {proseOf(cells[0].lesson)?.title ?? cells[0].lesson}
                    </button>
                  )}
                </th>
                {cells.map(({ lesson, measure: name }) => {
                  const log = lesson === card.id ? own : logs.value[lesson];
                  return <td key={name}>{log?.measures[name] ? joined(wordedMeasure(log, name)) : DASH}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!isWhole && (
        <div class="measure-table">
          <button type="button" class="button" disabled={isMeasuring.value} onClick={() => void measure()}>
            {tl(isMeasuring.value ? "table.measuring" : "table.measure")}
          </button>
          <p class="quiet">{tl("table.about")}</p>
        </div>
      )}
    </section>
  );
}
