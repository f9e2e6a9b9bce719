/** The open run: what it is, and its newest numbers. */
import { batch, computed, signal } from "@preact/signals";
import { sheetUrl } from "../api";
import type { Lane, Metrics, Opened, Preview, RunState, RunSummary, SettingsChange, Status } from "../wire";
import { clearRecording, learnStages, newestNs } from "./recording";
import { frozen } from "./window";

/** Numbers of the last status messages, for the small curves beside the numbers. */
const TREND_LENGTH = 90;
/** Pictures of batches that are kept; the server keeps no more than 48 files. */
const MAX_PREVIEWS = 48;

export const runs = signal<readonly RunSummary[]>([]);
export const runsKnown = signal(false);
export const openRunId = signal("");
export const opened = signal<RunSummary | null>(null);
export const lanes = signal<readonly Lane[]>([]);
export const changes = signal<readonly SettingsChange[]>([]);
export const classes = signal<readonly string[]>([]);
export const status = signal<Status | null>(null);
export const trend = signal<readonly Metrics[]>([]);
export const previews = signal<readonly Preview[]>([]);
/** The preview that is shown; 0: the newest. */
export const pinnedPreview = signal(0);
export interface Replay {
  readonly fromNs: number;
  readonly speed: number;
}
/** Set while a recording is played again. */
export const replay = signal<Replay | null>(null);

/** The open run as the list knows it now, which is newer than when it was opened. */
export const run = computed(() => runs.value.find(({ id }) => id === openRunId.value) ?? opened.value);
export const state = computed<RunState | null>(() => status.value?.state ?? run.value?.state ?? null);
const LIVE: ReadonlySet<RunState> = new Set(["starting", "running", "paused"]);
/** Its process still runs. A replay of an ended run is not live. */
export const isLive = computed(() => (run.value?.live ?? false) && (state.value === null || LIVE.has(state.value)));
export const truncated = computed(() => status.value?.truncated || run.value?.truncated || "");
export const reason = computed(() => status.value?.reason || run.value?.reason || "");
export const settingsOfRun = computed(() => run.value?.settings ?? null);

/** Forgets everything of the run before, for another one or for the same from its beginning. */
export function forgetRun(): void {
  batch(() => {
    clearRecording();
    opened.value = null;
    lanes.value = [];
    changes.value = [];
    classes.value = [];
    status.value = null;
    trend.value = [];
    previews.value = [];
    pinnedPreview.value = 0;
  });
}

export function takeOpened(message: Opened): void {
  batch(() => {
    if (!message.resumed) clearRecording();
    opened.value = message.run;
    lanes.value = message.lanes;
    changes.value = message.changes;
    classes.value = message.classes;
    learnStages(message.stages);
    // A finished run's length is known before its spans arrive: the overview can be laid out at once.
    if (!message.run.live && replay.value === null && message.run.duration_ns > newestNs.value) {
      newestNs.value = message.run.duration_ns;
    }
  });
}

export function takeStatus(message: Status): void {
  if (message.run !== openRunId.value) return;
  batch(() => {
    status.value = message;
    trend.value = [...trend.value.slice(1 - TREND_LENGTH), message.recent];
    if (!sameLanes(lanes.value, message.lanes)) lanes.value = message.lanes;
    if (changes.value.length !== message.changes.length) changes.value = message.changes;
    learnStages(message.stages);
    if (message.now_ns > newestNs.value) newestNs.value = message.now_ns;
    if (message.preview) void takePreview(message.run, message.preview);
  });
}

/** The previews that a recording has kept. */
export function takePreviews(id: string, kept: readonly Preview[]): void {
  if (id === openRunId.value && previews.value.length <= 1) previews.value = kept.slice(-MAX_PREVIEWS);
}

/** Shows a preview once its picture is there: an empty frame in between would only flicker. */
async function takePreview(id: string, preview: Preview): Promise<void> {
  if (preview.sheet) await loaded(sheetUrl(id, preview.number));
  if (id !== openRunId.value || previews.value.some(({ number }) => number === preview.number)) return;
  const newest = previews.value.at(-1)?.number ?? 0;
  previews.value = [...previews.value.slice(1 - MAX_PREVIEWS), preview];
  // While the view stands still, the picture that is looked at stays too.
  if (frozen.value && pinnedPreview.value === 0) pinnedPreview.value = newest;
}

async function loaded(url: string): Promise<void> {
  const picture = new Image();
  picture.src = url;
  await picture.decode().catch(() => undefined); // a missing picture is drawn as an empty one
}

function sameLanes(a: readonly Lane[], b: readonly Lane[]): boolean {
  return a.length === b.length && a.every((lane, index) => lane.label === b[index]!.label && lane.pids.length === b[index]!.pids.length);
}
