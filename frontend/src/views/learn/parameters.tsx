/** The lesson's parameters: each within its bounds, and each change is a run of its own. */
import type { Parameter, Value } from "../../lesson/log";
import { Segments } from "../../parts/segments";
import { card, parameters, setParameter } from "../../store/lesson";
import { mayOperate } from "../../store/session";
import { hidden } from "../../store/url";
import { unmarked } from "../../lesson/prose";
import { proseOf, tl, worded } from "./words";

export function ParameterBar() {
  const list = card.value?.parameters ?? [];
  if (list.length === 0 || hidden.value.includes("parameters")) return null;
  return (
    <div class="lesson-parameters" role="group" aria-label={tl("parameters.title")}>
      {list.map((one) => (
        <One key={one.name} parameter={one} value={parameters.value[one.name] ?? one.default} />
      ))}
    </div>
  );
}

function One({ parameter, value }: { readonly parameter: Parameter; readonly value: Value }) {
  const { name, kind, choices, unit } = parameter;
  const words = proseOf(card.value?.id ?? "")?.parameters?.[name];
  const label = unmarked(words?.name ?? name);
  const about = words?.about && unmarked(words.about);
  const id = `parameter-${name}`;
  const disabled = !mayOperate.value;
  if (kind === "choice") {
    return (
      <div class="lesson-parameter" title={about}>
        <span>{label}</span>
        <Segments
          name={id}
          label={label}
          value={String(value)}
          options={choices.map((choice) => ({ value: choice, label: words?.values?.[choice] ?? choice }))}
          disabled={disabled}
          onChoose={(chosen) => setParameter(name, chosen)}
        />
      </div>
    );
  }
  if (kind === "bool") {
    return (
      <label class="lesson-parameter" title={about}>
        <span>{label}</span>
        <input
          class="switch"
          type="checkbox"
          role="switch"
          checked={value === true}
          disabled={disabled}
          onChange={(event) => setParameter(name, event.currentTarget.checked)}
        />
      </label>
    );
  }
  const [min, max] = [parameter.min ?? 0, parameter.max ?? 0];
  const counted = worded({ value, unit });
  // "samples: 48", and not "samples: 48 samples".
  const shown = label === counted.unit ? { ...counted, unit: "" } : counted;
  return (
    <label class="lesson-parameter" title={about}>
      <span>{label}</span>
      <input
        type="range"
        min={min}
        max={max}
        step={kind === "int" ? 1 : (max - min) / 100}
        value={Number(value)}
        disabled={disabled}
        style={{ "--filled": `${((Number(value) - min) / Math.max(1e-9, max - min)) * 100}%` }}
        aria-valuetext={`${counted.value} ${counted.unit}`}
        onInput={(event) => setParameter(name, event.currentTarget.valueAsNumber)}
      />
      <output style={{ minWidth: `${Math.max(2, String(max).length)}ch` }}>
        {shown.value} {shown.unit}
      </output>
    </label>
  );
}
