/** The form's settings: those of the next run, or those of the run that goes on. */
import { computed, signal } from "@preact/signals";
import { changeRun } from "../api";
import type { RunSettings } from "../wire";
import type { Value } from "./fields";
import { describe } from "./problems";
import { readPageState } from "./page-state";
import { isLive as runIsLive, openRunId, run } from "./run";
import { consequences } from "./consequences";
import { datasets, mayOperate } from "./session";
import { sweepOf } from "../sweep/grid";
import { PAGE_DEFAULTS, differences, getSetting, isLive, withSetting, type SettingName } from "./settings-table";
import { say } from "./messages";

export const settings = signal<RunSettings>(readPageState(location.search).settings);

/** The setting that was changed last, and when: its line of code lights up. */
export const touched = signal<{ readonly name: SettingName; readonly count: number } | null>(null);
/** The setting whose control or line is pointed at. */
export const pointed = signal<SettingName | null>(null);

/** A change goes to the run that is open, if it is one that we may change. A cell of a sweep stays what it is. */
export const changesRun = computed(() => mayOperate.value && runIsLive.value && run.value?.settings != null && sweepOf(run.value.name) === null);

const SEND_AFTER_MS = 250;
let waiting = new Map<string, unknown>();
let timer: ReturnType<typeof setTimeout> | null = null;

export function setSetting(name: SettingName, value: Value): void {
  if (getSetting(settings.value, name) === value) return;
  settings.value = withSetting(settings.value, name, value);
  touched.value = { name, count: (touched.value?.count ?? 0) + 1 };
  if (changesRun.value) queue(name);
  for (const [other, forced] of consequences(settings.value, name, datasets.value)) setSetting(other, forced);
}

/** Takes the settings of a run into the form. */
export function adopt(from: RunSettings): void {
  settings.value = from;
}

export function resetSettings(): void {
  for (const name of differences(settings.value, PAGE_DEFAULTS)) setSetting(name, getSetting(PAGE_DEFAULTS, name));
}

/** How a running loader takes a change of this setting. */
export function effectOf(name: SettingName): "live" | "restart" {
  return isLive(name) ? "live" : "restart";
}

// A slider sends many values while it is dragged: only the last of a quarter second goes to the server.
function queue(name: SettingName): void {
  const field = name.split(".")[0] as keyof RunSettings;
  waiting.set(field, settings.value[field]);
  if (timer !== null) clearTimeout(timer);
  timer = setTimeout(() => void send(), SEND_AFTER_MS);
}

async function send(): Promise<void> {
  const fields = Object.fromEntries(waiting) as Partial<RunSettings>;
  waiting = new Map();
  timer = null;
  try {
    await changeRun(openRunId.value, fields);
  } catch (error) {
    say(describe(error), { tone: "problem" });
    const inForce = run.value?.settings;
    if (inForce) adopt(inForce);
  }
}
