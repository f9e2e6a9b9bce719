/** How long the loop waited for its batches: the quantiles in words, and all of it as a histogram. */
import { OneChart } from "../../charts/charts";
import { t } from "../../i18n";
import { duration, joined } from "../../i18n/format";
import { diagnosis } from "../../store/diagnosis";
import { status } from "../../store/run";
import { Section } from "./section";

export function Waits() {
  const total = status.value?.total;
  if (!diagnosis.value || !total || total.wait_p50_ns === null) return null;
  const time = (ns: number | null) => joined(duration(ns));
  const about = t("waits.about", { p50: time(total.wait_p50_ns), p95: time(total.wait_p95_ns), p99: time(total.wait_p99_ns) });
  return (
    <Section id="waits" title={t("waits.title")} about={about}>
      <OneChart name="waits" />
    </Section>
  );
}
