/** What was promised beside what came true: in the run that was started to measure it, and in the one that promised. */
import { t } from "../../i18n";
import { number, significant } from "../../i18n/format";
import { open } from "../../store/actions";
import { openRunId } from "../../store/run";
import { trialHere, trialsOfRun, type Trial } from "../../store/what-if";
import { changedArguments } from "../../prediction/setting";
import { whatIf } from "../../store/what-if";
import type { Measured } from "../../wire";

export function Proof() {
  const shown = trialHere.value ? [trialHere.value] : trialsOfRun.value;
  if (shown.length === 0) return null;
  return (
    <ul class="proof" aria-label={t("proof.title")}>
      {shown.map((trial) => (
        <One key={trial.run} trial={trial} />
      ))}
    </ul>
  );
}

function One({ trial }: { readonly trial: Trial }) {
  const { measured } = trial;
  const isHere = trial.run === openRunId.value;
  const now = whatIf.value && !isHere ? changedArguments(trial.setting, whatIf.value.now).join(", ") : "";
  return (
    <li role="status">
      <span>
        {measured
          ? t(outcome(measured), {
              predicted: significant(measured.predicted.samples_per_s),
              measured: significant(measured.samples_per_s),
              before: significant(measured.before_per_s),
              ratio: number(measured.samples_per_s / measured.before_per_s, 2),
            })
          : t("proof.measuring")}{" "}
        {now && <code>{now}</code>}
      </span>
      <button type="button" class="link" onClick={() => open(isHere ? trial.of : trial.run)}>
        {t(isHere ? "proof.back" : "proof.open")}
      </button>
    </li>
  );
}

function outcome({ samples_per_s: rate, predicted: { low_per_s: low, high_per_s: high } }: Measured) {
  if (rate > high) return "proof.better";
  return rate < low ? "proof.missed" : "proof.kept";
}
