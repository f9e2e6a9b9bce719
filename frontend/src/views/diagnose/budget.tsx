/** Where a step's time goes: one bar with its numbers, and where the batches were while the loop waited for them. */
import { said, t, tCount } from "../../i18n";
import { duration, joined, number, share } from "../../i18n/format";
import { Stack } from "../../parts/stack";
import { Swatch } from "../../parts/swatch";
import { diagnosis } from "../../store/diagnosis";
import type { BudgetPart, StepBudget } from "../../wire";
import { NotMeasured, Section } from "./section";
import { partName, partPaint, phaseName, phasePaint } from "./words";

export function Budget() {
  const budget = diagnosis.value?.budget ?? null;
  return (
    <Section id="budget" title={t("budget.title")} about={t("budget.about")} note={budget ? tCount("budget.steps", budget.steps, number(budget.steps)) : undefined}>
      {budget ? <Parts budget={budget} /> : null}
      {diagnosis.value?.headroom_says && <p class="remark">{said(diagnosis.value.headroom_says)}</p>}
      <NotMeasured what="budget" />
    </Section>
  );
}

function Parts({ budget }: { readonly budget: StepBudget }) {
  const { parts, device } = budget;
  const stacked = (list: readonly BudgetPart[]) =>
    list.map((part) => {
      const name = partName(part, list);
      return { name: `${part.kind} ${part.name}`, paint: partPaint(part), share: part.share, words: `${name} ${joined(share(part.share))}` };
    });
  return (
    <div class="budget">
      <div>
        <Stack parts={stacked(parts)} />
        {device.length > 0 && (
          <div class="beside">
            <Stack parts={stacked(device)} thin />
            <p class="small quiet">{t("budget.device")}</p>
          </div>
        )}
        <PartsTable parts={parts} device={device} />
      </div>
      <Waiting budget={budget} />
    </div>
  );
}

function PartsTable({ parts, device }: { readonly parts: readonly BudgetPart[]; readonly device: readonly BudgetPart[] }) {
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label={t("budget.title")}>
      <table class="budget-table">
        <thead>
          <tr>
            <th scope="col">{t("budget.part")}</th>
            <th scope="col" class="n">
              {t("budget.share")}
            </th>
            <th scope="col" class="n" title={t("budget.median_about")}>
              {t("budget.median")}
            </th>
            <th scope="col" class="n" title={t("budget.p95_about")}>
              {t("budget.p95")}
            </th>
            <th scope="col" class="n">
              {t("budget.total")}
            </th>
          </tr>
        </thead>
        <tbody>
          {[...parts, ...device].map((part) => (
            <tr key={`${part.kind} ${part.name}`}>
              <th scope="row">
                <Swatch paint={partPaint(part)} />
                {partName(part, parts)}
              </th>
              <td class="n strong">{joined(share(part.share))}</td>
              <td class="n">{joined(duration(part.median_ns))}</td>
              <td class="n">{joined(duration(part.p95_ns))}</td>
              <td class="n">{joined(duration(part.total_ns))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A phase of less than this of all waiting is not worth a line. */
const MIN_PHASE_SHARE = 0.005;

function Waiting({ budget }: { readonly budget: StepBudget }) {
  const phases = budget.waiting.filter((phase) => phase.share >= MIN_PHASE_SHARE);
  const { head_of_line: order, periodicity } = budget;
  if (phases.length === 0) return null;
  const waited = budget.waiting.reduce((sum, { total_ns }) => sum + total_ns, 0);
  return (
    <div class="waiting-phases">
      <h3>{t("budget.waiting")}</h3>
      <Stack thin parts={phases.map(({ name, share: part }) => ({ name, paint: phasePaint(name), share: part }))} />
      <dl class="facts">
        {phases.map((phase) => (
          <div key={phase.name}>
            <dt>
              <Swatch paint={phasePaint(phase.name)} />
              {phaseName(phase.name)}
            </dt>
            <dd>
              {joined(share(phase.share))} <span class="quiet">{joined(duration(phase.total_ns))}</span>
            </dd>
          </div>
        ))}
      </dl>
      {periodicity?.in_step && <p class="remark">{t("budget.in_step", { workers: number(periodicity.lag) })}</p>}
      {order && order.gain_ns >= MIN_PHASE_SHARE * waited && (
        <p class="remark">
          {t("budget.order", {
            waits: tCount("budget.waits", order.waits, number(order.waits)),
            time: joined(duration(order.hol_ns)),
            gain: joined(duration(order.gain_ns)),
          })}
        </p>
      )}
    </div>
  );
}
