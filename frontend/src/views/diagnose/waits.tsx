/** How long the loop waited for its batches, as a histogram. */
import { OneChart } from "../../charts/charts";
import { t } from "../../i18n";
import { diagnosis } from "../../store/diagnosis";
import { Section } from "./section";

export function Waits() {
  if (!diagnosis.value?.budget) return null;
  return (
    <Section id="waits" title={t("waits.title")} about={t("waits.about")}>
      <OneChart name="waits" />
    </Section>
  );
}
