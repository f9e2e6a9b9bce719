/** The open run's name and state, and the tools of the view. */
import type { ComponentChildren } from "preact";
import { t } from "../i18n";
import { Icon, type IconName } from "../parts/icon";
import { StateChip } from "../parts/state-chip";
import { playAgain, useSettings } from "../store/actions";
import { isLive, openRunId, replay, run, state } from "../store/run";
import { fitRun, following, frozen, startNs, toggleFollow, toggleFrozen, zoom } from "../store/window";
import type { Scene } from "../timeline/scene";
import { CopyLink, ExportMenu } from "./export-menu";
import { runName } from "../words";

const ZOOM = 1.5;

export function Toolbar({ scene }: { readonly scene: () => Scene | null }) {
  const summary = run.value;
  // A recording that lies still has nothing to follow.
  const moves = isLive.value || replay.value !== null;
  return (
    <div class="pane-head toolbar">
      <h1>{summary ? runName(summary) : openRunId.value}</h1>
      {state.value && <StateChip state={state.value} />}
      {replay.value && <span class="chip live">{t("replay.on", { speed: replay.value.speed })}</span>}
      <span class="end">
        {!isLive.value && summary && (
          <>
            <button type="button" class="button bare compact" aria-label={t("replay.from_here")} onClick={() => playAgain(summary.id, Math.max(0, startNs.value), replay.value?.speed ?? 1)}>
              <Icon name="play" />
              <span class="wide-only">{t("replay.from_here")}</span>
            </button>
            {summary.settings && (
              <button type="button" class="button bare compact wide-only" onClick={useSettings}>
                {t("runs.use_settings")}
              </button>
            )}
          </>
        )}
        {moves && <Toggle icon="freeze" pressed={frozen.value} label={t("view.freeze")} keys="Space" onPress={toggleFrozen} />}
        {moves && <Toggle icon="follow" pressed={following.value} label={t("view.follow")} keys="F" onPress={toggleFollow} />}
        <Tool icon="minus" label={t("view.zoom_out")} keys="S" onPress={() => zoom(ZOOM)} />
        <Tool icon="plus" label={t("view.zoom_in")} keys="W" onPress={() => zoom(1 / ZOOM)} />
        <Tool icon="fit" label={t("view.fit")} keys="0" onPress={fitRun} />
        <CopyLink />
        <ExportMenu scene={scene} />
      </span>
    </div>
  );
}

interface ToolProps {
  readonly icon: IconName;
  readonly label: string;
  readonly keys: string;
  readonly onPress: () => void;
}

function Tool({ icon, label, keys, onPress }: ToolProps) {
  return (
    <button type="button" class="button bare compact icon" aria-label={label} title={`${label} (${keys})`} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}

function Toggle({ icon, label, keys, onPress, pressed }: ToolProps & { readonly pressed: boolean }): ComponentChildren {
  return (
    <button type="button" class="button bare compact" aria-pressed={pressed} aria-label={label} title={`${label} (${keys})`} onClick={onPress}>
      <Icon name={icon} />
      <span class="wide-only">{label}</span>
    </button>
  );
}
