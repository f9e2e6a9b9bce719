/** The run in six numbers: how fast it goes, how much it waits, what a step takes, and what is wrong. */
import { t, tCount } from "../../i18n";
import { DASH, duration, joined, number, share, significant, type Quantity } from "../../i18n/format";
import { Sparkline } from "../../parts/sparkline";
import { Tile } from "../../parts/tile";
import { diagnosis } from "../../store/diagnosis";
import { status, trend } from "../../store/run";
import type { Diagnosis, MemoryUse, Metrics } from "../../wire";

export function Headline() {
  const now = status.value;
  const isRecent = now?.state === "running" || now?.state === "paused";
  const metrics = (isRecent ? now?.recent : now?.total) ?? null;
  const when = t(isRecent ? "numbers.recent" : "numbers.whole");
  const known = diagnosis.value;
  const budget = known?.budget ?? null;
  return (
    <dl class="numbers headline pane" aria-label={t("numbers.title")}>
      <Tile name={t("numbers.batches")} title={when} value={{ value: significant(metrics?.batches_per_s), unit: "/s" }}>
        <Trend pick={(each) => each.batches_per_s} note={t("numbers.counted", { batches: number(now?.total.batches) })} />
      </Tile>
      <Tile name={t("numbers.wait")} title={`${t("numbers.wait_about")}. ${when}`} value={share(metrics?.wait_share)}>
        <Trend pick={(each) => each.wait_share} note={t("headline.p95", { time: joined(duration(metrics?.wait_p95_ns)) })} />
      </Tile>
      <Tile name={t("headline.step")} title={t("headline.step_about")} value={duration(budget?.step_median_ns)}>
        <p class="note">{t("headline.p95", { time: joined(duration(budget?.step_p95_ns)) })}</p>
      </Tile>
      <Tile name={t("stalls.title")} title={t("stalls.about")} value={{ value: number(known?.stall_count), unit: "" }}>
        <p class="note">{known ? t("headline.stalled", { time: joined(duration(known.stall_ns)) }) : DASH}</p>
      </Tile>
      <MemoryTile known={known} />
      <FindingsTile known={known} />
    </dl>
  );
}

/** A live number has a curve; that of a recording a note. */
function Trend({ pick, note }: { readonly pick: (metrics: Metrics) => number | null; readonly note: string }) {
  return trend.value.length > 1 ? <Sparkline values={trend.value.map(pick)} /> : <p class="note">{note}</p>;
}

interface KnownProps {
  readonly known: Diagnosis | null;
}

/** When something runs out; else whether anything grows. */
function MemoryTile({ known }: KnownProps) {
  const { value, note } = memoryWords(known?.memory ?? null);
  return (
    <Tile name={t("memory.title")} title={note} value={value}>
      <p class="note">{note}</p>
    </Tile>
  );
}

function memoryWords(use: MemoryUse | null): { readonly value: Quantity; readonly note: string } {
  const words = (value: string, note: string) => ({ value: { value, unit: "" }, note });
  if (use === null) return words(DASH, "");
  const left = [use.memory_forecast, use.files_forecast].map((each) => each?.exhausted_in_ns ?? null).filter((ns) => ns !== null);
  if (left.length > 0) return { value: duration(Math.min(...left)), note: t("headline.exhausted") };
  const trends = [...use.memory, ...use.files];
  if (trends.length === 0) return words(DASH, t("headline.not_measured"));
  if (trends.some(({ trend }) => trend === "growing")) return words(t("trend.growing"), t("headline.growing_about"));
  if (trends.some(({ trend }) => trend === "unknown")) return words(DASH, t("trend.unknown"));
  return words(t("trend.steady"), t("headline.steady_about"));
}

function FindingsTile({ known }: KnownProps) {
  const serious = known?.findings.filter(({ level }) => level !== "note").length ?? 0;
  const notes = (known?.findings.length ?? 0) - serious;
  return (
    <Tile name={t("findings.title")} title={t("findings.about")} value={{ value: number(known ? serious : null), unit: "" }}>
      <p class="note">{known ? (serious + notes === 0 ? t("findings.none_short") : tCount("findings.notes", notes)) : DASH}</p>
    </Tile>
  );
}
