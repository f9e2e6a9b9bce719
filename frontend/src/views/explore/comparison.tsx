/** Two runs side by side: what is different, by how much, and both on one time axis. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { getComparison } from "../../api-sweep";
import { said, t, tOr, type Key } from "../../i18n";
import { date, joined, number, share, significant } from "../../i18n/format";
import { CopyLink } from "../../instrument/export-menu";
import { Icon } from "../../parts/icon";
import { compareRuns, leaving, open } from "../../store/actions";
import { comparedWith, leavePanels } from "../../store/panels";
import { describe } from "../../store/problems";
import { openRunId, runs } from "../../store/run";
import { runName } from "../../words";
import type { ComparedRun, Difference, RateChange, RunComparison, RunSummary } from "../../wire";
import { CommonAxis } from "./common-axis";
import { interval } from "./sweep-words";

export function Comparison() {
  const [before, after] = [openRunId.value, comparedWith.value];
  const answer = useSignal<RunComparison | null>(null);
  const problem = useSignal("");
  useEffect(() => {
    const cancelled = new AbortController();
    answer.value = null;
    problem.value = "";
    getComparison(before, after, cancelled.signal)
      .then((found) => {
        if (!cancelled.signal.aborted) answer.value = found;
      })
      .catch((error: unknown) => {
        if (!cancelled.signal.aborted) problem.value = describe(error);
      });
    return () => cancelled.abort();
  }, [before, after]);
  const shown = answer.value;
  return (
    <section class="pane comparison" aria-label={t("compare.title")}>
      <Head before={before} after={after} />
      {problem.value && (
        <p class="comparison-body" role="alert">
          {problem.value}
        </p>
      )}
      {!shown && !problem.value && (
        <p class="comparison-body quiet" role="status">
          {t("compare.loading")}
        </p>
      )}
      {shown && (
        <>
          <div class="comparison-body">
            <Statement rate={shown.rate} />
            <Table comparison={shown} />
          </div>
          <CommonAxis key={`${before} ${after}`} comparison={shown} />
        </>
      )}
    </section>
  );
}

function Head({ before, after }: { readonly before: string; readonly after: string }) {
  return (
    <div class="pane-head">
      <h1>{t("compare.title")}</h1>
      <RunChoice letter="A" value={before} other={after} onChoose={(id) => compareRuns(id, after)} />
      <button type="button" class="button bare compact icon" aria-label={t("compare.swap")} title={t("compare.swap")} onClick={() => compareRuns(after, before)}>
        <Icon name="compare" />
      </button>
      <RunChoice letter="B" value={after} other={before} onChoose={(id) => compareRuns(before, id)} />
      <span class="end">
        <CopyLink />
        <button type="button" class="button bare compact icon" aria-label={t("compare.close")} title={t("compare.close")} onClick={leavePanels}>
          <Icon name="close" />
        </button>
      </span>
    </div>
  );
}

interface ChoiceProps {
  readonly letter: "A" | "B";
  readonly value: string;
  readonly other: string;
  readonly onChoose: (id: string) => void;
}

function RunChoice({ letter, value, other, onChoose }: ChoiceProps) {
  const choices = runs.value.filter(({ id, live }) => id === value || (!live && !leaving.value.has(id)));
  return (
    <label class="run-choice">
      <Letter letter={letter} />
      <select class="field" aria-label={t("compare.choose", { letter })} value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        {choices.map((each) => (
          <option key={each.id} value={each.id} disabled={each.id === other}>
            {[runName(each), workersOf(each), date(each.started_unix_ns)].filter(Boolean).join(" · ")}
          </option>
        ))}
      </select>
    </label>
  );
}

/** What tells the runs of one script apart. */
function workersOf({ loader, script }: RunSummary): string {
  const workers = loader?.num_workers;
  return script && typeof workers === "number" ? `num_workers=${workers}` : "";
}

export function Letter({ letter }: { readonly letter: "A" | "B" }) {
  return <span class={`letter ${letter.toLowerCase()}`}>{letter}</span>;
}

/** How many times as fast, in words that do not say more than was measured. */
function Statement({ rate }: { readonly rate: RateChange }) {
  const { ratio, low, high, judgement, blocks } = rate;
  const values = { ratio: number(ratio, 2), low: number(low, 2), high: number(high, 2) };
  return (
    <div class="statement" role="status">
      <p class="headline">{t(`compare.said.${judgement}` as Key, values)}</p>
      <p class="quiet small">{ratio === null ? t("compare.untested") : t("compare.tested", { first: blocks[0], second: blocks[1] })}</p>
    </div>
  );
}

function Table({ comparison: { before, after, differences } }: { readonly comparison: RunComparison }) {
  const both = [before, after] as const;
  const known = differences.filter(({ before: was, after: now }) => was !== null && now !== null);
  const ofOne = differences.filter((each) => !known.includes(each));
  return (
    <div class="table-scroll" role="region" aria-label={t("compare.table")} tabIndex={0}>
      <table class="compared">
        <thead>
          <tr>
            <td />
            {both.map(({ run }, index) => (
              <th key={run.id} scope="col">
                <Letter letter={index === 0 ? "A" : "B"} /> <span class="name">{runName(run)}</span>{" "}
                <button type="button" class="button bare compact" onClick={() => open(run.id)}>
                  {t("compare.open")}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <Row name={t("compare.rate")} cells={both.map(({ rate }) => `${significant(rate?.samples_per_s)} ${t("sweep.unit")}`)} strong />
          <Row name={t("compare.interval")} cells={both.map(({ rate }) => (rate ? interval(rate) : "–"))} />
          <Row name={t("numbers.wait")} cells={both.map((each) => joined(share(each.wait_share)))} />
          <Row name={t("compare.verdict")} cells={both.map(({ verdict }) => said(verdict))} titles={both.map(({ sentence }) => said(sentence))} />
          <Row name={t("compare.steps")} cells={both.map(({ steps }: ComparedRun) => number(steps))} />
          <tr>
            <th scope="rowgroup" colSpan={3} class="divider">
              {differences.length === 0 ? t("compare.same_settings") : t("compare.differences")}
            </th>
          </tr>
          {known.map((each) => (
            <Different key={each.name} difference={each} />
          ))}
          {ofOne.length > 0 && (
            <tr>
              <th scope="rowgroup" colSpan={3} class="divider quiet">
                {t("compare.known_of_one")}
              </th>
            </tr>
          )}
          {ofOne.map((each) => (
            <Different key={each.name} difference={each} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Different({ difference: { name, before, after } }: { readonly difference: Difference }) {
  const words = tOr(`setting.${name}`, "");
  return (
    <tr>
      <th scope="row">
        {words && <>{words} </>}
        <code>{name}</code>
      </th>
      {[before, after].map((value, index) => (
        <td key={index} class="mono">
          {plain(value)}
        </td>
      ))}
    </tr>
  );
}

/** As it is typed in Python. What is not known is a dash. */
function plain(value: Difference["before"]): string {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "True" : "False";
  return String(value);
}

interface RowProps {
  readonly name: string;
  readonly cells: readonly string[];
  readonly titles?: readonly string[];
  readonly strong?: boolean;
}

function Row({ name, cells, titles, strong = false }: RowProps) {
  return (
    <tr class={strong ? "strong" : ""}>
      <th scope="row">{name}</th>
      {cells.map((cell, index) => (
        <td key={index} title={titles?.[index]}>
          {cell}
        </td>
      ))}
    </tr>
  );
}
