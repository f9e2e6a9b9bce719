/** One setting: its name in words, its line of code, its input, and how a running loader takes a change of it. */
import type { ComponentChildren } from "preact";
import { t, type Key } from "../i18n";
import { clamp } from "../store/fields";
import { mayOperate } from "../store/session";
import { changesRun, effectOf, pointed, setSetting, settings } from "../store/settings";
import { SETTINGS, getSetting, type SettingName } from "../store/settings-table";
import { Icon } from "../parts/icon";
import { Segments, type Segment } from "../parts/segments";
import { fragment } from "./code";
import { nearestStop } from "./scales";

interface FrameProps {
  readonly name: SettingName;
  readonly entry?: ComponentChildren;
  readonly children?: ComponentChildren;
}

const idOf = (name: SettingName) => `setting-${name}`;
export const labelOf = (name: SettingName) => t(`setting.${name}` as Key);
const locked = () => !mayOperate.value;

function Frame({ name, entry, children }: FrameProps) {
  return (
    <div
      class={`control${pointed.value === name ? " pointed" : ""}`}
      onPointerEnter={() => (pointed.value = name)}
      onPointerLeave={() => (pointed.value = null)}
      onFocusCapture={() => (pointed.value = name)}
      onBlurCapture={() => (pointed.value = null)}
    >
      <label for={idOf(name)} title={t(`setting.${name}.about` as Key)}>
        {labelOf(name)}
        {changesRun.value && effectOf(name) === "restart" && (
          <>
            <Icon name="restart" class="restarts" />
            <span class="spoken">{t("control.restarts")}</span>
          </>
        )}
      </label>
      <span class="code" aria-hidden="true">
        {fragment(settings.value, name)}
      </span>
      {entry && <span class="entry">{entry}</span>}
      {children}
    </div>
  );
}

interface NumberProps {
  readonly name: SettingName;
  readonly stops: readonly number[];
  readonly unit?: string;
  /** The largest value on this host, if it is below the field's own. */
  readonly max?: number;
}

export function NumberControl({ name, stops, unit, max = Infinity }: NumberProps) {
  const field = SETTINGS[name];
  if (field.type !== "number") return null;
  const value = getSetting(settings.value, name) as number;
  const set = (wanted: number) => {
    if (Number.isFinite(wanted)) setSetting(name, clamp(field, Math.min(max, wanted)));
  };
  const at = nearestStop(stops, value);
  return (
    <Frame
      name={name}
      entry={
        <>
          <input
            id={idOf(name)}
            class="field"
            type="number"
            inputMode={field.integer ? "numeric" : "decimal"}
            min={field.min}
            max={Math.min(field.max, max)}
            step={field.integer ? 1 : "any"}
            value={value}
            disabled={locked()}
            onChange={(event) => {
              set(event.currentTarget.valueAsNumber);
              event.currentTarget.value = String(getSetting(settings.value, name));
            }}
          />
          <span class="unit">{unit}</span>
        </>
      }
    >
      <input
        type="range"
        min={0}
        max={stops.length - 1}
        value={at}
        style={{ "--filled": `${(at / (stops.length - 1)) * 100}%` }}
        aria-label={labelOf(name)}
        aria-valuetext={`${value} ${unit ?? ""}`}
        disabled={locked()}
        onInput={(event) => set(stops[event.currentTarget.valueAsNumber]!)}
      />
    </Frame>
  );
}

export function FlagControl({ name, disabled = false }: { readonly name: SettingName; readonly disabled?: boolean }) {
  return (
    <Frame
      name={name}
      entry={
        <input
          id={idOf(name)}
          class="switch"
          type="checkbox"
          role="switch"
          checked={getSetting(settings.value, name) as boolean}
          disabled={disabled || locked()}
          onChange={(event) => setSetting(name, event.currentTarget.checked)}
        />
      }
    />
  );
}

interface ChoiceProps {
  readonly name: SettingName;
  readonly options: readonly Segment<string>[];
  readonly about?: ComponentChildren;
}

/** A choice among few. */
export function SegmentControl({ name, options, about }: ChoiceProps) {
  return (
    <Frame name={name}>
      <span class="wide">
        <Segments
          name={idOf(name)}
          label={labelOf(name)}
          value={getSetting(settings.value, name) as string}
          options={options}
          disabled={locked()}
          onChoose={(value) => setSetting(name, value)}
        />
      </span>
      {about && <p class="about">{about}</p>}
    </Frame>
  );
}

/** A choice among many, or among words too long for a row. */
export function SelectControl({ name, options, about }: ChoiceProps) {
  return (
    <Frame name={name}>
      <select
        id={idOf(name)}
        class="field wide"
        value={getSetting(settings.value, name) as string}
        disabled={locked()}
        onChange={(event) => setSetting(name, event.currentTarget.value)}
      >
        {options.map(({ value, label, disabled }) => (
          <option key={value} value={value} disabled={disabled}>
            {label}
          </option>
        ))}
      </select>
      {about && <p class="about">{about}</p>}
    </Frame>
  );
}

export function TextControl({ name }: { readonly name: SettingName }) {
  const field = SETTINGS[name];
  return (
    <Frame name={name}>
      <input
        id={idOf(name)}
        class="field wide"
        type="text"
        maxLength={field.type === "text" ? field.maxLength : 80}
        value={getSetting(settings.value, name) as string}
        disabled={locked()}
        onChange={(event) => setSetting(name, event.currentTarget.value)}
      />
    </Frame>
  );
}
