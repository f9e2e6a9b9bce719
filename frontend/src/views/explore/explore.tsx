/** Explore: controls to the left, the instrument and what it shows to the right. */
import { useSignal } from "@preact/signals";
import { Charts } from "../../charts/charts";
import { CodePanel } from "../../controls/code-panel";
import { ControlPanel } from "../../controls/panel";
import { RunBar } from "../../controls/run-bar";
import { t, tCount } from "../../i18n";
import { leaving } from "../../store/actions";
import { openRunId, runs } from "../../store/run";
import { BatchContents } from "./batch-contents";
import { Details } from "./details";
import { Empty } from "./empty";
import { Numbers } from "./numbers";
import { RunsList } from "./runs-list";
import { Timeline } from "./timeline";

export function Explore() {
  return (
    <main class="explore">
      <RunBar />
      <Side />
      <div class="main">
        {openRunId.value === "" ? (
          <Empty />
        ) : (
          <>
            <Numbers />
            <Timeline />
            <div class="below">
              <BatchContents />
              <Details />
            </div>
            <Charts />
          </>
        )}
      </div>
    </main>
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
