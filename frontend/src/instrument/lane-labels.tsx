/** The lanes' names beside the canvas, as text: readable, selectable, and known to screen readers. */
import { t } from "../i18n";
import { revision, spans } from "../store/recording";
import { layout } from "../timeline/scene";
import { Flag } from "../wire";
import { laneLabel } from "../words";

export function LaneLabels() {
  void revision.value;
  const { rows } = layout.value;
  return (
    <div class="lane-labels">
      {rows.map(({ lane, y, height }) => {
        const flags = spans.laneFlags[lane.lane]!;
        const pid = lane.pids.at(-1);
        return (
          <div key={lane.lane} class="gutter lane-label" style={{ top: `${y}px`, height: `${height}px` }} title={lane.label}>
            <div>
              <strong>{laneLabel(lane)}</strong>
              {(flags & Flag.SIMULATED) !== 0 && <span class="chip notice">{t("flag.simulated_short")}</span>}
              {(flags & Flag.INFERRED) !== 0 && (
                <span class="chip" title={t("flag.inferred_about")}>
                  {t("flag.inferred_short")}
                </span>
              )}
            </div>
            {height >= 34 && pid !== undefined && <div class="pid">pid {pid}</div>}
          </div>
        );
      })}
    </div>
  );
}
