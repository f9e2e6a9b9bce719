/** Predictions as pictures: the rate over the number of workers, and a map of workers and prefetching. */
import { t } from "../../i18n";
import { significant } from "../../i18n/format";
import { band, line, roundTop, xOf, yOf, type Plot } from "../../prediction/curve";
import type { Trial } from "../../store/what-if";
import type { Setting, WhatIf as Known } from "../../wire";

const WIDTH = 520;
const HEIGHT = 150;

interface Props {
  readonly known: Known;
  readonly setting: Setting;
}

export function Curve({ known, setting, trials }: Props & { readonly trials: readonly Trial[] }) {
  // The map has the line of every prefetch factor: it moves at once, before the server has answered.
  const rates = known.surface.map((row) => row[setting.prefetch_factor - 1]!);
  const most = rates.length - 1;
  const isSame = known.asked.setting.prefetch_factor === setting.prefetch_factor;
  const points = trials.flatMap(({ measured }) => (measured ? [measured] : []));
  const plot: Plot = {
    width: WIDTH,
    height: HEIGHT,
    top: roundTop([...rates, known.now_per_s, ...points.map(({ samples_per_s }) => samples_per_s)].map((rate) => rate * 1.1)),
  };
  const shown = rates[setting.num_workers] ?? 0;
  const words = t("whatif.curve", { workers: setting.num_workers, rate: significant(shown), now: significant(known.now_per_s) });
  return (
    <figure class="curve">
      <svg viewBox={`-44 -8 ${WIDTH + 56} ${HEIGHT + 34}`} role="img" aria-label={words}>
        {[0, 0.5, 1].map((part) => (
          <g key={part}>
            <line class="grid" x1={0} x2={WIDTH} y1={yOf(plot, part * plot.top)} y2={yOf(plot, part * plot.top)} />
            <text x={-6} y={yOf(plot, part * plot.top) + 4} text-anchor="end">
              {significant(part * plot.top)}
            </text>
          </g>
        ))}
        {known.workers.filter((each) => each % 2 === 0).map((each) => (
          <text key={each} x={xOf(plot, each, most)} y={HEIGHT + 16} text-anchor="middle">
            {each}
          </text>
        ))}
        {isSame && <path class="band" d={band(plot, known.curve)} />}
        <path class="line" d={line(plot, rates)} />
        <circle class="now" cx={xOf(plot, known.now.num_workers, most)} cy={yOf(plot, known.now_per_s)} r={5} />
        {points.map(({ run, predicted, samples_per_s }) => (
          <circle key={run} class="measured" cx={xOf(plot, predicted.setting.num_workers, most)} cy={yOf(plot, samples_per_s)} r={5}>
            <title>{t("whatif.measured_point", { rate: significant(samples_per_s) })}</title>
          </circle>
        ))}
        <circle class="asked" cx={xOf(plot, setting.num_workers, most)} cy={yOf(plot, shown)} r={6} />
      </svg>
      <figcaption class="small quiet">
        <span class="dot now" /> {t("whatif.now")} <span class="dot asked" /> {t("whatif.predicted")}
        {points.length > 0 && (
          <>
            {" "}
            <span class="dot measured" /> {t("whatif.measured")}
          </>
        )}{" "}
        <span>{t("whatif.axis")}</span>
      </figcaption>
    </figure>
  );
}

const STEPS: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Each cell is a setting; darker is faster. */
export function Surface({ known, setting, choose }: Props & { readonly choose: (workers: number, prefetch: number) => void }) {
  const all = known.surface.flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const onKeyDown = (event: KeyboardEvent & { readonly currentTarget: HTMLElement }) => {
    const [across, down] = STEPS[event.key] ?? [0, 0];
    const workers = setting.num_workers + across;
    const prefetch = setting.prefetch_factor + down;
    if ((across === 0 && down === 0) || !known.workers.includes(workers) || !known.prefetch.includes(prefetch)) return;
    event.preventDefault();
    choose(workers, prefetch);
    const group = event.currentTarget;
    queueMicrotask(() => group.querySelector<HTMLElement>('[aria-pressed="true"]')?.focus());
  };
  const depth = (rate: number) => (high > low ? (rate - low) / (high - low) : 1);
  return (
    <div class="surface" role="group" aria-label={t("whatif.map")} onKeyDown={onKeyDown}>
      {known.prefetch.map((prefetch, column) => (
        <div key={prefetch} class="surface-row">
          <span class="small quiet">{prefetch}</span>
          {known.workers.map((workers) => {
            const rate = known.surface[workers]![column]!;
            const isAsked = workers === setting.num_workers && prefetch === setting.prefetch_factor;
            return (
              <button
                key={workers}
                type="button"
                tabIndex={isAsked ? 0 : -1}
                aria-pressed={isAsked}
                aria-label={`num_workers=${workers}, prefetch_factor=${prefetch}: ${significant(rate)}/s`}
                title={`num_workers=${workers}, prefetch_factor=${prefetch}: ${significant(rate)}/s`}
                style={{ "--depth": depth(rate).toFixed(3) }}
                onClick={() => choose(workers, prefetch)}
              />
            );
          })}
        </div>
      ))}
      <p class="small quiet">{t("whatif.map_about")}</p>
    </div>
  );
}
