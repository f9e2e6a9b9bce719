/**
 * The diagnosis of the open run, asked for while somebody looks at it: once for a recording, and again and again, at
 * most once a second, while the run goes on.
 */
import { computed, effect, signal } from "@preact/signals";
import { ApiError, getDiagnosis } from "../api";
import { type Blame } from "../timeline/arrow";
import { blameOf } from "../timeline/blame";
import { Level } from "../timeline/paints";
import { NO_BATCH, type Diagnosis, type Stall } from "../wire";
import { measureWaiting } from "./lane-orders";
import { describe } from "./problems";
import { newestNs, shown } from "./recording";
import { isLive, openRunId, replay, status } from "./run";
import { blame, selectStall, selectedStall } from "./selection";
import { readPageState } from "./page-state";
import { show } from "./window";

const ASK_EVERY_MS = 1_000;
/** A long recording takes the server a while: then it is asked less often. How often it makes a new one it knows itself. */
const REST_FACTOR = 3;
const LONGEST_REST_MS = 5_000;

export const diagnosis = signal<Diagnosis | null>(null);
/** Why there is none, in words; "": none was refused. */
export const diagnosisProblem = signal("");

/** While it starts, a run has no recording yet; and before its status came, the page does not know how long it is. */
const begun = computed(() => status.value !== null && status.value.state !== "starting");
const replayed = computed(() => replay.value !== null);

/** Keeps `diagnosis` at what the open run tells, until the returned function is called. */
export function keepDiagnosis(): () => void {
  let run = "";
  const stop = effect(() => {
    const id = openRunId.value;
    if (id !== run) forget();
    run = id;
    if (id === "" || !begun.value) return;
    return asking(id, isLive.value || replayed.value, replayed.value);
  });
  return () => {
    stop();
    forget();
  };
}

function forget(): void {
  diagnosis.value = null;
  diagnosisProblem.value = "";
  kept.value = null;
}

function asking(run: string, again: boolean, isReplay: boolean): () => void {
  const cancel = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let underWay = false;
  let seenTo = -1;
  const ask = async () => {
    clearTimeout(timer);
    if (document.hidden || underWay) return; // looked at again, it asks at once
    const began = performance.now();
    // A replay shows what was known then, not what came after.
    const until = isReplay ? Math.round(newestNs.peek()) : null;
    underWay = true;
    if (until === null || until !== seenTo) await askOnce(run, until, cancel.signal);
    underWay = false;
    seenTo = until ?? -1;
    if (!again || cancel.signal.aborted) return;
    const took = performance.now() - began;
    timer = setTimeout(() => void ask(), Math.max(ASK_EVERY_MS - took, Math.min(REST_FACTOR * took, LONGEST_REST_MS)));
  };
  const look = () => void (document.hidden || (again || diagnosis.peek() === null ? ask() : null));
  document.addEventListener("visibilitychange", look);
  void ask();
  return () => {
    cancel.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

async function askOnce(run: string, untilNs: number | null, cancelled: AbortSignal): Promise<void> {
  try {
    const answer = await getDiagnosis(run, untilNs, cancelled);
    if (cancelled.aborted) return;
    diagnosisProblem.value = "";
    diagnosis.value = answer;
    measureWaiting(answer.budget?.lanes ?? []);
    restoreStall(answer);
  } catch (error) {
    if (cancelled.aborted) return;
    // What is shown already stays: the connection's own banner says that the server is away.
    if (diagnosis.peek() === null) diagnosisProblem.value = describe(error);
    if (!(error instanceof ApiError)) throw error;
  }
}

// --- the selected stall -----------------------------------------------------------------------------------------------

/** A stall in the address and in lists: the whole microseconds at which its wait began. */
export const stallId = (stall: Stall): number => Math.floor(stall.start_ns / 1e3);

/** The selected stall as it was last listed: longer ones may have pushed it out since. */
const kept = signal<Stall | null>(null);
export const shownStall = computed(() => {
  if (selectedStall.value < 0) return null;
  const listed = diagnosis.value?.stalls.find((stall) => stallId(stall) === selectedStall.value);
  return listed ?? (kept.value && stallId(kept.value) === selectedStall.value ? kept.value : null);
});

/** Room on either side of a stall, as a share of it. */
const MARGIN = 0.35;

/** Selects a stall and brings it, with what it waited for, into view. */
export function chooseStall(stall: Stall): void {
  take(stall);
  lookAt(stall);
}

/** Moves the timeline to the selected stall. */
export function lookAt(stall: Stall): void {
  const why = blame.peek();
  const from = Math.min(stall.start_ns, why?.sample?.startNs ?? why?.work.startNs ?? stall.start_ns);
  const to = Math.max(stall.end_ns, why?.work.endNs ?? stall.end_ns);
  const margin = MARGIN * (to - from);
  show(from - margin, to - from + 2 * margin);
}

function take(stall: Stall): void {
  kept.value = stall;
  selectStall(stallId(stall), stall.batch === NO_BATCH ? null : { epoch: stall.epoch, batch: stall.batch }, whyOf(stall));
}

/** A link may say what was in view; else the view goes where the stall is. */
const linkHasWindow = readPageState(location.search).span_us > 0;

/** A link names a stall that is known only when the first diagnosis has come. */
function restoreStall({ stalls }: Diagnosis): void {
  if (selectedStall.peek() < 0 || blame.peek() !== null || kept.peek() !== null) return;
  const named = stalls.find((stall) => stallId(stall) === selectedStall.peek());
  if (!named) return;
  take(named);
  if (!linkHasWindow) lookAt(named);
}

function whyOf(stall: Stall): Blame | null {
  return blameOf(stall, (lane, ns) => {
    const slot = shown.peek().at(lane, Level.SPAN, ns, 0);
    if (slot < 0) return null;
    const { start, end, epoch, batch } = shown.peek();
    return { lane, startNs: start[slot]!, endNs: end[slot]!, batch: { epoch: epoch[slot]!, batch: batch[slot]! } };
  });
}
