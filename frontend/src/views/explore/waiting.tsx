/** A run is open, and nothing of it has come yet. */
import { t } from "../../i18n";
import { revision, spans } from "../../store/recording";
import { lanes } from "../../store/run";

export function Waiting() {
  void revision.value;
  if (lanes.value.length > 0 || spans.size > 0) return null;
  return <p class="lanes-waiting">{t("timeline.waiting")}</p>;
}
