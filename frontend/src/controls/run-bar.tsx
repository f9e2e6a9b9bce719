/** The one button that runs, and what else can be done to a run that goes on. */
import { useSignal } from "@preact/signals";
import { t } from "../i18n";
import { Icon } from "../parts/icon";
import { busy, pause, resume, start, stop } from "../store/actions";
import { showSweep } from "../store/panels";
import { isLive, run, runs, state } from "../store/run";
import { mayOperate } from "../store/session";
import { sweepOf } from "../sweep/grid";
import { SweepDialog } from "../views/explore/sweep-dialog";

export function RunBar() {
  const live = isLive.value;
  const mine = mayOperate.value;
  const sweeping = useSignal(false);
  const going = runs.value.map((each) => (each.live ? sweepOf(each.name) : null)).find((each) => each !== null);
  return (
    <div class="run-bar">
      {!live && mine && (
        <button type="button" class="button" title={going ? t("sweep.going", going) : t("sweep.menu_about")} onClick={() => (going ? showSweep(going.id) : (sweeping.value = true))}>
          <Icon name="grid" />
          {t("sweep.menu")}
        </button>
      )}
      {!live && (
        <button
          type="button"
          class="button primary"
          disabled={busy.value || !mine}
          title={going ? t("sweep.going_about") : undefined}
          onClick={() => void start()}
        >
          <Icon name="play" />
          {t("run.start")}
        </button>
      )}
      {live && (
        <>
          <button type="button" class="button primary" disabled={busy.value || !mine} onClick={() => void stop()}>
            <Icon name="stop" />
            {t("run.stop")}
          </button>
          {run.value?.settings && (
            <button
              type="button"
              class="button"
              disabled={busy.value || !mine}
              onClick={() => void (state.value === "paused" ? resume() : pause())}
            >
              <Icon name={state.value === "paused" ? "play" : "pause"} />
              {state.value === "paused" ? t("run.resume") : t("run.pause")}
            </button>
          )}
        </>
      )}
      <SweepDialog open={sweeping.value} onClose={() => (sweeping.value = false)} />
      {!mine && <span class="chip">{t("session.viewer")}</span>}
    </div>
  );
}
