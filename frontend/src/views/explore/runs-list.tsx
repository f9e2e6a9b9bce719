/** Earlier runs: open, play again, compare, delete (with time to undo). Those of a sweep stand together. */
import { useSignal } from "@preact/signals";
import { t, tCount } from "../../i18n";
import { bytes, date, duration, joined, number } from "../../i18n/format";
import { Icon } from "../../parts/icon";
import { StateChip } from "../../parts/state-chip";
import { compare, leaving, open, playAgain, remove } from "../../store/actions";
import { showSweep, sweepId } from "../../store/panels";
import { openRunId, runs, runsKnown } from "../../store/run";
import { mayOperate } from "../../store/session";
import { removeSweep } from "../../store/sweep";
import { grouped } from "../../sweep/groups";
import { runName } from "../../words";
import type { RunSummary } from "../../wire";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5] as const;

export function RunsList() {
  const speed = useSignal(1);
  const shown = runs.value.filter(({ id }) => !leaving.value.has(id));
  if (!runsKnown.value) return <p class="group quiet">{t("runs.loading")}</p>;
  if (shown.length === 0) return <p class="group quiet">{t("runs.none")}</p>;
  return (
    <>
      <label class="runs-speed">
        <span>{t("runs.speed")}</span>
        <select class="field" value={String(speed.value)} onChange={(event) => (speed.value = Number(event.currentTarget.value))}>
          {SPEEDS.map((each) => (
            <option key={each} value={String(each)}>
              {number(each, each < 1 ? 2 : 0)}×
            </option>
          ))}
        </select>
      </label>
      <ul class="runs">
        {grouped(shown).map((group) =>
          group.sweep === "" ? (
            <OneRun key={group.runs[0]!.id} summary={group.runs[0]!} speed={speed.value} />
          ) : (
            <OneSweep key={group.sweep} id={group.sweep} runs={group.runs} speed={speed.value} />
          ),
        )}
      </ul>
    </>
  );
}

function OneSweep({ id, runs: its, speed }: { readonly id: string; readonly runs: readonly RunSummary[]; readonly speed: number }) {
  const live = its.some((each) => each.live);
  return (
    <li class={`sweep-group${id === sweepId.value ? " open" : ""}`}>
      <p class="sweep-name">{t(its.length === 1 ? "sweep.runs_one" : "sweep.runs_other", { id, count: its.length })}</p>
      <div class="run-actions">
        <button type="button" class="button bare compact" onClick={() => showSweep(id)}>
          <Icon name="grid" />
          {t("sweep.show")}
        </button>
        {mayOperate.value && !live && (
          <button type="button" class="button bare compact" aria-label={t("sweep.delete_named", { id })} onClick={() => removeSweep(id)}>
            <Icon name="trash" />
            {t("runs.delete")}
          </button>
        )}
      </div>
      <details class="sweep-runs">
        <summary>{t("sweep.list")}</summary>
        <ul class="runs">
          {its.map((summary) => (
            <OneRun key={summary.id} summary={summary} speed={speed} />
          ))}
        </ul>
      </details>
    </li>
  );
}

function OneRun({ summary, speed }: { readonly summary: RunSummary; readonly speed: number }) {
  const name = runName(summary);
  return (
    <li class={summary.id === openRunId.value ? "open" : ""}>
      <button type="button" class="run-title" aria-current={summary.id === openRunId.value} onClick={() => open(summary.id)}>
        <span class="name">{name}</span>
        <StateChip state={summary.state} />
      </button>
      <p class="run-facts">
        {date(summary.started_unix_ns)} · {joined(duration(summary.duration_ns))} · {tCount("runs.batches", summary.batches, number(summary.batches))} ·{" "}
        {joined(bytes(summary.bytes_on_disk))}
      </p>
      {summary.settings && (
        <p class="run-facts mono">
          {summary.settings.engine === "torch" ? "torch " : ""}batch_size={summary.settings.batch_size} num_workers={summary.settings.num_workers}
        </p>
      )}
      {(summary.reason || summary.truncated) && <p class="run-facts">{summary.reason || summary.truncated}</p>}
      {!summary.live && (
        <div class="run-actions">
          <button type="button" class="button bare compact" onClick={() => playAgain(summary.id, 0, speed)}>
            <Icon name="play" />
            {t("runs.play")}
          </button>
          <button type="button" class="button bare compact" aria-label={t("compare.named", { name })} onClick={() => compare(summary.id)}>
            <Icon name="compare" />
            {t("compare.button")}
          </button>
          {mayOperate.value && (
            <button type="button" class="button bare compact" aria-label={t("runs.delete_named", { name })} onClick={() => remove(summary.id)}>
              <Icon name="trash" />
              {t("runs.delete")}
            </button>
          )}
        </div>
      )}
    </li>
  );
}
