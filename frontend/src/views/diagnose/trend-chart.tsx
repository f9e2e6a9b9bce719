/** A number of one process over time: a small chart between its lowest and its highest value, which it says. */
import { t } from "../../i18n";
import { duration, joined } from "../../i18n/format";
import type { Trend } from "../../wire";
import { trendPath } from "./trend-path";

const WIDTH = 160;
const HEIGHT = 32;

export function TrendChart({ trend, words }: { readonly trend: Trend; readonly words: (value: number) => string }) {
  const values = trend.points.map(({ value }) => value);
  if (values.length < 2) return <span class="trend-chart quiet small">{t("memory.once")}</span>;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const said = t("memory.chart", { low: words(low), high: words(high), time: joined(duration(trend.over_ns)) });
  return (
    <span class="trend-chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={said}>
        <path d={trendPath(trend.points, WIDTH, HEIGHT)} />
      </svg>
      <span class="range small quiet" aria-hidden="true">
        <span>{words(high)}</span>
        {high > low && <span>{words(low)}</span>}
      </span>
    </span>
  );
}
