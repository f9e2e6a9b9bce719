/** One stall: why, where its batch was meanwhile, which sample held it up, and which batches were ready all the same. */
import { said, t } from "../../i18n";
import { duration, joined, moment, number, share } from "../../i18n/format";
import { Journey } from "../../instrument/details";
import { Icon } from "../../parts/icon";
import { Stack } from "../../parts/stack";
import { Swatch } from "../../parts/swatch";
import { lookAt } from "../../store/diagnosis";
import { clearSelection, selectBatch } from "../../store/selection";
import { NO_BATCH, type Stall } from "../../wire";
import { SampleContents } from "./sample-contents";
import { phaseName, phasePaint, stageName, workerName } from "./words";

export function StallDetails({ stall }: { readonly stall: Stall }) {
  const id = stall.batch === NO_BATCH ? null : { epoch: stall.epoch, batch: stall.batch };
  return (
    <section aria-label={t("stall.title")} class="stall-details">
      <div class="pane-head">
        <h2>{t("stall.of", { time: joined(duration(stall.wait_ns)) })}</h2>
        <span class="end">
          <button type="button" class="button bare compact" onClick={() => lookAt(stall)}>
            <Icon name="fit" />
            {t("stall.show")}
          </button>
          <button type="button" class="button bare compact icon" aria-label={t("details.clear")} title={t("details.clear")} onClick={clearSelection}>
            <Icon name="close" />
          </button>
        </span>
      </div>
      <div class="details-body">
        <p>{said(stall.sentence)}</p>
        <Phases stall={stall} />
        <Facts stall={stall} />
        <Slowest stall={stall} />
        <ReadyLater stall={stall} />
        {id && <Journey batch={id} />}
      </div>
    </section>
  );
}

function Phases({ stall: { phases, wait_ns } }: { readonly stall: Stall }) {
  return (
    <>
      <h3>{t("stall.meanwhile")}</h3>
      <Stack thin parts={phases.map(({ name, ns }) => ({ name, paint: phasePaint(name), share: ns / wait_ns }))} />
      <dl class="facts">
        {phases.map(({ name, ns }) => (
          <div key={name}>
            <dt>
              <Swatch paint={phasePaint(name)} />
              {phaseName(name)}
            </dt>
            <dd>{joined(duration(ns))}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function Facts({ stall }: { readonly stall: Stall }) {
  const facts: [name: string, value: string][] = [[t("fact.start"), moment(stall.start_ns, 1e6)]];
  if (stall.batch !== NO_BATCH) facts.push([t("fact.batch"), t("stall.of_epoch", { batch: number(stall.batch), epoch: number(stall.epoch) })]);
  facts.push([t("stall.made_by"), stall.worker === null ? t("stall.not_recorded") : workerName(stall.worker)]);
  if (stall.dispatched_ns !== null) facts.push([t("stall.given_out"), t("stall.before", { time: joined(duration(stall.start_ns - stall.dispatched_ns)) })]);
  facts.push([t("value.batches ready when asked"), stall.ready === null ? t("stall.not_recorded") : number(stall.ready)]);
  return (
    <dl class="facts ruled">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Slowest({ stall: { item, stage } }: { readonly stall: Stall }) {
  if (!item && !stage) return <p class="not-measured">{t("stall.no_samples")}</p>;
  return (
    <>
      {item && (
        <div class="slowest">
          {item.sample !== null && <SampleContents sample={item.sample} />}
          <p>
            {item.sample === null ? t("stall.slowest_unnamed") : t("stall.slowest", { sample: number(item.sample) })}{" "}
            <strong>{joined(duration(item.duration_ns))}</strong>
            <span class="quiet">{t("stall.of_batch", { share: joined(share(item.share)) })}</span>
          </p>
        </div>
      )}
      {stage && (
        <p>
          {t("stall.stage", { stage: stageName(stage.name), time: joined(duration(stage.total_ns)), share: joined(share(stage.share)) })}
        </p>
      )}
    </>
  );
}

function ReadyLater({ stall }: { readonly stall: Stall }) {
  if (stall.ready_later.length === 0) return null;
  return (
    <>
      <h3>{t("stall.ready_later")}</h3>
      <ul class="ready-later">
        {stall.ready_later.map((ready) => (
          <li key={ready.batch}>
            <button type="button" class="link" onClick={() => selectBatch({ epoch: stall.epoch, batch: ready.batch })}>
              {t("details.batch", { batch: number(ready.batch) })}
            </button>
            <span class="quiet">
              {workerName(ready.worker)} · {readyWhen(ready.ready_ns - stall.start_ns)}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

function readyWhen(ns: number): string {
  return ns <= 0 ? t("stall.ready_before") : t("stall.ready_after", { time: joined(duration(ns)) });
}
