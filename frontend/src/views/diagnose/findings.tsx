/** What is wrong with what the loader delivers, whatever its speed; each finding says how it was seen. */
import { said, t, type Key } from "../../i18n";
import { diagnosis } from "../../store/diagnosis";
import type { LintFinding, LintLevel } from "../../wire";
import { NotMeasured, Section } from "./section";
import { amount } from "./words";

const TONE: Readonly<Record<LintLevel, string>> = { error: "problem", warning: "notice", note: "" };

export function Findings() {
  const known = diagnosis.value;
  const findings = known?.findings ?? [];
  return (
    <Section id="findings" title={t("findings.title")} about={t("findings.about")}>
      {known && findings.length === 0 && <p class="hint good">{t("findings.none")}</p>}
      <ul class="findings">
        {findings.map((finding) => (
          <Finding key={`${finding.code} ${finding.epoch ?? ""} ${finding.workers.join()}`} finding={finding} />
        ))}
      </ul>
      <NotMeasured what="findings" />
    </Section>
  );
}

function Finding({ finding }: { readonly finding: LintFinding }) {
  return (
    <li>
      <span class={`chip ${TONE[finding.level]}`}>{t(`level.${finding.level}` as Key)}</span>
      <div>
        <p class="sentence">{said(finding.sentence)}</p>
        <p>{said(finding.advice)}</p>
        <p class="small quiet">
          {t("findings.seen")} {said(finding.seen)}
        </p>
        {finding.evidence.length > 0 && (
          <dl class="evidence">
            {finding.evidence.map((each) => (
              <div key={each.name.en}>
                <dt>{said(each.name)}</dt>
                <dd>{amount(each)}</dd>
              </div>
            ))}
          </dl>
        )}
      </div>
      <code class="quiet code">{finding.code}</code>
    </li>
  );
}
