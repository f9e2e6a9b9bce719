/** What-if: sliders, the rate that is predicted for them, and a button that measures it. */
import { useEffect } from "preact/hooks";
import { said, t } from "../../i18n";
import { joined, number, share, significant } from "../../i18n/format";
import { Icon } from "../../parts/icon";
import { Segments } from "../../parts/segments";
import { Typed } from "../../parts/typed";
import { changedArguments, commandToMeasure } from "../../prediction/setting";
import { diagnosis } from "../../store/diagnosis";
import { run } from "../../store/run";
import { mayOperate } from "../../store/session";
import { asked, canMeasure, keepWhatIf, measure, score, tooLittle, trialsOfRun, whatIf, whatIfProblem, wish, type Wish } from "../../store/what-if";
import type { Score, Setting, WhatIf as Known } from "../../wire";
import { Section } from "./section";
import { Curve, Surface } from "./what-if-chart";

const FACTORS = [1, 1.5, 2, 3, 5, 10] as const;
const change = (part: Wish) => (wish.value = { ...wish.value, ...part });

export function WhatIf() {
  useEffect(keepWhatIf, []);
  const known = whatIf.value;
  const setting = asked.value;
  return (
    <Section id="what-if" title={t("whatif.title")} about={t("whatif.about")}>
      {whatIfProblem.value && <p class="not-measured">{whatIfProblem.value}</p>}
      {!known && tooLittle.value && <p class="not-measured">{t("whatif.too_little")}</p>}
      {!known && !tooLittle.value && !whatIfProblem.value && diagnosis.value && <p class="hint">{t("whatif.coming")}</p>}
      {known && setting && (
        <div class="what-if">
          <Sliders known={known} setting={setting} />
          <div>
            <Outcome known={known} setting={setting} />
            <Command known={known} setting={setting} />
            <Curve known={known} setting={setting} trials={trialsOfRun.value} />
            <Surface known={known} setting={setting} choose={(num_workers, prefetch_factor) => change({ num_workers, prefetch_factor })} />
          </div>
        </div>
      )}
      {known && score.value && <p class="small quiet score">{scoreWords(score.value)}</p>}
      {known?.assumptions.map((each) => (
        <p key={each.code} class="not-measured">
          {said(each)}
        </p>
      ))}
    </Section>
  );
}

function scoreWords({ pairs, median, p90, inside }: Score): string {
  if (pairs === 0) return t("whatif.no_score");
  if (pairs === 1) return t(inside ? "whatif.score_kept" : "whatif.score_missed", { error: joined(share(median)) });
  return t("whatif.score", { pairs: number(pairs), median: joined(share(median)), p90: joined(share(p90)), inside: joined(share(inside)) });
}

function Sliders({ known, setting }: { readonly known: Known; readonly setting: Setting }) {
  const faster = setting.faster[0];
  const sizes = batchSizes(known.now.batch_size);
  return (
    <div class="sliders">
      <Slider label="num_workers" value={setting.num_workers} min={0} max={known.workers.at(-1)!} onChange={(num_workers) => change({ num_workers })} />
      <Slider label="prefetch_factor" value={setting.prefetch_factor} min={1} max={known.prefetch.at(-1)!} onChange={(prefetch_factor) => change({ prefetch_factor })} />
      <Slider
        label="batch_size"
        value={nearest(sizes, setting.batch_size)}
        words={String(setting.batch_size)}
        min={0}
        max={sizes.length - 1}
        onChange={(place) => change({ batch_size: sizes[place]! })}
      />
      <div class="slider">
        <span>worker_method</span>
        <Segments
          name="what-if-method"
          label="worker_method"
          value={setting.worker_method}
          options={[
            { value: "process", label: t("whatif.process") },
            { value: "thread", label: t("whatif.thread") },
          ]}
          onChoose={(worker_method) => change({ worker_method })}
        />
      </div>
      <label class="tick">
        <input type="checkbox" checked={setting.persistent_workers} onChange={(event) => change({ persistent_workers: event.currentTarget.checked })} />
        persistent_workers
      </label>
      <label class="tick">
        <input type="checkbox" checked={setting.in_order} onChange={(event) => change({ in_order: event.currentTarget.checked })} />
        in_order
      </label>
      <label class="tick">
        <input type="checkbox" checked={setting.cached} onChange={(event) => change({ cached: event.currentTarget.checked })} />
        {t("whatif.cached")}
      </label>
      <div class="slider">
        <label for="what-if-part">{t("whatif.faster")}</label>
        <span class="pair">
          <select
            class="field"
            id="what-if-part"
            value={faster?.[0] ?? ""}
            onChange={(event) => change({ faster: event.currentTarget.value === "" ? [] : [[event.currentTarget.value, faster?.[1] ?? 2]] })}
          >
            <option value="">{t("whatif.nothing")}</option>
            {known.stages.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
          <select
            class="field"
            aria-label={t("whatif.times")}
            value={String(faster?.[1] ?? 1)}
            disabled={!faster}
            onChange={(event) => faster && change({ faster: [[faster[0], Number(event.currentTarget.value)]] })}
          >
            {FACTORS.map((factor) => (
              <option key={factor} value={String(factor)}>
                ×{number(factor, factor % 1 ? 1 : 0)}
              </option>
            ))}
          </select>
        </span>
      </div>
      <button type="button" class="button compact" disabled={Object.keys(wish.value).length === 0} onClick={() => (wish.value = {})}>
        {t("whatif.reset")}
      </button>
    </div>
  );
}

interface SliderProps {
  readonly label: string;
  readonly value: number;
  readonly words?: string;
  readonly min: number;
  readonly max: number;
  readonly onChange: (value: number) => void;
}

function Slider({ label, value, words = String(value), min, max, onChange }: SliderProps) {
  const id = `what-if-${label}`;
  return (
    <div class="slider">
      <label for={id}>{label}</label>
      <output for={id}>{words}</output>
      <input id={id} type="range" min={min} max={max} value={Math.min(max, Math.max(min, value))} aria-valuetext={words} onInput={(event) => onChange(Number(event.currentTarget.value))} />
    </div>
  );
}

function Outcome({ known, setting }: { readonly known: Known; readonly setting: Setting }) {
  const rate = known.surface[setting.num_workers]?.[setting.prefetch_factor - 1] ?? known.asked.samples_per_s;
  const isSame = known.asked.setting.num_workers === setting.num_workers && known.asked.setting.prefetch_factor === setting.prefetch_factor;
  const changed = changedArguments(setting, known.now);
  return (
    <div class="outcome-line">
      <p aria-live="polite">
        <strong>{significant(rate)}</strong> {t("verdict.samples_per_s")} <span class="quiet">×{number(rate / known.now_per_s, 2)}</span>
        <span class="small quiet">
          {isSame && ` · ${t("verdict.range", { low: significant(known.asked.low_per_s), high: significant(known.asked.high_per_s) })}`}
          {isSame && ` · ${t("whatif.wait", { share: joined(share(known.asked.wait_share)) })}`}
        </span>
      </p>
      {changed.length > 0 && <code>{changed.join(", ")}</code>}
      {canMeasure.value && mayOperate.value && (
        <button type="button" class="button" disabled={setting.faster.length > 0 || setting.cached} onClick={() => void measure(setting)}>
          <Icon name="play" /> {t("whatif.measure")}
        </button>
      )}
    </div>
  );
}

/** A script is not run from here: what to type for that. */
function Command({ known, setting }: { readonly known: Known; readonly setting: Setting }) {
  const script = run.value?.script;
  const command = script && setting.faster.length === 0 && !setting.cached ? commandToMeasure(script, setting, known.now) : "";
  if (command === "") return null;
  return (
    <div class="command">
      <p class="small quiet">{t("verdict.command")}</p>
      <Typed text={command} />
    </div>
  );
}

/** Half and double of what was recorded, and so on. */
function batchSizes(now: number): readonly number[] {
  const factors = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8];
  return [...new Set(factors.map((factor) => Math.min(4096, Math.max(1, Math.round(now * factor)))))];
}

const nearest = (sizes: readonly number[], size: number) => sizes.reduce((best, each, place) => (Math.abs(each - size) < Math.abs(sizes[best]! - size) ? place : best), 0);
