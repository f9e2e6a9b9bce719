/** What to sweep: two parameters of the form's settings, their values, and how long each cell runs. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t, type Key } from "../../i18n";
import { roughly } from "../../i18n/format";
import { Icon } from "../../parts/icon";
import { capabilities } from "../../store/session";
import { settings } from "../../store/settings";
import { begin, sweepBusy } from "../../store/sweep";
import { MAX_SECONDS, MIN_SECONDS, allowed, estimateS, preset, requestOf, type Swept, type Wrong } from "../../sweep/grid";
import { SWEPT } from "../../wire";
import { parameterLabel } from "./sweep-words";

const FIRST = ["num_workers", "prefetch_factor", "batch_size"] as const satisfies readonly Swept[];
const CHOICES: readonly Swept[] = [...FIRST, ...SWEPT.filter((name) => !(FIRST as readonly string[]).includes(name))];

const wrongText = ({ why, values }: Wrong) => t(`sweep.wrong.${why}` as Key, values);

export function SweepDialog({ open, onClose }: { readonly open: boolean; readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog class="help sweep-dialog" ref={dialog} aria-labelledby="sweep-dialog-title" onClose={onClose} onClick={(event) => event.target === dialog.current && onClose()}>
      {open && <Form onClose={onClose} />}
    </dialog>
  );
}

function Form({ onClose }: { readonly onClose: () => void }) {
  const most = capabilities.value?.max_workers ?? 64;
  const now = settings.value;
  const x = useAxis("num_workers");
  const y = useAxis("prefetch_factor");
  const seconds = useSignal(4);
  const problem = useSignal("");
  const draft = { x: x.name.value, y: y.name.value, xText: x.text.value, yText: y.text.value, seconds: seconds.value };
  const asked = requestOf(draft, now, most);
  const isWrong = "why" in asked;
  const submit = async (event: Event) => {
    event.preventDefault();
    if (isWrong) return;
    problem.value = await begin(asked);
    if (problem.value === "") onClose();
  };
  const cells = isWrong ? 0 : asked.x.values.length * asked.y.values.length;
  return (
    <form onSubmit={(event) => void submit(event)}>
      <h2 id="sweep-dialog-title">{t("sweep.title")}</h2>
      <p class="quiet">{t("sweep.about")}</p>
      <AxisFields id="x" label={t("sweep.across")} axis={x} most={most} other={y.name.value} />
      <AxisFields id="y" label={t("sweep.down")} axis={y} most={most} other={x.name.value} />
      <label class="sweep-seconds" for="sweep-seconds">
        {t("sweep.seconds")}
        <span>
          <input
            id="sweep-seconds"
            class="field"
            type="number"
            min={MIN_SECONDS}
            max={MAX_SECONDS}
            step="any"
            value={seconds.value}
            onInput={(event) => (seconds.value = event.currentTarget.valueAsNumber)}
          />{" "}
          s
        </span>
      </label>
      <p class={isWrong || problem.value ? "sweep-verdict wrong" : "sweep-verdict quiet"} role="status">
        {problem.value || (isWrong ? wrongText(asked) : t("sweep.estimate", { cells, time: roughly(estimateS(cells, seconds.value)) }))}
      </p>
      <div class="sweep-actions">
        <button type="submit" class="button primary" disabled={isWrong || sweepBusy.value}>
          <Icon name="play" />
          {t("sweep.begin")}
        </button>
        <button type="button" class="button" onClick={onClose}>
          {t("sweep.not_now")}
        </button>
      </div>
    </form>
  );
}

function useAxis(first: Swept) {
  const most = capabilities.value?.max_workers ?? 64;
  return { name: useSignal<Swept>(first), text: useSignal(preset(first, settings.value, most)) };
}

interface AxisProps {
  readonly id: string;
  readonly label: string;
  readonly axis: ReturnType<typeof useAxis>;
  readonly most: number;
  readonly other: Swept;
}

function AxisFields({ id, label, axis, most, other }: AxisProps) {
  const choose = (name: Swept) => {
    axis.name.value = name;
    axis.text.value = preset(name, settings.value, most);
  };
  return (
    <fieldset class="sweep-axis">
      <legend>{label}</legend>
      <select
        class="field"
        aria-label={`${label}: ${t("sweep.parameter")}`}
        value={axis.name.value}
        onChange={(event) => choose(event.currentTarget.value as Swept)}
      >
        {CHOICES.map((name) => (
          <option key={name} value={name} disabled={name === other}>
            {parameterLabel(name)} ({name})
          </option>
        ))}
      </select>
      <input
        class="field mono"
        type="text"
        aria-label={`${label}: ${t("sweep.values")}`}
        aria-describedby={`sweep-range-${id}`}
        value={axis.text.value}
        maxLength={200}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => (axis.text.value = event.currentTarget.value)}
      />
      <p class="small quiet" id={`sweep-range-${id}`}>
        {t("sweep.range", { range: allowed(axis.name.value, most) })}
      </p>
    </fieldset>
  );
}
