/**
 * The whole state of the page as one typed table, and the URL as its written form. What stands at its default is left
 * out; what is out of bounds is clamped on reading.
 */
import { LESSON_IDS, MINE, type LessonId } from "../lesson/ids";
import type { RunSettings } from "../wire";
import { read, write, type Field, type Value } from "./fields";
import { PAGE_DEFAULTS, SETTINGS, SETTING_NAMES, getSetting, withSetting } from "./settings-table";

export const VIEWS = ["explore", "learn", "diagnose"] as const;
export type View = (typeof VIEWS)[number];
export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];
export const LANGUAGES = ["es", "en"] as const;
export type Language = (typeof LANGUAGES)[number];
/** Where two compared runs are laid together: at their starts, or at their first batches. */
export const ALIGNMENTS = ["start", "first"] as const;
export type Alignment = (typeof ALIGNMENTS)[number];

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
  /** The selected stall, by the run time at which its wait began; -1: none. */
  stall_us: { type: "number", default: -1, integer: true, min: -1, max: (400 * DAY_NS) / 1e3 },
  /** The sweep that is shown instead of the run; and the run that the open one is compared with. */
  sweep: { type: "text", default: "", maxLength: 16 },
  with: { type: "text", default: "", maxLength: 64 },
  /** The comparison's own window; width 0: all of both. */
  cmp_from_us: { type: "number", default: 0, integer: true, min: -DAY_NS / 1e3, max: (400 * DAY_NS) / 1e3 },
  cmp_span_us: { type: "number", default: 0, integer: true, min: 0, max: (2 * DAY_NS) / 1e3 },
  align: { type: "choice", default: "start", choices: ALIGNMENTS },
  lang: { type: "choice", default: "", choices: ["", ...LANGUAGES] },
  theme: { type: "choice", default: "system", choices: THEMES },
  /** Groups of controls that a teacher has hidden, separated by commas. */
  hide: { type: "text", default: "", maxLength: 200 },
  /** The open lesson; none: the contents. */
  lesson: { type: "choice", default: "", choices: ["", ...LESSON_IDS, MINE] },
  /** Its step; -1: before the first. A log ends at 2,000 steps; a step beyond the log's end is its last. */
  step: { type: "number", default: -1, integer: true, min: -1, max: 1_999 },
  variant: { type: "text", default: "", maxLength: 40 },
  /** The lesson's parameters, kept within bounds when its bounds are known (lesson/parameters.ts). */
  params: { type: "text", default: "", maxLength: 300 },
  breaks: { type: "text", default: "", maxLength: 200 },
  /** Large type for a room. */
  present: { type: "flag", default: false },
} as const satisfies Record<string, Field>;

type PageName = keyof typeof PAGE;

export interface PageState {
  readonly view: View;
  readonly run: string;
  readonly from_us: number;
  readonly span_us: number;
  readonly epoch: number;
  readonly batch: number;
  readonly stall_us: number;
  readonly sweep: string;
  readonly with: string;
  readonly cmp_from_us: number;
  readonly cmp_span_us: number;
  readonly align: Alignment;
  readonly lang: Language | "";
  readonly theme: Theme;
  readonly hide: string;
  readonly lesson: LessonId | "";
  readonly step: number;
  readonly variant: string;
  readonly params: string;
  readonly breaks: string;
  readonly present: boolean;
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
