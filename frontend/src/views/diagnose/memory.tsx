/** Memory and descriptors of each process, how fast they grow, and when there will be none left. */
import { said, t, type Key } from "../../i18n";
import { bytes, duration, joined, number, type Quantity } from "../../i18n/format";
import { diagnosis } from "../../store/diagnosis";
import type { Forecast, Trend } from "../../wire";
import { NotMeasured, Section } from "./section";
import { TrendChart } from "./trend-chart";
import { workerName } from "./words";

export function Memory() {
  const use = diagnosis.value?.memory ?? null;
  const measured = use !== null && use.memory.length + use.files.length > 0;
  return (
    <Section id="memory" title={t("memory.title")} about={t("memory.about")}>
      {use && measured && (
        <div class="halves">
          <Half title={t("memory.memory")} trends={use.memory} forecast={use.memory_forecast} quantity={bytes} />
          <Half title={t("memory.files")} trends={use.files} forecast={use.files_forecast} quantity={counted} />
        </div>
      )}
      {use?.shared && <p class="remark">{said(use.shared.sentence)}</p>}
      <NotMeasured what="memory" />
      <NotMeasured what="files" />
    </Section>
  );
}

const counted = (value: number): Quantity => ({ value: number(value, Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0), unit: "" });

interface HalfProps {
  readonly title: string;
  readonly trends: readonly Trend[];
  readonly forecast: Forecast | null;
  readonly quantity: (value: number) => Quantity;
}

function Half({ title, trends, forecast, quantity }: HalfProps) {
  if (trends.length === 0) return null;
  return (
    <div>
      <h3>{title}</h3>
      {forecast && <p class={forecast.exhausted_in_ns === null ? "" : "remark"}>{said(forecast.sentence)}</p>}
      <ul class="trends">
        {trends.map((trend) => (
          <Row key={trend.lane} trend={trend} quantity={quantity} />
        ))}
      </ul>
    </div>
  );
}

const MINUTE_S = 60;

function Row({ trend, quantity }: { readonly trend: Trend; readonly quantity: (value: number) => Quantity }) {
  const rate = (perS: number) => joined(quantity(perS * MINUTE_S));
  const name = trend.worker === null ? t("lane.main") : workerName(trend.worker);
  return (
    <li>
      <span class="who" title={trend.label}>
        {name}
      </span>
      <TrendChart trend={trend} words={(value) => joined(quantity(value))} />
      <span class="latest">
        <strong>{joined(quantity(trend.latest))}</strong>
        <span class={`small ${trend.trend === "growing" ? "growing" : "quiet"}`} title={t("memory.seen", { seen: number(trend.seen), time: joined(duration(trend.over_ns)) })}>
          {t(`trend.${trend.trend}` as Key)}
          {trend.trend === "growing" && trend.per_s !== null && ` ${t("memory.slope", { rate: rate(trend.per_s), low: rate(trend.low_per_s ?? trend.per_s), high: rate(trend.high_per_s ?? trend.per_s) })}`}
        </span>
      </span>
    </li>
  );
}
