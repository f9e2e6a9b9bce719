/**
 * What another setting would give: the sliders' setting, what the server predicts of it, and what was measured of it.
 */
import { batch, computed, effect, signal } from "@preact/signals";
import { ApiError, getProof, getScore, getWhatIf, scorePrediction, startRun } from "../api";
import { asRunSettings } from "../prediction/setting";
import type { Measured, Score, Setting, WhatIf } from "../wire";
import { diagnosis } from "./diagnosis";
import { describe } from "./problems";
import { say } from "./messages";
import { open } from "./actions";
import { isLive, openRunId, run, runs } from "./run";

const WAIT_MS = 150;
/** A live run is asked again so often. */
const AGAIN_MS = 5_000;

/** So many steps say enough to predict from. */
const ENOUGH_STEPS = 20;
const enough = computed(() => (diagnosis.value?.verdict.steps ?? 0) >= ENOUGH_STEPS && diagnosis.value?.verdict.setting !== null);

/** Parts of a setting that the sliders have changed. */
export type Wish = Partial<Omit<Setting, "faster">> & { readonly faster?: Setting["faster"] };

export const wish = signal<Wish>({});
export const whatIf = signal<WhatIf | null>(null);
/** Too little was recorded to predict from, or nobody wrote the loader's arguments down. */
export const tooLittle = computed(() => diagnosis.value !== null && !enough.value);
/** Why nothing is predicted, in words; "": nothing is wrong. */
export const whatIfProblem = signal("");
/** The setting that the sliders show; null: nothing is known yet. */
export const asked = computed<Setting | null>(() => (whatIf.value ? { ...whatIf.value.now, ...wish.value } : null));

/** A setting of the open run that was, or is being, measured by a run of its own. */
export interface Trial {
  readonly of: string;
  readonly run: string;
  readonly setting: Setting;
  readonly measured: Measured | null;
}

export const trials = signal<readonly Trial[]>([]);
export const trialsOfRun = computed(() => trials.value.filter(({ of }) => of === openRunId.value));
/** The open run was started to measure what another had promised. */
export const trialHere = computed(() => trials.value.find(({ run: id }) => id === openRunId.value) ?? null);

/** Keeps `whatIf` at what the open run predicts, until the returned function is called. */
export function keepWhatIf(): () => void {
  let known = "";
  const stop = effect(() => {
    const id = openRunId.value;
    const wanted = wish.value;
    const again = isLive.value;
    if (id !== known) {
      known = id;
      batch(() => {
        whatIf.value = null;
        whatIfProblem.value = "";
        wish.value = {};
      });
    }
    if (id === "" || !enough.value) return;
    const cancel = new AbortController();
    const ask = () => void askOnce(id, wanted, cancel.signal);
    const first = setTimeout(ask, WAIT_MS);
    const timer = again ? setInterval(ask, AGAIN_MS) : undefined;
    return () => {
      cancel.abort();
      clearTimeout(first);
      clearInterval(timer);
    };
  });
  const follow = effect(scoreEnded);
  const prove = effect(proveScript);
  void askScore();
  return () => {
    stop();
    follow();
    prove();
  };
}

async function askOnce(id: string, wanted: Wish, cancelled: AbortSignal): Promise<void> {
  try {
    const answer = await getWhatIf(id, wanted, cancelled);
    if (cancelled.aborted) return;
    whatIfProblem.value = "";
    whatIf.value = answer;
  } catch (error) {
    if (cancelled.aborted) return;
    whatIfProblem.value = describe(error);
    if (!(error instanceof ApiError)) throw error;
  }
}

/** Whether the open run can be run again with another setting from here: one of a script cannot. */
export const canMeasure = computed(() => (run.value?.settings ?? null) !== null);

/** Runs the open run's workload with another setting for some seconds, so that what was predicted can be compared. */
export async function measure(setting: Setting): Promise<void> {
  const of = openRunId.peek();
  const settings = run.peek()?.settings;
  if (!settings) return;
  try {
    const started = await startRun(asRunSettings(settings, setting));
    trials.value = [...trials.peek(), { of, run: started.id, setting, measured: null }];
    open(started.id);
  } catch (error) {
    say(describe(error), { tone: "problem" });
  }
}

/** When a trial's run has ended: what it gave, beside what it was predicted to give. */
function scoreEnded(): void {
  for (const trial of trials.value) {
    if (trial.measured) continue;
    const ended = runs.value.find(({ id }) => id === trial.run);
    if (!ended || ended.live || asking.has(trial.run)) continue;
    asking.add(trial.run);
    scorePrediction(trial.of, trial.run).then(
      (measured) => {
        score.value = measured.score;
        trials.value = trials.peek().map((each) => (each.run === trial.run ? { ...each, measured } : each));
      },
      (error: unknown) => {
        trials.value = trials.peek().filter((each) => each.run !== trial.run);
        say(describe(error), { tone: "problem" });
      },
    );
  }
}

const asking = new Set<string>();

/** The open run of a script has ended: whether the run before it promised something for its arguments. */
function proveScript(): void {
  const open = run.value;
  if (!open?.script || open.live || asking.has(open.id)) return;
  asking.add(open.id);
  getProof(open.id).then(
    (measured) => {
      if (measured) trials.value = [...trials.peek(), { of: measured.of, run: open.id, setting: measured.predicted.setting, measured }];
    },
    (error: unknown) => {
      asking.delete(open.id);
      if (!(error instanceof ApiError)) throw error; // the page is read without
    },
  );
}

/** How good predictions have been on this host; null: not known yet. */
export const score = signal<Score | null>(null);

async function askScore(): Promise<void> {
  try {
    score.value = await getScore();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error; // what is predicted can be read without
  }
}
