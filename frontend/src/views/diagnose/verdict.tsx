/** The verdict: what holds the loop back, what to change, what it would gain, and what would refute it. */
import { said, t, type Key } from "../../i18n";
import { joined, number, share, significant } from "../../i18n/format";
import { Icon } from "../../parts/icon";
import { Typed } from "../../parts/typed";
import { changedArguments, commandToMeasure } from "../../prediction/setting";
import { diagnosis } from "../../store/diagnosis";
import { reason, run, state } from "../../store/run";
import { litKinds } from "../../store/selection";
import { mayOperate } from "../../store/session";
import { canMeasure, measure } from "../../store/what-if";
import { fitRun, show } from "../../store/window";
import type { Evidence, Finding, Prediction, Verdict as VerdictOf } from "../../wire";
import { Coming } from "./section";
import { Proof } from "./proof";
import { amount } from "./words";

const CALM: ReadonlySet<string> = new Set(["loader_ok", "undetermined"]);

export function Verdict() {
  const verdict = diagnosis.value?.verdict ?? null;
  const top = verdict?.findings[0];
  return (
    <section class={`pane verdict ${top ? `is-${toneOf(top)}` : ""}`} id="verdict" aria-labelledby="verdict-title">
      <h2 id="verdict-title" class="spoken">
        {t("verdict.title")}
      </h2>
      <BadEnd />
      <Coming />
      {verdict && top && (
        <>
          <Card finding={top} verdict={verdict} isTop />
          <Proof />
          <Others verdict={verdict} />
        </>
      )}
    </section>
  );
}

/** How the run ended, where that was not as it should: it comes before what held it back. */
function BadEnd() {
  const how = state.value;
  if ((how !== "failed" && how !== "interrupted") || reason.value === "") return null;
  return (
    <p class="bad-end">
      <strong>{t(`verdict.${how}`)}</strong> {reason.value}
    </p>
  );
}

const toneOf = ({ code }: Finding): string => (code === "loader_ok" ? "good" : code === "undetermined" ? "open" : "bad");

interface CardProps {
  readonly finding: Finding;
  readonly verdict: VerdictOf;
  readonly isTop?: boolean;
}

function Card({ finding, verdict, isTop = false }: CardProps) {
  return (
    <article class="finding-card">
      <header>
        <span class={`chip ${toneOf(finding) === "bad" ? "notice" : ""}`}>{t(`code.${finding.code}` as Key)}</span>
        {finding.share !== null && !CALM.has(finding.code) && (
          <span class="small quiet">{t("verdict.explains", { share: joined(share(finding.share)) })}</span>
        )}
        {finding.code !== "undetermined" && (
          <span class="small quiet">
            {t(`confidence.${finding.confidence}` as Key)}
            {isTop && ` · ${t("verdict.rests_on", { steps: number(verdict.steps) })}`}
          </span>
        )}
      </header>
      <p class={isTop ? "sentence" : ""}>{said(finding.sentence)}</p>
      <Advice finding={finding} verdict={verdict} />
      <EvidenceList evidence={finding.evidence} />
      <dl class="tests">
        <div>
          <dt>{t("verdict.refuted")}</dt>
          <dd>{said(finding.refuted_by)}</dd>
        </div>
        <div>
          <dt>{t("verdict.experiment")}</dt>
          <dd>{said(finding.experiment)}</dd>
        </div>
      </dl>
    </article>
  );
}

function Advice({ finding, verdict }: CardProps) {
  // Code is the same in every language; what is work, and no line to type, the advice says.
  const lines = finding.changes.map(({ line }) => line).filter(({ es, en }) => es === en && en !== "");
  const { setting } = finding;
  const isOther = setting !== null && verdict.setting !== null && changedArguments(setting, verdict.setting).length > 0;
  // A change of code, such as less work for each sample, promises a rate, but no argument to try.
  const predicted = isOther || finding.predicted?.setting.faster.length ? finding.predicted : null;
  const script = run.value?.script;
  const command = isOther && setting && verdict.setting && script ? commandToMeasure(script, setting, verdict.setting) : "";
  return (
    <div class="advice">
      <div>
        <p>{said(finding.advice)}</p>
        {lines.length > 0 && <Typed text={lines.map(said).join("\n")} />}
        {command !== "" && (
          <>
            <p class="small quiet">{t("verdict.command")}</p>
            <Typed text={command} />
          </>
        )}
        {finding.place && (
          <p class="small quiet">
            {t("verdict.place")} <code>{finding.place}</code>
          </p>
        )}
      </div>
      {predicted && (
        <div class="promise">
          <Promised predicted={predicted} now={verdict.samples_per_s} />
          {isOther && setting && canMeasure.value && mayOperate.value && (
            <button type="button" class="button primary" onClick={() => void measure(setting)}>
              <Icon name="play" /> {t("verdict.apply")}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Promised({ predicted, now }: { readonly predicted: Prediction; readonly now: number | null }) {
  const gain = now ? predicted.samples_per_s / now : null;
  const range = t("verdict.range", { low: significant(predicted.low_per_s), high: significant(predicted.high_per_s) });
  return (
    <p title={t("verdict.predicted_about")}>
      <span class="small quiet">{t("verdict.predicted")}</span>
      <strong>{gain === null ? `${significant(predicted.samples_per_s)}/s` : `×${number(gain, 2)}`}</strong>
      <span class="small quiet">
        {now !== null && `${significant(now)} → ${significant(predicted.samples_per_s)} ${t("verdict.samples_per_s")} · `}
        {range}
      </span>
    </p>
  );
}

/** Numbers that the finding rests on; a click shows the spans that a number is made from. */
function EvidenceList({ evidence }: { readonly evidence: readonly Evidence[] }) {
  if (evidence.length === 0) return null;
  return (
    <ul class="grounds" aria-label={t("verdict.evidence")}>
      {evidence.map((each) => (
        <li key={each.name.en}>
          <Ground evidence={each} />
        </li>
      ))}
    </ul>
  );
}

function Ground({ evidence }: { readonly evidence: Evidence }) {
  const isLit = litKinds.value !== null && evidence.kinds.length > 0 && evidence.kinds.every((kind) => litKinds.value!.includes(kind));
  const words = (
    <>
      <span>{said(evidence.name)}</span> <strong>{amount(evidence)}</strong>
    </>
  );
  if (evidence.kinds.length === 0) return <span class="ground">{words}</span>;
  const light = () => {
    litKinds.value = isLit ? null : evidence.kinds;
    if (isLit) return;
    const span = evidence.end_ns - evidence.start_ns;
    if (span > 0) show(evidence.start_ns, span);
    else fitRun();
    document.querySelector(".axis-area")?.scrollIntoView({ block: "nearest" });
  };
  return (
    <button type="button" class="ground" aria-pressed={isLit} title={t("verdict.show_spans", { kinds: evidence.kinds.join(", ") })} onClick={light}>
      {words}
    </button>
  );
}

function Others({ verdict }: { readonly verdict: VerdictOf }) {
  const others = verdict.findings.slice(1);
  if (others.length === 0) return null;
  return (
    <details class="others">
      <summary>
        {t("verdict.others")}{" "}
        <span class="quiet">{others.map((each) => `${t(`code.${each.code}` as Key)}${each.share === null ? "" : ` ${joined(share(each.share))}`}`).join(" · ")}</span>
      </summary>
      {others.map((finding) => (
        <Card key={finding.code} finding={finding} verdict={verdict} />
      ))}
    </details>
  );
}
