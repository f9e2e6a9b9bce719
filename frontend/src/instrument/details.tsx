/** The selected span, and the journey of its batch from the sampler to the training step. */
import { t } from "../i18n";
import { duration, joined, moment, number } from "../i18n/format";
import { Icon } from "../parts/icon";
import { Swatch } from "../parts/swatch";
import { revision, shown } from "../store/recording";
import { clearSelection, selectSlot, selectedBatch, selectedSlot, type BatchId } from "../store/selection";
import { reveal } from "../store/window";
import { Level } from "../timeline/paints";
import { SpanFacts } from "./span-facts";
import { laneName, nameOf, paintOf } from "./span-words";

export function Details() {
  void revision.value;
  const slot = selectedSlot.value;
  const batch = selectedBatch.value;
  return (
    <section aria-label={t("details.title")}>
      <div class="pane-head">
        <h2>{batch ? t("details.batch", { batch: number(batch.batch) }) : t("details.title")}</h2>
        {(slot >= 0 || batch) && (
          <span class="end">
            <button type="button" class="button bare compact icon" aria-label={t("details.clear")} title={t("details.clear")} onClick={clearSelection}>
              <Icon name="close" />
            </button>
          </span>
        )}
      </div>
      <div class="details-body">
        {slot < 0 && !batch && <p class="hint">{t("details.none")}</p>}
        {slot >= 0 && <SpanFacts slot={slot} />}
        {batch && <Journey batch={batch} />}
      </div>
    </section>
  );
}

export function Journey({ batch }: { readonly batch: BatchId }) {
  const all = shown.value.ofBatch(batch.epoch, batch.batch);
  const steps = all.filter((slot) => shown.value.level(slot) === Level.SPAN);
  if (steps.length === 0) return <p class="hint">{t("details.not_held")}</p>;
  const from = shown.value.start[steps[0]!]!;
  const to = Math.max(...steps.map((slot) => shown.value.end[slot]!));
  return (
    <div class="journey">
      <h3>{t("details.journey", { time: joined(duration(to - from)) })}</h3>
      {steps.map((slot) => (
        <button
          key={slot}
          type="button"
          aria-current={slot === selectedSlot.value}
          onClick={() => {
            selectSlot(slot);
            reveal(shown.value.start[slot]!, shown.value.end[slot]!);
          }}
        >
          <Swatch paint={paintOf(slot)} />
          <span>
            {nameOf(slot)} <span class="lane">{laneName(slot)}</span>
          </span>
          <span title={moment(shown.value.start[slot]!, 1e5)}>{joined(duration(shown.value.end[slot]! - shown.value.start[slot]!))}</span>
        </button>
      ))}
    </div>
  );
}
