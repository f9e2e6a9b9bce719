/** A sweep as a heatmap that is also a table: it fills in while it runs, and each cell opens its run. */
import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t, tOr } from "../../i18n";
import { date, roughly, significant } from "../../i18n/format";
import { Icon } from "../../parts/icon";
import { compareRuns, open } from "../../store/actions";
import { leavePanels, sweepId } from "../../store/panels";
import { runs } from "../../store/run";
import { mayOperate } from "../../store/session";
import { adopt } from "../../store/settings";
import { cancel, keepSweep, removeSweep, sweep, sweepBusy } from "../../store/sweep";
import { doneOf, heatOf, moved, warmth, type Heat } from "../../sweep/grid";
import { runName } from "../../words";
import type { Sweep, SweepCell } from "../../wire";
import { interval, parameterLabel, valueText } from "./sweep-words";

export function SweepView() {
  useEffect(keepSweep, []);
  const shown = sweep.value;
  return (
    <section class="pane sweep" aria-label={t("sweep.one", { id: sweepId.value })}>
      {shown === null || shown.id !== sweepId.value ? <p class="sweep-body quiet">{t("sweep.loading")}</p> : <Whole sweep={shown} />}
    </section>
  );
}

function Whole({ sweep: shown }: { readonly sweep: Sweep }) {
  const pointed = useSignal<number | null>(null);
  return (
    <>
      <Head sweep={shown} />
      <div class="sweep-body">
        <Progress sweep={shown} />
        <Heatmap sweep={shown} pointed={pointed} />
        <Scale heat={heatOf(shown.cells)} />
        <Said sweep={shown} pointed={pointed.value} />
      </div>
    </>
  );
}

function Head({ sweep: { id, state, x, y, started_unix_ns } }: { readonly sweep: Sweep }) {
  const mine = mayOperate.value;
  return (
    <div class="pane-head">
      <h1>
        {parameterLabel(x.name)} × {parameterLabel(y.name)}
      </h1>
      <span class="quiet small">
        {t("sweep.one", { id })} · {date(started_unix_ns)}
      </span>
      <span class="end">
        {mine && state === "running" && (
          <button type="button" class="button compact" disabled={sweepBusy.value} onClick={() => void cancel(id)}>
            <Icon name="stop" />
            {t("sweep.cancel")}
          </button>
        )}
        {mine && state !== "running" && (
          <button type="button" class="button bare compact" onClick={() => removeSweep(id)}>
            <Icon name="trash" />
            {t("sweep.delete")}
          </button>
        )}
        <button type="button" class="button bare compact icon" aria-label={t("sweep.close")} title={t("sweep.close")} onClick={leavePanels}>
          <Icon name="close" />
        </button>
      </span>
    </div>
  );
}

function Progress({ sweep: shown }: { readonly sweep: Sweep }) {
  const done = doneOf(shown);
  const all = shown.cells.length;
  const blocker = runs.value.find(({ id }) => id === shown.waits_for);
  const words =
    shown.state === "running"
      ? blocker && !shown.cells.some(({ state }) => state === "running")
        ? t("sweep.waits", { name: runName(blocker) })
        : t("sweep.progress", { done, all, time: roughly(shown.remaining_s ?? 0) })
      : shown.state === "finished"
        ? t("sweep.finished", { all })
        : t("sweep.stopped", { done, all });
  return (
    <div class="sweep-progress">
      {shown.state === "running" && <progress max={all} value={done} aria-label={t("sweep.progress_name")} />}
      <p role="status">{words}</p>
    </div>
  );
}

function Heatmap({ sweep: { x, y, cells, best }, pointed }: { readonly sweep: Sweep; readonly pointed: Signal<number | null> }) {
  const table = useRef<HTMLTableElement>(null);
  const heat = heatOf(cells);
  const press = (event: KeyboardEvent, cell: SweepCell) => {
    const next = moved(event.key, cell.x, cell.y, x.values.length, y.values.length);
    if (!next) return;
    event.preventDefault();
    table.current?.querySelector<HTMLElement>(`[data-cell="${next[0]}-${next[1]}"]`)?.focus();
  };
  return (
    <div class="table-scroll heatmap-scroll" role="region" aria-label={t("sweep.table")} tabIndex={0}>
      <table class="heatmap" ref={table}>
        <caption class="spoken">{t("sweep.caption", { across: x.name, down: y.name })}</caption>
        <thead>
          <tr>
            <td />
            <th scope="colgroup" colSpan={x.values.length} class="axis-name">
              {parameterLabel(x.name)} <code>{x.name}</code>
            </th>
          </tr>
          <tr>
            <th scope="col" class="axis-name">
              {parameterLabel(y.name)} <code>{y.name}</code>
            </th>
            {x.values.map((value) => (
              <th key={String(value)} scope="col">
                {valueText(x.name, value)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {y.values.map((value, row) => (
            <tr key={String(value)}>
              <th scope="row">{valueText(y.name, value)}</th>
              {x.values.map((across, column) => {
                const place = row * x.values.length + column;
                const cell = cells[place]!;
                return (
                  <td key={String(across)}>
                    <Cell
                      cell={cell}
                      heat={heat}
                      isBest={place === best}
                      name={`${x.name}=${String(across)}, ${y.name}=${String(value)}`}
                      onPoint={() => (pointed.value = place)}
                      onKey={(event) => press(event, cell)}
                    />
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface CellProps {
  readonly cell: SweepCell;
  readonly heat: Heat | null;
  readonly isBest: boolean;
  readonly name: string;
  readonly onPoint: () => void;
  readonly onKey: (event: KeyboardEvent) => void;
}

function Cell({ cell, heat, isBest, name, onPoint, onKey }: CellProps) {
  const { state, rate, run } = cell;
  const warm = rate && heat ? warmth(heat, rate.samples_per_s) : null;
  const words = rate ? t("sweep.cell_rate", { rate: significant(rate.samples_per_s) }) : tOr(`sweep.cell.${state}`, state);
  const isUnsure = rate !== null && (rate.low === null || rate.high === null);
  const mark = isBest ? t("sweep.best_short") : cell.ties_best ? t("sweep.ties_short") : isUnsure ? t("sweep.unsure_short") : "";
  const more = [isUnsure ? t("sweep.no_interval") : "", isBest ? t("sweep.best") : "", cell.ties_best && !isBest ? t("sweep.ties") : "", cell.disturbed ? t("sweep.disturbed") : ""];
  return (
    <button
      type="button"
      class={`heat ${state}${isBest ? " best" : ""}${cell.ties_best ? " ties" : ""}`}
      style={warm === null ? {} : { "--warm": warm.toFixed(3) }}
      data-cell={`${cell.x}-${cell.y}`}
      aria-label={[name, words, ...more].filter(Boolean).join(". ")}
      aria-disabled={run === ""}
      title={[words, ...more].filter(Boolean).join(". ")}
      onClick={() => run && open(run)}
      onPointerEnter={onPoint}
      onFocus={onPoint}
      onKeyDown={onKey}
    >
      <span class="rate">{rate ? significant(rate.samples_per_s) : state === "waiting" ? "·" : words}</span>
      <span class="mark">
        {[mark, cell.disturbed ? "!" : ""].filter(Boolean).join(" ")}
      </span>
    </button>
  );
}

function Scale({ heat }: { readonly heat: Heat | null }) {
  if (!heat) return null;
  return (
    <p class="heat-scale small quiet">
      <span>{significant(heat.low)}</span>
      <span class="heat-bar" aria-hidden="true" />
      <span>
        {significant(heat.high)} {t("sweep.unit")}
      </span>
    </p>
  );
}

/** The cell that is pointed at, or the best one, in words and with what can be done with it. */
function Said({ sweep: shown, pointed }: { readonly sweep: Sweep; readonly pointed: number | null }) {
  const place = pointed ?? shown.best;
  const best = shown.best === null ? null : shown.cells[shown.best]!;
  const cell = place === null ? null : shown.cells[place]!;
  const ties = shown.cells.filter(({ ties_best }) => ties_best).length;
  const setting = runs.value.find(({ id }) => id === cell?.run)?.settings;
  return (
    <div class="sweep-said">
      {cell ? (
        <>
          <h2>
            {place === shown.best ? t("sweep.best") : t("sweep.this")}{" "}
            <code>
              {shown.x.name}={String(shown.x.values[cell.x])}, {shown.y.name}={String(shown.y.values[cell.y])}
            </code>
          </h2>
          {cell.rate && (
            <p>
              <strong class="large">{significant(cell.rate.samples_per_s)}</strong> {t("sweep.unit")} · {t("sweep.interval", { range: interval(cell.rate) })}
            </p>
          )}
          {cell.reason && <p>{cell.reason}</p>}
          {cell.disturbed && <p>{t("sweep.disturbed")}</p>}
          {place === shown.best && ties > 0 && <p class="quiet">{t("sweep.ties_count", { count: ties })}</p>}
          <div class="sweep-actions">
            {cell.run !== "" && (
              <button type="button" class="button compact" onClick={() => open(cell.run)}>
                {t("sweep.open_run")}
              </button>
            )}
            {setting && mayOperate.value && (
              <button type="button" class="button compact" onClick={() => adopt({ ...setting, name: "", seconds: 10 })}>
                {t("sweep.use")}
              </button>
            )}
            {best && best !== cell && cell.state === "done" && (
              <button type="button" class="button compact" onClick={() => compareRuns(cell.run, best.run)}>
                {t("sweep.compare_best")}
              </button>
            )}
          </div>
        </>
      ) : (
        <p class="quiet">{t("sweep.none_yet")}</p>
      )}
      <p class="small quiet">{t("sweep.how")}</p>
    </div>
  );
}
