/** The timeline as a table: how each lane spent the time in view. What `aria-details` of the picture points to. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../i18n";
import { duration, joined, moment, number, share } from "../i18n/format";
import { kinds, shown } from "../store/recording";
import { endNs, spanNs, startNs } from "../store/window";
import { laneTimes, type LaneTime } from "../timeline/lane-times";
import { layout } from "../timeline/scene";
import { laneLabel } from "../words";

export const TABLE_ID = "timeline-table";
const REFRESH_MS = 1_000;

export function LanesTable() {
  const rows = useSignal<readonly LaneTime[]>([]);
  const span = useSignal<[number, number]>([0, 0]);
  useEffect(() => {
    const refresh = () => {
      if (document.hidden) return;
      rows.value = laneTimes(shown.peek(), kinds, layout.peek().rows.map(({ lane }) => lane), startNs.peek(), endNs.peek());
      span.value = [Math.max(0, startNs.peek()), endNs.peek()];
    };
    refresh();
    const timer = setInterval(refresh, REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
  const [from, to] = span.value;
  const step = Math.max(1e5, spanNs.value / 100);
  return (
    <details class="lanes-table">
      <summary>{t("table.title")}</summary>
      <div class="table-scroll">
        <table id={TABLE_ID}>
          <caption>{t("table.caption", { from: moment(from, step), to: moment(to, step) })}</caption>
          <thead>
            <tr>
              <th scope="col">{t("fact.lane")}</th>
              <th scope="col" class="n">
                {t("table.spans")}
              </th>
              <th scope="col" class="n">
                {t("table.work")}
              </th>
              <th scope="col" class="n">
                {t("table.wait")}
              </th>
              <th scope="col" class="n">
                {t("table.wait_share")}
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.value.map(({ lane, spans: count, workNs, waitNs }) => (
              <tr key={lane.lane}>
                <th scope="row">{laneLabel(lane)}</th>
                <td class="n">{number(count)}</td>
                <td class="n">{joined(duration(workNs))}</td>
                <td class="n">{joined(duration(waitNs))}</td>
                <td class="n">{joined(share(workNs + waitNs > 0 ? waitNs / (workNs + waitNs) : null))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
