/** Explore: controls to the left, the instrument and what it shows to the right. */
import { useSignal } from "@preact/signals";
import { Charts } from "../../charts/charts";
import { CodePanel } from "../../controls/code-panel";
import { ControlPanel } from "../../controls/panel";
import { RunBar } from "../../controls/run-bar";
import { t, tCount } from "../../i18n";
import { Details } from "../../instrument/details";
import { Timeline } from "../../instrument/timeline";
import { Icon } from "../../parts/icon";
import { leaving } from "../../store/actions";
import { lanesAlongTheWay } from "../../store/lane-orders";
import { comparedWith, showSweep, sweepId } from "../../store/panels";
import { openRunId, run, runs } from "../../store/run";
import { sweepOf } from "../../sweep/grid";
import { BatchContents } from "./batch-contents";
import { Comparison } from "./comparison";
import { Empty } from "./empty";
import { Numbers } from "./numbers";
import { RunsList } from "./runs-list";
import { SweepView } from "./sweep-view";
import { VerdictStrip } from "./verdict-strip";

export function Explore() {
  return (
    <main class="explore">
      <RunBar />
      <Side />
      <div class="main">
        <Shown />
      </div>
    </main>
  );
}

function Shown() {
  if (sweepId.value !== "") return <SweepView />;
  if (openRunId.value === "") return <Empty />;
  if (comparedWith.value !== "") return <Comparison />;
  return (
    <>
      <PartOfSweep />
      <Numbers />
      <VerdictStrip />
      <Timeline ordered={lanesAlongTheWay} />
      <div class="below">
        <BatchContents />
        <Details />
      </div>
      <Charts />
    </>
  );
}

/** The way back from a cell's run to its sweep. */
function PartOfSweep() {
  const part = sweepOf(run.value?.name ?? "");
  if (!part) return null;
  return (
    <div class="pane of-sweep">
      <span>{t("sweep.part", part)}</span>
      <button type="button" class="button compact" onClick={() => showSweep(part.id)}>
        <Icon name="left" />
        {t("sweep.back")}
      </button>
    </div>
  );
}

const TABS = ["settings", "runs"] as const;

function Side() {
  const tab = useSignal<(typeof TABS)[number]>("settings");
  const count = runs.value.length - leaving.value.size;
  return (
    <aside class="side" aria-label={t("side.title")}>
      <div class="side-tabs" role="tablist" aria-label={t("side.title")}>
        {TABS.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={tab.value === name}
            aria-controls="side-panel"
            onClick={() => (tab.value = name)}
          >
            {name === "settings" ? t("side.settings") : tCount("side.runs", count)}
          </button>
        ))}
      </div>
      <div class="side-scroll" id="side-panel" role="tabpanel" aria-labelledby={`tab-${tab.value}`} tabIndex={0}>
        {tab.value === "settings" ? <ControlPanel /> : <RunsList />}
      </div>
      {tab.value === "settings" && <CodePanel />}
    </aside>
  );
}
