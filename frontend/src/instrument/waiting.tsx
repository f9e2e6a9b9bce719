/** A run is open, and nothing of it has come yet, or ever will. */
import { t } from "../i18n";
import { revision, spans } from "../store/recording";
import { isLive, lanes } from "../store/run";

export function Waiting() {
  void revision.value;
  if (lanes.value.length > 0 || spans.size > 0) return null;
  return <p class="lanes-waiting">{t(isLive.value ? "timeline.waiting" : "timeline.nothing")}</p>;
}
