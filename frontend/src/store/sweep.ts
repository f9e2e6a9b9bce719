/** The sweep that is shown: asked for once a second while it goes on. */
import { effect, signal } from "@preact/signals";
import { ApiError } from "../api";
import { cancelSweep, deleteSweep, getSweep, startSweep } from "../api-sweep";
import { t } from "../i18n";
import { sweepOf } from "../sweep/grid";
import type { Sweep, SweepRequest } from "../wire";
import { leaving } from "./actions";
import { dismiss, say } from "./messages";
import { leavePanels, showSweep, sweepId } from "./panels";
import { describe } from "./problems";
import { runs } from "./run";

const ASK_EVERY_MS = 1_000;
const UNDO_MS = 6_000;

export const sweep = signal<Sweep | null>(null);
export const sweepBusy = signal(false);

/** Keeps `sweep` at what the server knows, until the returned function is called. */
export function keepSweep(): () => void {
  let shown = "";
  return effect(() => {
    const id = sweepId.value;
    if (id !== shown && sweep.peek()?.id !== id) sweep.value = null;
    shown = id;
    if (id === "") return;
    const cancelled = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      try {
        const answer = await getSweep(id, cancelled.signal);
        if (cancelled.signal.aborted) return;
        sweep.value = answer;
        if (answer.state !== "running") return;
      } catch (error) {
        if (cancelled.signal.aborted || !(error instanceof ApiError)) return;
        if (error.status === 404) {
          say(t("sweep.gone", { id }), { tone: "problem" });
          return leavePanels();
        } // else the server is away: the connection's own banner says so
      }
      timer = setTimeout(() => void ask(), ASK_EVERY_MS);
    };
    void ask();
    return () => {
      cancelled.abort();
      clearTimeout(timer);
    };
  });
}

/** Begins a sweep and shows it. The problem in words if it was refused, "" if not. */
export async function begin(request: SweepRequest): Promise<string> {
  sweepBusy.value = true;
  try {
    const begun = await startSweep(request);
    sweep.value = begun;
    showSweep(begun.id);
    return "";
  } catch (error) {
    return describe(error);
  } finally {
    sweepBusy.value = false;
  }
}

export async function cancel(id: string): Promise<void> {
  sweepBusy.value = true;
  try {
    const ended = await cancelSweep(id);
    if (sweepId.value === id) sweep.value = ended;
  } catch (error) {
    say(describe(error), { tone: "problem" });
  } finally {
    sweepBusy.value = false;
  }
}

/** Deletes a sweep with all of its runs a little later, so that it can be undone. */
export function removeSweep(id: string): void {
  const all = runs.value.filter(({ name }) => sweepOf(name)?.id === id).map((run) => run.id);
  leaving.value = new Set([...leaving.value, ...all]);
  if (sweepId.value === id) leavePanels();
  const forgive = () => {
    clearTimeout(timer);
    dismiss(toast);
    leaving.value = new Set([...leaving.value].filter((run) => !all.includes(run)));
  };
  const timer = setTimeout(() => {
    void deleteSweep(id)
      .catch((error: unknown) => say(describe(error), { tone: "problem" }))
      .then(forgive);
  }, UNDO_MS);
  const toast = say(t("sweep.deleted", { id, count: all.length }), { action: { label: t("runs.undo"), run: forgive } });
}
