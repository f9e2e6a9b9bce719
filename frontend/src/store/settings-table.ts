/**
 * The settings of a run as one flat table, made from the limits that the server checks. It drives the form, the URL
 * and the code panel alike.
 */
import { DEFAULT_SETTINGS, DIALS_LIMITS, LIVE_FIELDS, RUN_SETTINGS_LIMITS, type RunSettings } from "../wire";
import { fieldOf, type Field, type Value } from "./fields";

export type SettingName = keyof typeof RUN_SETTINGS_LIMITS | `dials.${keyof typeof DIALS_LIMITS}`;

/** What the page starts from: the server's defaults, with workers, because without them there is little to see. */
export const PAGE_DEFAULTS: RunSettings = { ...DEFAULT_SETTINGS, num_workers: 2 };

export const SETTING_NAMES: readonly SettingName[] = [
  ...(Object.keys(RUN_SETTINGS_LIMITS) as (keyof typeof RUN_SETTINGS_LIMITS)[]),
  ...(Object.keys(DIALS_LIMITS) as (keyof typeof DIALS_LIMITS)[]).map((dial) => `dials.${dial}` as const),
];

export const SETTINGS = Object.fromEntries(
  SETTING_NAMES.map((name) => {
    const limit = name.startsWith("dials.")
      ? DIALS_LIMITS[name.slice(6) as keyof typeof DIALS_LIMITS]
      : RUN_SETTINGS_LIMITS[name as keyof typeof RUN_SETTINGS_LIMITS];
    return [name, { ...fieldOf(limit), default: getSetting(PAGE_DEFAULTS, name) } as Field];
  }),
) as Readonly<Record<SettingName, Field>>;

export function getSetting(settings: RunSettings, name: SettingName): Value {
  if (name.startsWith("dials.")) return settings.dials[name.slice(6) as keyof RunSettings["dials"]];
  return settings[name as keyof RunSettings] as Value;
}

export function withSetting(settings: RunSettings, name: SettingName, value: Value): RunSettings {
  if (name.startsWith("dials.")) return { ...settings, dials: { ...settings.dials, [name.slice(6)]: value } };
  return { ...settings, [name]: value };
}

/** Whether a change of this setting takes effect at once, without a new loader. */
export function isLive(name: SettingName): boolean {
  return (LIVE_FIELDS as readonly string[]).includes(name.split(".")[0]!);
}

/** The names of the settings in which two differ. */
export function differences(a: RunSettings, b: RunSettings): SettingName[] {
  return SETTING_NAMES.filter((name) => getSetting(a, name) !== getSetting(b, name));
}
