/** What the strips show, with the value at the pointer, or else the newest. */
import { t } from "../i18n";
import { number, significant } from "../i18n/format";
import { hover } from "../store/selection";
import { inFlight, newestNs, ready, revision, rollup } from "../store/recording";

export function QueueKey() {
  void revision.value;
  const at = hover.value?.ns ?? newestNs.value;
  return (
    <div class="gutter" title={t("strip.queue_about")}>
      <span>
        <span class="key" style={{ background: "var(--accent)", opacity: 0.6 }} />
        {t("strip.ready")} <span class="value">{number(ready.at(at))}</span>
      </span>
      <span>
        <span class="key" style={{ background: "var(--text-quiet)", height: "2px", verticalAlign: "middle" }} />
        {t("strip.in_flight")} <span class="value">{number(inFlight.at(at))}</span>
      </span>
    </div>
  );
}

export function ThroughputKey() {
  void revision.value;
  // The newest bucket is not full yet: the one before it is the newest that can be read.
  const bucket = hover.value ? Math.floor(hover.value.ns / rollup.bucketNs) : rollup.length - 2;
  const perSecond = bucket < 0 || bucket >= rollup.length ? null : rollup.rate("samples", bucket, bucket + 1);
  return (
    <div class="gutter" title={t("strip.throughput_about")}>
      <span>{t("strip.throughput")}</span>
      <span class="value">{significant(perSecond)}</span>
    </div>
  );
}
