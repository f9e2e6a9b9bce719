/** The scrubber: a native range input over the whole run, for pointer, touch, keyboard and screen reader alike. */
import { t } from "../i18n";
import { moment } from "../i18n/format";
import { newestNs } from "../store/recording";
import { endNs, show, spanNs } from "../store/window";

const STEPS = 1_000;

export function Transport() {
  const whole = Math.max(1, newestNs.value);
  const at = Math.min(whole, Math.max(0, endNs.value));
  const step = Math.round((at / whole) * STEPS);
  return (
    <div class="transport">
      <output class="now">{moment(at, 1e8)}</output>
      <div class="scrub">
        <input
          type="range"
          min={0}
          max={STEPS}
          value={step}
          style={{ "--filled": `${(step / STEPS) * 100}%` }}
          aria-label={t("timeline.scrub")}
          aria-valuetext={moment(at, 1e8)}
          onInput={(event) => show((event.currentTarget.valueAsNumber / STEPS) * whole - spanNs.value, spanNs.value)}
        />
      </div>
    </div>
  );
}
