/** What the reader can do with runs. Each says what happened when it fails. */
import { signal } from "@preact/signals";
import * as api from "../api";
import { t } from "../i18n";
import { runName } from "../words";
import { unwatch, watch } from "./live";
import { dismiss, say } from "./messages";
import { compareOpenWith, comparedWith, leavePanels } from "./panels";
import { describe } from "./problems";
import { opened, openRunId, replay, run, runs } from "./run";
import { adopt, settings } from "./settings";
import { PAGE_DEFAULTS } from "./settings-table";

/** A request is under way; its button waits. */
export const busy = signal(false);
/** Runs that are hidden from the list, because they will be deleted when their time to undo is over. */
export const leaving = signal<ReadonlySet<string>>(new Set());

const UNDO_MS = 6_000;

async function attempt<T>(work: () => Promise<T>): Promise<T | null> {
  busy.value = true;
  try {
    return await work();
  } catch (error) {
    say(describe(error), { tone: "problem" });
    return null;
  } finally {
    busy.value = false;
  }
}

export async function start(): Promise<void> {
  const summary = await attempt(() => api.startRun(settings.value));
  if (!summary) return;
  leavePanels();
  watch(summary.id);
  opened.value = summary;
}

/** The first thing to try: ten seconds of the photographs. */
export async function startFirst(): Promise<void> {
  adopt(PAGE_DEFAULTS);
  await start();
}

export const stop = () => attempt(() => api.stopRun(openRunId.value));
export const pause = () => attempt(() => api.pauseRun(openRunId.value));
export const resume = () => attempt(() => api.resumeRun(openRunId.value));

export function open(id: string): void {
  leavePanels();
  if (id !== openRunId.value) watch(id);
}

export function playAgain(id: string, fromNs: number, speed: number): void {
  leavePanels();
  watch(id, { fromNs, speed });
}

/** Lays a run beside the open one, or beside the one before it in the list if it is open itself. */
export function compare(id: string): void {
  const open = runs.value.find((each) => each.id === openRunId.value);
  const before = open && !open.live && open.id !== id ? open.id : partnerOf(id);
  if (before === null) {
    say(t("compare.needs_two"));
    return;
  }
  compareRuns(before, id);
}

export function compareRuns(before: string, after: string): void {
  if (before !== openRunId.value || replay.value !== null) watch(before);
  compareOpenWith(after);
}

/** The newest other run that has ended, one over the same samples first. */
function partnerOf(id: string): string | null {
  const mine = runs.value.find((each) => each.id === id);
  const others = runs.value.filter((each) => each.id !== id && !each.live && !leaving.value.has(each.id));
  const alike = others.find(({ settings: its }) => its && mine?.settings && its.dataset === mine.settings.dataset);
  return (alike ?? others[0])?.id ?? null;
}

/** Puts the settings of the open run into the form. */
export function useSettings(): void {
  if (run.value?.settings) adopt(run.value.settings);
}

/** Deletes a run a little later, so that it can be undone. */
export function remove(id: string): void {
  const name = nameOf(id);
  leaving.value = new Set([...leaving.value, id]);
  if (id === comparedWith.value) leavePanels();
  if (id === openRunId.value) {
    comparedWith.value = "";
    unwatch();
  }
  const forgive = () => {
    clearTimeout(timer);
    dismiss(toast);
    leaving.value = new Set([...leaving.value].filter((other) => other !== id));
  };
  const timer = setTimeout(() => {
    void attempt(() => api.deleteRun(id)).then(forgive);
  }, UNDO_MS);
  const toast = say(t("runs.deleted", { name }), { action: { label: t("runs.undo"), run: forgive } });
}

function nameOf(id: string): string {
  const summary = runs.value.find((each) => each.id === id);
  return summary ? runName(summary) : id;
}
