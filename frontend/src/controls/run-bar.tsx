/** The one button that runs, and what else can be done to a run that goes on. */
import { t } from "../i18n";
import { Icon } from "../parts/icon";
import { busy, pause, resume, start, stop } from "../store/actions";
import { isLive, run, state } from "../store/run";
import { mayOperate } from "../store/session";

export function RunBar() {
  const live = isLive.value;
  const mine = mayOperate.value;
  return (
    <div class="run-bar">
      {!live && (
        <button type="button" class="button primary" disabled={busy.value || !mine} onClick={() => void start()}>
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
      {!mine && <span class="chip">{t("session.viewer")}</span>}
    </div>
  );
}
