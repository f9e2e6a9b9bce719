/** The runs that were found: each start of a script with its loaders and ranks, then the runs that Explore made. */
import { useSignal } from "@preact/signals";
import { t, tCount } from "../../i18n";
import { date, duration, joined, number } from "../../i18n/format";
import { StateChip } from "../../parts/state-chip";
import { leaving, open } from "../../store/actions";
import { isLive, openRunId, run, runs, runsKnown, state } from "../../store/run";
import { runName } from "../../words";
import type { RunSummary } from "../../wire";
import { groupRuns, type RunGroup } from "./groups";

export function RunsFound() {
  // On a phone the list is folded away once a run is open; elsewhere it always stands there.
  const unfolded = useSignal(openRunId.value === "");
  const { scripts, others } = groupRuns(runs.value.filter(({ id }) => !leaving.value.has(id)));
  const choose = (id: string) => {
    unfolded.value = false;
    open(id);
  };
  return (
    <aside class="found" aria-label={t("found.title")}>
      <button type="button" class="found-fold" aria-expanded={unfolded.value} aria-controls="found-runs" onClick={() => (unfolded.value = !unfolded.value)}>
        <span class="name">{run.value ? runName(run.value) : t("found.title")}</span>
        {state.value && <StateChip state={state.value} />}
      </button>
      <div id="found-runs" class={`found-scroll${unfolded.value ? " unfolded" : ""}`}>
        <h2 class="found-head">{t("found.title")}</h2>
        {!runsKnown.value && <p class="group quiet">{t("runs.loading")}</p>}
        {runsKnown.value && scripts.length === 0 && <p class="group quiet">{t("found.no_scripts")}</p>}
        {scripts.map((group) => (
          <Script key={group.id} group={group} onChoose={choose} />
        ))}
        {others.length > 0 && (
          <section class="found-group">
            <header>
              <h3>{t("found.explore")}</h3>
              <p class="run-facts">{t("found.explore_about")}</p>
            </header>
            <Runs runs={others} onChoose={choose} />
          </section>
        )}
      </div>
    </aside>
  );
}

interface GroupProps {
  readonly group: RunGroup;
  readonly onChoose: (id: string) => void;
}

function Script({ group, onChoose }: GroupProps) {
  return (
    <section class="found-group">
      <header>
        <h3 class="mono" title={group.command}>
          <span class="name">{group.command}</span>
          {group.live && <span class="chip live">{t("found.live")}</span>}
        </h3>
        <p class="run-facts">
          {date(group.startedUnixNs)} · {tCount("found.loaders", group.runs.length)}
        </p>
      </header>
      <Runs runs={group.runs} onChoose={onChoose} />
    </section>
  );
}

function Runs({ runs: listed, onChoose }: { readonly runs: readonly RunSummary[]; readonly onChoose: (id: string) => void }) {
  return (
    <ul>
      {listed.map((summary) => (
        <Row key={summary.id} summary={summary} onChoose={onChoose} />
      ))}
    </ul>
  );
}

function Row({ summary, onChoose }: { readonly summary: RunSummary; readonly onChoose: (id: string) => void }) {
  const isOpen = summary.id === openRunId.value;
  const { script } = summary;
  const words = script?.loader ?? "";
  // Of a run that goes on the list does not know how far it is.
  const came = summary.live ? [] : [joined(duration(summary.duration_ns)), tCount("runs.batches", summary.batches, number(summary.batches))];
  const facts = [...(script ? [] : [date(summary.started_unix_ns)]), ...came].join(" · ");
  return (
    <li>
      <button type="button" class="found-run" aria-current={isOpen ? "true" : undefined} onClick={() => onChoose(summary.id)}>
        <span class="run-title">
          <span class={`name${script ? " mono" : ""}`}>{runName(summary)}</span>
          {script !== null && script.rank > 0 && <span class="chip">{t("found.rank", { rank: script.rank })}</span>}
          <StateChip state={isOpen && isLive.value && state.value ? state.value : summary.state} />
        </span>
        {words !== "" && (
          <span class="run-facts cut" title={words}>
            {words}
          </span>
        )}
        {facts !== "" && <span class="run-facts">{facts}</span>}
      </button>
    </li>
  );
}
