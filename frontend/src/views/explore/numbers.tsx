/** The numbers that matter, large, in tabular figures and in boxes of fixed width: they never jump. */
import { t } from "../../i18n";
import { bytes, duration, joined, number, share, significant, type Quantity } from "../../i18n/format";
import { Sparkline } from "../../parts/sparkline";
import { Tile } from "../../parts/tile";
import { isLive, status, trend } from "../../store/run";
import { inFlight, loss, revision, rollup } from "../../store/recording";
import type { Metrics } from "../../wire";

export function Numbers() {
  const now = status.value?.recent ?? null;
  const total = status.value?.total ?? null;
  // A recording has no "recent": its numbers are those of the whole run.
  const isRecent = status.value?.state === "running" || status.value?.state === "paused";
  const shown = isRecent ? now : total;
  const when = t(isRecent ? "numbers.recent" : "numbers.whole");
  // A recording comes with one status: its curves are those of the whole run, from the roll-up.
  const curve = (pick: (metrics: Metrics) => number | null, whole: (first: number, last: number) => number) =>
    trend.value.length > 1 ? trend.value.map(pick) : wholeRun(whole);
  return (
    <dl class="numbers pane" aria-label={t("numbers.title")}>
      <Tile name={t("numbers.samples")} title={when} value={{ value: significant(shown?.samples_per_s), unit: "/s" }}>
        <Sparkline values={curve((metrics) => metrics.samples_per_s, (first, last) => rollup.rate("samples", first, last))} />
      </Tile>
      <Tile name={t("numbers.batches")} title={when} value={{ value: significant(shown?.batches_per_s), unit: "/s" }}>
        <Sparkline values={curve((metrics) => metrics.batches_per_s, (first, last) => rollup.rate("batches", first, last))} />
      </Tile>
      <Tile name={t("numbers.bytes")} title={when} value={perSecond(bytes(shown?.bytes_per_s))}>
        <Sparkline values={curve((metrics) => metrics.bytes_per_s, (first, last) => rollup.rate("bytes", first, last))} />
      </Tile>
      <Tile name={t("numbers.wait")} value={share(shown?.wait_share)} title={`${t("numbers.wait_about")}. ${when}`}>
        <Sparkline values={curve((metrics) => metrics.wait_share, waitShare)} />
      </Tile>
      <Tile name={t("numbers.flight")} value={{ value: number(shown?.in_flight), unit: t("numbers.ready", { count: number(shown?.ready) }) }}>
        <Sparkline values={curve((metrics) => metrics.in_flight, (_, last) => inFlight.at(last * rollup.bucketNs) ?? 0)} />
      </Tile>
      <Tile name={t("numbers.first")} value={duration(total?.first_batch_ns)}>
        <p class="note">{t("numbers.counted", { batches: number(total?.batches) })}</p>
      </Tile>
      <MemoryTile />
      <Tile name={t("numbers.loss")} value={{ value: lossText(shown?.loss), unit: epochText(shown) }}>
        <Sparkline values={lossCurve()} tight />
      </Tile>
    </dl>
  );
}

function MemoryTile() {
  const memory = status.value?.memory ?? [];
  // Shared pages are counted once where the system tells (PSS); the sum of RSS counts them in each process.
  const exact = memory.length > 0 && memory.every(({ pss_bytes }) => pss_bytes !== null);
  const sum = memory.reduce((total, each) => total + (exact ? each.pss_bytes! : each.rss_bytes), 0);
  const details = memory.map((each) => `${each.label}: ${joined(bytes(each.pss_bytes ?? each.rss_bytes))}`).join(" · ");
  return (
    <Tile name={t("numbers.memory")} value={bytes(memory.length > 0 ? sum : null)} title={details}>
      <p class="note">{memory.length === 0 ? "" : t(exact ? "numbers.memory_pss" : "numbers.memory_rss", { count: memory.length })}</p>
    </Tile>
  );
}

const perSecond = ({ value, unit }: Quantity): Quantity => ({ value, unit: `${unit}/s` });
const lossText = (value: number | null | undefined) => number(value, value !== null && value !== undefined && Math.abs(value) >= 10 ? 2 : 3);
const epochText = (metrics: Metrics | null | undefined) => (metrics?.epoch == null ? "" : t("numbers.epoch", { epoch: metrics.epoch }));

const CURVE_POINTS = 80;

/** A number over the whole run, at `CURVE_POINTS` places. */
function wholeRun(at: (first: number, last: number) => number): number[] {
  followRecording();
  const points = Math.min(CURVE_POINTS, rollup.length);
  return Array.from({ length: points }, (_, index) => {
    const first = Math.floor((index * rollup.length) / points);
    return at(first, Math.max(first + 1, Math.floor(((index + 1) * rollup.length) / points)));
  });
}

/** A live run redraws its numbers with each status, four times a second; a recording when its data has come. */
function followRecording(): void {
  if (!isLive.value) void revision.value;
}

function waitShare(first: number, last: number): number {
  const wait = rollup.rate("wait_ns", first, last);
  const all = wait + rollup.rate("step_ns", first, last);
  return all > 0 ? wait / all : 0;
}

const LOSS_POINTS = 100;

/** The loss over the whole run held, thinned to what a small curve can show. */
function lossCurve(): number[] {
  followRecording();
  const step = Math.max(1, Math.floor(loss.size / LOSS_POINTS));
  const points: number[] = [];
  for (let index = 0; index < loss.size; index += step) points.push(loss.valueAt(index));
  return points;
}
