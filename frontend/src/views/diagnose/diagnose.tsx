/** Diagnose: the runs found to the left; to the right what the open one spends its time on, and what stops it. */
import { useEffect } from "preact/hooks";
import { t } from "../../i18n";
import { Details } from "../../instrument/details";
import { Timeline } from "../../instrument/timeline";
import { open } from "../../store/actions";
import { keepDiagnosis, shownStall } from "../../store/diagnosis";
import { lanesByWaiting } from "../../store/lane-orders";
import { openRunId, runs } from "../../store/run";
import { Budget } from "./budget";
import { Findings } from "./findings";
import { likelyRun } from "./groups";
import { Headline } from "./headline";
import { LoaderLine } from "./loader-line";
import { Memory } from "./memory";
import { Places } from "./places";
import { RunsFound } from "./runs-found";
import { Samples } from "./samples";
import { Limits } from "./section";
import { StallDetails } from "./stall-details";
import { Stalls } from "./stalls";
import { Usage } from "./usage";
import { Verdict } from "./verdict";
import { Waits } from "./waits";
import { WhatIf } from "./what-if";

export function Diagnose() {
  useEffect(keepDiagnosis, []);
  // Who comes here while a script of his goes on, and has opened nothing, wants to see that.
  const likely = openRunId.value === "" ? likelyRun(runs.value)?.id : undefined;
  useEffect(() => {
    if (likely) open(likely);
  }, [likely]);
  const isOpen = openRunId.value !== "";
  return (
    <main class="diagnose">
      <RunsFound />
      <div class="main">{isOpen ? <OpenRun /> : <Usage />}</div>
    </main>
  );
}

function OpenRun() {
  return (
    <>
      <LoaderLine />
      <Verdict />
      <Headline />
      <Limits />
      <Budget />
      <Timeline ordered={lanesByWaiting} />
      <div class="below stalls-below" aria-label={t("stalls.title")} role="region">
        <Stalls />
        {shownStall.value ? <StallDetails stall={shownStall.value} /> : <Details />}
      </div>
      <Waits />
      <WhatIf />
      <Samples />
      <Places />
      <Memory />
      <Findings />
    </>
  );
}
