/** The slowest samples, with what they are where somebody looked, and the parts of their reading. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { t } from "../../i18n";
import { bytes, duration, joined, number, share } from "../../i18n/format";
import { useLooking } from "../../parts/looking";
import { Stack } from "../../parts/stack";
import { diagnosis } from "../../store/diagnosis";
import { isLive, previews } from "../../store/run";
import { clearSelection, selectBatch } from "../../store/selection";
import { reveal } from "../../store/window";
import { stagePaint } from "../../timeline/paints";
import type { SampleTimes, SlowSample } from "../../wire";
import { SampleContents } from "./sample-contents";
import { found } from "./sample-previews";
import { NotMeasured, Section } from "./section";
import { stageName, workerName } from "./words";

const FIRST = 8;

export function Samples() {
  const samples = diagnosis.value?.samples ?? null;
  return (
    <Section
      id="samples"
      title={t("samples.title")}
      about={samples ? t("samples.spread", { p50: joined(duration(samples.p50_ns)), p99: joined(duration(samples.p99_ns)), worst: joined(duration(samples.worst_ns)), share: joined(share(samples.slowest_hundredth)) }) : t("samples.about")}
      note={samples ? t("samples.measured", { count: number(samples.measured) }) : undefined}
    >
      {samples && samples.slowest.length > 0 && <Table samples={samples} />}
      <NotMeasured what="samples" />
    </Section>
  );
}

function Table({ samples }: { readonly samples: SampleTimes }) {
  const root = useRef<HTMLDivElement>(null);
  useLooking(root);
  const all = useSignal(false);
  const rows = all.value ? samples.slowest : samples.slowest.slice(0, FIRST);
  const seen = samples.slowest.some(({ sample }) => found(previews.value, sample) !== null);
  const staged = samples.slowest.some(({ stages }) => stages.length > 0);
  return (
    <>
      <div ref={root} class="table-scroll" tabIndex={0} role="group" aria-label={t("samples.title")}>
        <table class="samples">
          <thead>
            <tr>
              {seen && <th scope="col">{t("samples.contents")}</th>}
              <th scope="col">{t("fact.sample")}</th>
              <th scope="col" class="n">
                {t("samples.median")}
              </th>
              <th scope="col" class="n">
                {t("samples.worst")}
              </th>
              <th scope="col" class="n">
                {t("samples.count")}
              </th>
              {staged && <th scope="col">{t("samples.stages")}</th>}
              <th scope="col">{t("samples.read_by")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((sample) => (
              <Row key={sample.sample} sample={sample} seen={seen} staged={staged} />
            ))}
          </tbody>
        </table>
      </div>
      {!seen && <p class="small quiet">{t(isLive.value ? "samples.unseen_yet" : "samples.unseen")}</p>}
      {samples.slowest.length > FIRST && (
        <button type="button" class="button bare compact" aria-expanded={all.value} onClick={() => (all.value = !all.value)}>
          {all.value ? t("samples.fewer") : t("samples.all", { count: number(samples.slowest.length) })}
        </button>
      )}
    </>
  );
}

interface RowProps {
  readonly sample: SlowSample;
  readonly seen: boolean;
  readonly staged: boolean;
}

function Row({ sample, seen, staged }: RowProps) {
  const { batch, epoch } = sample;
  const look = () => {
    if (batch === null) clearSelection();
    else selectBatch({ epoch, batch });
    reveal(sample.worst_start_ns, sample.worst_start_ns + sample.worst_ns);
  };
  return (
    <tr>
      {seen && (
        <td class="contents">
          <SampleContents sample={sample.sample} />
        </td>
      )}
      <th scope="row" class="mono">
        {sample.sample}
        {sample.nbytes !== null && <span class="quiet size">{joined(bytes(sample.nbytes))}</span>}
      </th>
      <td class="n strong">{joined(duration(sample.median_ns))}</td>
      <td class="n">
        <button type="button" class="link" title={t("samples.look")} onClick={look}>
          {joined(duration(sample.worst_ns))}
        </button>
      </td>
      <td class="n">{number(sample.count)}×</td>
      {staged && (
        <td class="sample-stages">
          <Stages sample={sample} />
        </td>
      )}
      <td>
        {workerName(sample.worker)} <span class="quiet">{batch !== null && t("batch.position", { batch: number(batch), epoch: number(epoch) })}</span>
      </td>
    </tr>
  );
}

const NAMED_STAGES = 2;

function Stages({ sample: { stages, worst_ns } }: { readonly sample: SlowSample }) {
  if (stages.length === 0) return null;
  const text = stages
    .slice(0, NAMED_STAGES)
    .map(({ name, ns }) => `${stageName(name)} ${joined(share(ns / worst_ns))}`)
    .join(" · ");
  return (
    <>
      <Stack thin parts={stages.map(({ name, ns }) => ({ name, paint: stagePaint(name), share: ns / worst_ns }))} />
      <span class="small quiet">{text}</span>
    </>
  );
}
