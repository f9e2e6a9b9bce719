/**
 * The whole state of the page as one typed table, and the URL as its written form. What stands at its default is left
 * out; what is out of bounds is clamped on reading.
 */
import type { RunSettings } from "../wire";
import { read, write, type Field, type Value } from "./fields";
import { PAGE_DEFAULTS, SETTINGS, SETTING_NAMES, getSetting, withSetting } from "./settings-table";

export const VIEWS = ["explore", "learn", "diagnose"] as const;
export type View = (typeof VIEWS)[number];
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];
export const LANGUAGES = ["es", "en"] as const;
export type Language = (typeof LANGUAGES)[number];

const DAY_NS = 86_400e9;

const PAGE = {
  view: { type: "choice", default: "explore", choices: VIEWS },
  run: { type: "text", default: "", maxLength: 64 },
  /** Left edge and width of the timeline, in whole microseconds; width 0: follow the newest. */
  from_us: { type: "number", default: 0, integer: true, min: -DAY_NS / 1e3, max: (400 * DAY_NS) / 1e3 },
  span_us: { type: "number", default: 0, integer: true, min: 0, max: (2 * DAY_NS) / 1e3 },
  /** The selected batch; -1: none. */
  epoch: { type: "number", default: 0, integer: true, min: 0, max: 65_535 },
  batch: { type: "number", default: -1, integer: true, min: -1, max: 0xffff_fffe },
  lang: { type: "choice", default: "", choices: ["", ...LANGUAGES] },
  theme: { type: "choice", default: "system", choices: THEMES },
  /** Groups of controls that a teacher has hidden, separated by commas. */
  hide: { type: "text", default: "", maxLength: 200 },
} as const satisfies Record<string, Field>;

type PageName = keyof typeof PAGE;

export interface PageState {
  readonly view: View;
  readonly run: string;
  readonly from_us: number;
  readonly span_us: number;
  readonly epoch: number;
  readonly batch: number;
  readonly lang: Language | "";
  readonly theme: Theme;
  readonly hide: string;
  readonly settings: RunSettings;
}

export function readPageState(search: string): PageState {
  const params = new URLSearchParams(search);
  const page = Object.fromEntries(
    (Object.keys(PAGE) as PageName[]).map((name) => [name, read(PAGE[name], params.get(name))]),
  );
  let settings = PAGE_DEFAULTS;
  for (const name of SETTING_NAMES) settings = withSetting(settings, name, read(SETTINGS[name], params.get(name)));
  return { ...(page as unknown as Omit<PageState, "settings">), settings };
}

export function writePageState(state: PageState): string {
  const params = new URLSearchParams();
  const put = (name: string, value: Value, preset: Value) => {
    if (value !== preset) params.set(name, write(value));
  };
  for (const name of Object.keys(PAGE) as PageName[]) put(name, state[name], PAGE[name].default);
  for (const name of SETTING_NAMES) put(name, getSetting(state.settings, name), SETTINGS[name].default);
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}
