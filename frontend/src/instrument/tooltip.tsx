/** What is under the pointer: the span, or the time and the queues' depths. */
import { t } from "../i18n";
import { hover } from "../store/selection";
import { revision } from "../store/recording";
import { axisPx } from "../timeline/scene";
import { SpanFacts } from "./span-facts";

export function Crosshair() {
  const at = hover.value;
  return at ? <div class="crosshair" style={{ left: `${at.x}px` }} /> : null;
}

const WIDTH_PX = 300;

export function Tooltip() {
  const at = hover.value;
  if (!at || at.slot < 0) return null;
  void revision.value;
  const { slot, x, y } = at;
  const toLeft = x > axisPx.value - WIDTH_PX - 24;
  return (
    <div
      class="floating tooltip"
      style={{ left: toLeft ? "auto" : `${x + 14}px`, right: toLeft ? `${axisPx.value - x + 14}px` : "auto", top: `${y + 16}px` }}
    >
      <SpanFacts slot={slot} />
      <p class="spoken">{t("timeline.click_hint")}</p>
    </div>
  );
}
