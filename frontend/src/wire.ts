// Written by `python -m app.wire` from app/wire.py, app/lessons_wire.py, app/sweep_wire.py, loader_core/diagnose,
// loader_core/lessons and loader_core/trace/event.py. Change those, not this file.
//
// A binary frame is a little-endian header of HEADER_BYTES, then its columns one after the other, each contiguous:
// the column `c` of a frame of `count` rows begins at HEADER_BYTES + count * c.before.

export const PROTOCOL = "loaderscope.v1";

export const MAX_CLIENT_MESSAGE_BYTES = 65536;

export const MAX_FRAMES_IN_FLIGHT = 4;

export const MAX_SPANS_PER_FRAME = 16384;

export const BUCKET_NS = 100000000;

export const MAX_BUCKETS = 16384;

export const MAX_CELLS = 36;

/** The parameters of a run that can be swept. */
export const SWEPT = ["engine", "image_size", "augment", "batch_size", "shuffle", "drop_last", "num_workers", "worker_method", "multiprocessing_context", "prefetch_factor", "persistent_workers", "in_order", "pin_memory", "collate", "seed", "device", "device_gb_per_s", "consumer", "step_ms", "detail", "dials.storage_latency_ms", "dials.storage_mb_per_s", "dials.cpu_ms", "dials.slow_every", "dials.slow_ms"] as const;

/** Stands in a span's `value` for what was not measured, and in `sample` for a span of no single sample. */
export const NOT_MEASURED = -1;

/** Stands in a span's `batch` for a span that belongs to no batch. */
export const NO_BATCH = 4294967295;

/** The fields of RunSettings that change without restarting the loader. */
export const LIVE_FIELDS = ["detail", "dials", "epochs", "name", "seconds", "step_ms"] as const;

/** What the columns of a binary frame are. */
export const FrameType = {
  SPANS: 1,
  SERIES: 2,
  ROLLUP: 3,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** Which number a SERIES frame draws. */
export const Series = {
  READY: 1,
  IN_FLIGHT: 2,
  LOSS: 3,
} as const;
export type Series = (typeof Series)[keyof typeof Series];

/**
 * What happened. `KINDS` says what each one means.
 *
 * A number is never used again for another kind: 8 was WAIT_SLOT of schema 1, which nothing ever wrote.
 */
export const Kind = {
  DRAW: 1,
  DISPATCH: 2,
  WAIT_TASK: 3,
  FETCH: 4,
  COLLATE: 5,
  ITEM: 6,
  STAGE: 7,
  SEND: 9,
  RECEIVE: 10,
  HOLD: 11,
  PIN: 12,
  COPY: 13,
  WAIT_BATCH: 14,
  STEP: 15,
  PAUSE: 16,
  PREVIEW: 17,
  GAUGE: 18,
  LOSS: 19,
  CHANGE: 20,
  START: 21,
  STOP: 22,
  ERROR: 23,
  DIED: 24,
  MEMORY: 25,
  FILES: 26,
  STACK: 27,
  TENSORS: 28,
  CPU: 29,
  CORE_WAIT: 30,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** What must be said beside an event's numbers. */
export const Flag = {
  INFERRED: 1,
  SIMULATED: 2,
  TRUNCATED: 4,
} as const;
export type Flag = (typeof Flag)[keyof typeof Flag];

export type RunState = "starting" | "running" | "paused" | "finished" | "stopped" | "failed" | "interrupted";

export type PhaseName = "draw" | "queue" | "fetch" | "collate" | "send" | "receive" | "pin" | "copy" | "end" | "other";

export type TrendName = "growing" | "steady" | "shrinking" | "unknown";

export type LintCode = "DUPLICATED_INDEX" | "MISSING_INDEX" | "SAME_RANDOM_STREAM" | "NO_SET_EPOCH" | "REPEATED_STREAM" | "IDLE_WORKER" | "MANY_TENSORS" | "PAGE_FAULTS" | "MEMORY_GROWTH" | "FILES_NEAR_LIMIT";

export type LintLevel = "error" | "warning" | "note";

export type VerdictCode = "loader_ok" | "worker_cpu_bound" | "too_few_workers" | "too_many_workers" | "storage_bound" | "collate_bound" | "transport_bound" | "main_thread_bound" | "pin_bound" | "h2d_bound" | "head_of_line" | "skewed_samples" | "startup_bound" | "epoch_respawn" | "gil_bound" | "hang" | "memory_growth" | "shm_or_fd_risk" | "rank_straggler" | "undetermined";

export type Confidence = "high" | "medium" | "low";

export type EvidenceMeasure = "share" | "total_ns" | "mean_ns" | "median_ns" | "cpu_share" | "count" | "max" | "derived";

export type StepEvent = "call" | "line" | "return" | "yield" | "resume" | "raise" | "engine";

export type FrameState = "running" | "suspended" | "finished";

export type ThingKind = "list" | "tuple" | "dict" | "set" | "iterator" | "iterable" | "generator" | "dataset" | "loader" | "tensor" | "object";

export type Cut = "" | "steps" | "bytes" | "output" | "time";

export type Value = number | boolean | string;

/** Numbers measured in a window of run time. None: not measured. */
export interface Metrics {
  readonly start_ns: number;
  readonly end_ns: number;
  readonly batches: number;
  readonly samples: number | null;
  readonly batches_per_s: number | null;
  readonly samples_per_s: number | null;
  readonly bytes_per_s: number | null;
  readonly wait_share: number | null;
  readonly wait_p50_ns: number | null;
  readonly wait_p95_ns: number | null;
  readonly wait_p99_ns: number | null;
  readonly in_flight: number | null;
  readonly ready: number | null;
  readonly first_batch_ns: number | null;
  readonly epoch: number | null;
  readonly loss: number | null;
}

/** A part of a wait. The phases of a stall add up to its wait. */
export interface StallPhase {
  readonly name: PhaseName;
  readonly ns: number;
}

/** One span of the journey of a batch: draw it, or point an arrow at it. */
export interface StallSpan {
  /** Number of the kind, as the spans of the timeline have it. */
  readonly kind: number;
  readonly lane: number;
  readonly start_ns: number;
  readonly end_ns: number;
  /** Deduced by an observer, not measured. */
  readonly inferred: boolean;
}

/** The slowest sample of a stall's batch. */
export interface StallItem {
  /** Its index; None where the dataset has none. */
  readonly sample: number | null;
  readonly start_ns: number;
  readonly duration_ns: number;
  /** Samples of the batch. */
  readonly of: number;
  /** Of the time that all of them took, 0..1. */
  readonly share: number;
}

/** The part of a stall's batch that took longest: all stages of that name within the batch. */
export interface StallStage {
  readonly name: string;
  /** The sample whose stage of this name took longest. */
  readonly sample: number | null;
  readonly total_ns: number;
  /** Of FETCH, 0..1. */
  readonly share: number;
}

/** A later batch that was ready while the loop waited for an earlier one. */
export interface ReadyBatch {
  readonly batch: number;
  readonly worker: number | null;
  readonly lane: number;
  readonly ready_ns: number;
}

/** A text in both languages of the page. */
export interface Bilingual {
  readonly es: string;
  readonly en: string;
}

/** A long wait of the training loop for a batch, and its cause. None: not measured. */
export interface Stall {
  readonly epoch: number;
  readonly batch: number;
  readonly rank: number;
  readonly lane: number;
  readonly start_ns: number;
  readonly end_ns: number;
  readonly wait_ns: number;
  /** It waited for the first batch of an epoch: workers start, and no batch could be prefetched. */
  readonly start_up: boolean;
  /** Batches ready when the loop asked. */
  readonly ready: number | null;
  /** The phase that took most of the wait. */
  readonly cause: PhaseName;
  /** Longest first; they add up to `wait_ns`. */
  readonly phases: readonly StallPhase[];
  /** The worker that made the batch; -1: the main process by itself; None: not recorded. */
  readonly worker: number | null;
  readonly worker_lane: number | null;
  readonly dispatched_ns: number | null;
  /** FETCH, COLLATE, SEND, HOLD, RECEIVE, PIN and COPY of the batch, as far as they were recorded, by start. */
  readonly spans: readonly StallSpan[];
  readonly item: StallItem | null;
  readonly stage: StallStage | null;
  /** How much of the wait was head-of-line: a later batch was ready. 0: none was. */
  readonly hol_ns: number | null;
  /** Later batches that were ready during the wait, the first ones by time. */
  readonly ready_later: readonly ReadyBatch[];
  readonly sentence: Bilingual;
}

/** One part of the steps' time. */
export interface BudgetPart {
  /** Of a stage its name; else the kind again. */
  readonly name: string;
  readonly kind: "wait" | "stage" | "rest" | "observer" | "device";
  readonly total_ns: number;
  /** Of `StepBudget.elapsed_ns`, 0..1. */
  readonly share: number;
  /** Per step, a step without this part counting as 0. */
  readonly median_ns: number;
  readonly p95_ns: number;
}

/** A part of the waiting: where the batches were, by the phases of stalls. */
export interface WaitPhase {
  readonly name: PhaseName;
  readonly total_ns: number;
  /** Of all waiting, 0..1. */
  readonly share: number;
}

/** What delivering in order costs over all waits of the window. */
export interface HeadOfLine {
  /** Waits during which a later batch was ready. */
  readonly waits: number;
  readonly hol_ns: number;
  /** Time that workers had nothing to do while the loop waited so: what `in_order=False` could put to use. */
  readonly idle_ns: number;
  /** Upper bound of what `in_order=False` could save: if no worker was idle it only moves the waits. */
  readonly gain_ns: number;
}

/**
 * Whether waits come in the rhythm of the workers: every W-th batch, W workers in lock-step.
 *
 * Then there are too few workers (or they are too slow), and the batch that was waited for is not to blame.
 */
export interface Periodicity {
  /** The number of workers. */
  readonly lag: number;
  readonly waits: number;
  /** Of the waits at that lag, -1..1. */
  readonly autocorrelation: number;
  /** It stands out: above what chance would give, and above the lags around it. */
  readonly in_step: boolean;
}

/** How one lane spent a window. `work_ns + wait_ns + gap_ns` is the window's length. */
export interface LaneTime {
  readonly lane: number;
  readonly work_ns: number;
  readonly wait_ns: number;
  readonly gap_ns: number;
}

/** Where the time of the training loop went. A step lasts from asking for its batch to asking for the next one. */
export interface StepBudget {
  readonly steps: number;
  /** Time of the loop, without pauses and gaps: the sum of all parts but those of the device. */
  readonly elapsed_ns: number;
  readonly step_median_ns: number;
  readonly step_p95_ns: number;
  readonly parts: readonly BudgetPart[];
  /** On the device's own clock, at the same time as the parts above: never add the two. */
  readonly device: readonly BudgetPart[];
  /** The waiting by where the batch was, most first. Adds up to the part `wait`. */
  readonly waiting: readonly WaitPhase[];
  /** None: it was not recorded when batches were ready. */
  readonly head_of_line: HeadOfLine | null;
  /** None: too few waits, or fewer than two workers. */
  readonly periodicity: Periodicity | null;
  /** How each lane spent the window. */
  readonly lanes: readonly LaneTime[];
}

/** How long one named part took. */
export interface StageTime {
  readonly name: string;
  readonly ns: number;
}

/** One of the slowest samples of the window. */
export interface SlowSample {
  /** Its index in the dataset. */
  readonly sample: number;
  /** How often it was read. */
  readonly count: number;
  readonly median_ns: number;
  readonly worst_ns: number;
  /** When its slowest reading began. */
  readonly worst_start_ns: number;
  readonly epoch: number;
  readonly batch: number | null;
  readonly worker: number;
  /** Of its slowest reading. */
  readonly lane: number;
  readonly nbytes: number | null;
  /** Of its slowest reading, longest first; empty where no stages were recorded. */
  readonly stages: readonly StageTime[];
}

/** How long samples took to read. */
export interface SampleTimes {
  /** Readings of samples in the window. */
  readonly measured: number;
  /** How many samples these were; None where they have no index. */
  readonly distinct: number | null;
  readonly p50_ns: number;
  readonly p95_ns: number;
  readonly p99_ns: number;
  readonly worst_ns: number;
  /** Share of all reading time that the slowest 1 % of the readings took: 0.01 if all are alike. */
  readonly slowest_hundredth: number;
  /** By median, the slowest first. */
  readonly slowest: readonly SlowSample[];
}

/** One named part of the samples, over the window. */
export interface StageShare {
  readonly name: string;
  readonly count: number;
  /** From beginning to end, stages inside it included. */
  readonly total_ns: number;
  /** Without the stages inside it. */
  readonly self_ns: number;
  /** Of FETCH, 0..1, without the stages inside it: shares of all stages add up to at most 1. */
  readonly share: number;
  readonly median_ns: number;
  readonly p95_ns: number;
}

/** One line of code, and how much of FETCH was spent at it (and in what it calls). */
export interface PlaceShare {
  /** file:line */
  readonly place: string;
  readonly function: string;
  /** The line itself. */
  readonly source: string;
  /** How often a worker was found there. */
  readonly seen: number;
  /** Of FETCH, 0..1. */
  readonly share: number;
  readonly low: number;
  /** The interval that holds the share with 95 % (Wilson's, of a proportion). */
  readonly high: number;
}

/** Where in the user's code the time of FETCH goes, estimated by looking at the workers now and then. */
export interface Places {
  /** Looks at workers that were in FETCH. */
  readonly seen: number;
  /** Looks at workers that were not: they count for nothing. */
  readonly outside: number;
  /** Most first. */
  readonly places: readonly PlaceShare[];
}

/** A value at a time. */
export interface Point {
  readonly at_ns: number;
  readonly value: number;
}

/** How one number of one process went on. None: unknown. */
export interface Trend {
  readonly lane: number;
  /** None for the main process. */
  readonly worker: number | null;
  readonly label: string;
  readonly latest: number;
  readonly highest: number;
  /** Measurements. */
  readonly seen: number;
  /** Time between the first and the last of them. */
  readonly over_ns: number;
  readonly trend: TrendName;
  /** Slope: the median of the slopes of all pairs of measurements (Theil and Sen). */
  readonly per_s: number | null;
  readonly low_per_s: number | null;
  /** The interval that holds the slope with 95 % (Sen, 1968). */
  readonly high_per_s: number | null;
  /** Thinned out, for drawing. */
  readonly points: readonly Point[];
}

/** When growth will reach its bound. None: it does not grow, or nothing says where its bound is. */
export interface Forecast {
  /** How much is left, in bytes or descriptors. */
  readonly available: number | null;
  readonly limit: number | null;
  /** Growth of all processes together. */
  readonly per_s: number | null;
  readonly exhausted_in_ns: number | null;
  readonly soonest_ns: number | null;
  /** The interval of `exhausted_in_ns`; `latest_ns` is None where growth may be as good as none. */
  readonly latest_ns: number | null;
  readonly sentence: Bilingual;
}

/** Shared memory that batches on their way take up. */
export interface SharedMemory {
  /** The largest batch seen. */
  readonly batch_bytes: number;
  /** The most batches in flight that were seen. */
  readonly in_flight: number;
  readonly needed_bytes: number;
  readonly limit_bytes: number | null;
  readonly free_bytes: number | null;
  readonly sentence: Bilingual;
}

/** Memory and descriptors of the processes of a run. Empty lists: not measured. */
export interface MemoryUse {
  /** Unique bytes (USS) by process. */
  readonly memory: readonly Trend[];
  readonly memory_forecast: Forecast | null;
  /** Open descriptors by process. */
  readonly files: readonly Trend[];
  /** Of the process that will be the first to have no descriptor left. */
  readonly files_forecast: Forecast | null;
  readonly shared: SharedMemory | null;
}

/** A number that a finding rests on. */
export interface Amount {
  readonly name: Bilingual;
  readonly value: number;
  readonly unit: string;
}

/** Something wrong with what the loader delivers. */
export interface LintFinding {
  readonly code: LintCode;
  readonly level: LintLevel;
  /** The whole finding, with its numbers. */
  readonly sentence: Bilingual;
  /** How it was seen. */
  readonly seen: Bilingual;
  /** What to change. */
  readonly advice: Bilingual;
  readonly evidence: readonly Amount[];
  /** The workers that it is about; empty: all, or none in particular. */
  readonly workers: readonly number[];
  /** The epoch in which it was first seen. */
  readonly epoch: number | null;
}

/** Something that the recording does not tell, and why. */
export interface NotMeasured {
  /** Name of the field of Diagnosis that is empty for it. */
  readonly what: string;
  readonly why: Bilingual;
}

/** A number that a finding rests on, and the query that reproduces it. */
export interface Evidence {
  readonly name: Bilingual;
  readonly value: number;
  readonly unit: string;
  /** Names of the kinds of rows that it is made from. */
  readonly kinds: readonly string[];
  /** Their lanes; empty: all. */
  readonly lanes: readonly number[];
  readonly start_ns: number;
  /** Rows that began at `start_ns` or later, and ended at `end_ns` or before. */
  readonly end_ns: number;
  readonly measure: EvidenceMeasure;
}

/** A change that is advised. */
export interface Change {
  /** Name of the loader's argument; "" for a change of code that is no argument. */
  readonly argument: string;
  readonly value: number | boolean | string | null;
  /** What to type, such as num_workers=4. */
  readonly line: Bilingual;
}

/** A loader's arguments, as torch names them, and what else may be asked. */
export interface Setting {
  readonly num_workers: number;
  readonly prefetch_factor: number;
  readonly batch_size: number;
  readonly worker_method: "process" | "thread";
  readonly in_order: boolean;
  readonly persistent_workers: boolean;
  readonly pin_memory: boolean;
  /** Of the affinity mask. */
  readonly cores: number;
  /** Processes that train beside each other on these cores, each with a loader like this one. */
  readonly ranks: number;
  /** Parts made k times faster: stages by their names, or "fetch", "collate", "send", "step". */
  readonly faster: readonly (readonly [string, number])[];
  /** Samples are in memory after the first epoch: nothing is read any more. */
  readonly cached: boolean;
}

/** What a setting would give. `low_per_s` to `high_per_s` holds the samples per second with 90 %. */
export interface Prediction {
  readonly setting: Setting;
  readonly batches_per_s: number;
  readonly samples_per_s: number;
  readonly low_per_s: number;
  readonly high_per_s: number;
  /** Of the loop's time that is spent waiting, 0..1. */
  readonly wait_share: number;
  /** Codes of what was not seen in the observed run, but matters here; `ASSUMPTIONS` says each in a sentence. */
  readonly assumptions: readonly string[];
}

/** One cause of waiting (or a danger), with all that one needs to believe it or not. */
export interface Finding {
  readonly code: VerdictCode;
  /** The whole finding, with its numbers. */
  readonly sentence: Bilingual;
  /** Of the wait that it explains, 0..1; those of a verdict add up to 1 at most. None: it is not about waiting. */
  readonly share: number | null;
  readonly confidence: Confidence;
  readonly evidence: readonly Evidence[];
  /** Where in the user's code: train.py:41 decode. None where neither stacks nor stages were recorded. */
  readonly place: string | null;
  readonly advice: Bilingual;
  readonly changes: readonly Change[];
  /** The setting that `changes` lead to; None where they change no argument of the loader. */
  readonly setting: Setting | null;
  /** What that setting would give; None where it cannot be predicted. */
  readonly predicted: Prediction | null;
  /** What would show that this is wrong. */
  readonly refuted_by: Bilingual;
  /** One next experiment. */
  readonly experiment: Bilingual;
}

/** What a window of a run comes to. */
export interface Verdict {
  readonly start_ns: number;
  readonly end_ns: number;
  /** Steps that it rests on, without those of the warm-up. */
  readonly steps: number;
  /** Of the loop's time in these steps, 0..1; None where there were none. */
  readonly wait_share: number | null;
  readonly wait_ns: number;
  /** The top one first; never empty. */
  readonly findings: readonly Finding[];
  /** Of the window once it was warm: what predictions are held against. */
  readonly samples_per_s: number | null;
  /** Under which it was recorded; None where that is not known. */
  readonly setting: Setting | null;
}

/** What a loader that never lets the loop wait would give: measured with batches that were there already. */
export interface Headroom {
  readonly steps: number;
  /** From one batch to the next as the loader gave them, in the mean of the steps before. */
  readonly before_ns: number;
  /** The same with batches from memory. */
  readonly cached_ns: number;
  /** Batches of an epoch; None where the loader does not know. */
  readonly epoch_batches: number | null;
}

/** What a window of a run tells. None: not measured; `not_measured` says why. */
export interface Diagnosis {
  /** Later than asked for (`shortened`) where the window holds more events than are read at once. */
  readonly start_ns: number;
  readonly end_ns: number;
  readonly shortened: boolean;
  /** Events that it is made from. */
  readonly rows: number;
  /** Samples, stages and stacks are counted from here on: `start_ns`, or later where the window holds too many. */
  readonly details_from_ns: number;
  /** Events of the run that its recording no longer holds. */
  readonly lost: number;
  /** A wait longer than this is a stall. */
  readonly stall_threshold_ns: number | null;
  readonly stall_count: number;
  /** Number and time of all stalls, also of those not listed. */
  readonly stall_ns: number;
  /** Longest first. */
  readonly stalls: readonly Stall[];
  readonly budget: StepBudget | null;
  readonly samples: SampleTimes | null;
  /** Most first. */
  readonly stages: readonly StageShare[];
  readonly places: Places | null;
  readonly memory: MemoryUse;
  /** The worst first. */
  readonly findings: readonly LintFinding[];
  readonly not_measured: readonly NotMeasured[];
  readonly verdict: Verdict;
  readonly headroom: Headroom | null;
  readonly headroom_says: Bilingual | null;
}

/** What was not seen in the run, but matters for what is predicted. */
export interface Assumption {
  readonly code: string;
  readonly es: string;
  readonly en: string;
}

/** What other settings would give. All rates are samples per second. */
export interface WhatIf {
  /** As it was recorded. */
  readonly now: Setting;
  /** Measured, once the loader had warmed up. */
  readonly now_per_s: number;
  readonly asked: Prediction;
  readonly workers: readonly number[];
  /** One for each of `workers`, all else as asked. */
  readonly curve: readonly Prediction[];
  readonly prefetch: readonly number[];
  /** `[workers][prefetch]`, all else as asked. */
  readonly surface: readonly (readonly number[])[];
  /** Names that may be made faster: parts of a batch, and the stages that were seen. */
  readonly stages: readonly string[];
  /** Of all that is predicted here. */
  readonly assumptions: readonly Assumption[];
}

/** How far predictions missed, in |measured / predicted - 1|; None where nothing was measured yet. */
export interface Score {
  readonly pairs: number;
  readonly median: number | null;
  readonly p90: number | null;
  /** Share of measurements that lay in the interval of their prediction. */
  readonly inside: number | null;
}

/** A predicted setting that was then measured. */
export interface Measured {
  /** The run that it was predicted from, ... */
  readonly of: string;
  /** ... and the one that measured it. */
  readonly run: string;
  /** The arguments in which they differ, as `num_workers=4`. */
  readonly changes: readonly string[];
  /** Samples per second of the former. */
  readonly before_per_s: number;
  readonly predicted: Prediction;
  readonly samples_per_s: number;
  /** Of the predictor on this host, with this pair. */
  readonly score: Score;
}

/** A value that the page may choose, within bounds. */
export interface Parameter {
  readonly name: string;
  readonly kind: "int" | "float" | "bool" | "choice";
  readonly default: Value;
  readonly min: number | null;
  readonly max: number | null;
  readonly choices: readonly string[];
  readonly unit: string;
}

/**
 * Something to guess before the run, or to answer after it. The right answer is `Log.measures[measure]`.
 *
 * With `choices` one of them (words are the page's business); without, a number from `min` to `max`, which counts as
 * right within `tolerance` (a share of the answer).
 */
export interface Question {
  readonly measure: string;
  readonly choices: readonly string[];
  readonly min: number;
  readonly max: number;
  readonly unit: string;
  readonly tolerance: number;
  /** The curve on which the guess is drawn, if it is drawn on one. */
  readonly curve: string;
}

/** Something to break, or to mend: choose a variant. It is done when `Log.measures[measure].value == wanted`. */
export interface Task {
  readonly start: string;
  readonly choices: readonly string[];
  readonly measure: string;
  readonly wanted: Value;
}

/** A cell of a comparison: the measure that says it, and the lesson whose log has that measure. */
export interface Cell {
  readonly lesson: string;
  readonly measure: string;
}

/** A row of a comparison; `key` names it in the page's prose. */
export interface Row {
  readonly key: string;
  readonly cells: readonly Cell[];
}

/** A comparison whose every cell is measured. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/** A lesson as the contents page knows it. A user's own program has neither number nor questions. */
export interface LessonCard {
  readonly id: string;
  readonly number: number | null;
  readonly parameters: readonly Parameter[];
  readonly variants: readonly string[];
  readonly prediction: Question | null;
  readonly task: Task | null;
  readonly question: Question | null;
  readonly table: Table | null;
}

/** Where the log was made. */
export interface LessonHost {
  readonly python: string;
  readonly torch: string | null;
  readonly system: string;
  readonly cores: number;
  readonly memory_bytes: number;
  readonly accelerator: string | null;
}

/** Code that is shown: the lesson's program first, then what it steps into. */
export interface Source {
  readonly name: string;
  /** The number of the first of `lines`: more than 1 where a part of a longer file is shown. */
  readonly first_line: number;
  readonly lines: readonly string[];
}

/** A name in a frame, or a part of a thing: what it holds, and which thing on screen that is. */
export interface Local {
  readonly name: string;
  readonly text: string;
  readonly thing: number | null;
}

/** One call of a function. A generator's frame stays on screen while it is suspended, with its locals. */
export interface Frame {
  readonly id: number;
  readonly function: string;
  readonly source: number;
  readonly line: number;
  readonly state: FrameState;
  readonly locals: readonly Local[];
}

/** An object on screen. The same `id` is the same object for as long as it can be seen. */
export interface Thing {
  readonly id: number;
  readonly kind: ThingKind;
  readonly type: string;
  readonly text: string;
  readonly parts: readonly Local[];
  /** Parts that are left out, because there are too many. */
  readonly hidden: number;
  /** Of a tensor, whose values are its parts in row-major order. */
  readonly shape: readonly number[] | null;
  /** The frame that a generator runs in, once it has begun. */
  readonly frame: number | null;
}

/** What happened at one moment, and what is different on screen from then on. */
export interface Step {
  /** Since the program began. Of an engine's step: since its recording began. */
  readonly at_ns: number;
  readonly event: StepEvent;
  readonly source: number;
  readonly line: number;
  /** The frame in which it happened; none for a step of the engine. */
  readonly frame: number | null;
  /** What was returned, yielded or raised. */
  readonly value: string | null;
  /** Frames on screen: those that run, the outermost first, then those that are suspended. A frame that has just finished is still among them. */
  readonly stack: readonly number[];
  readonly frames: readonly Frame[];
  readonly things: readonly Thing[];
  /** Things that can no longer be seen. */
  readonly gone: readonly number[];
  /** Printed since the step before. */
  readonly output: string;
  /** What the program's objects take, where the lesson measures it; without what the tracing takes. */
  readonly memory_bytes: number | null;
  /** Of a step of the engine: the place in `Log.spans` of what happened. */
  readonly span: number | null;
}

/**
 * One measured number, truth or text.
 *
 * `unit` is a symbol of SI, `B`, "share" (of 1), "×" (times as much), or what is counted ("items"); else "".
 */
export interface Measure {
  readonly value: Value;
  readonly unit: string;
}

/** A measured course: `y` over `x`, equally many of both, at most `MAX_POINTS`. */
export interface Curve {
  readonly name: string;
  readonly x_unit: string;
  readonly y_unit: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
  /** Equal steps of the x axis multiply: of values above 0 that do so. */
  readonly log_x: boolean;
}

/** What the engine did on a lane, from when to when. */
export interface Span {
  readonly lane: number;
  readonly kind: string;
  readonly start_ns: number;
  readonly end_ns: number;
  readonly epoch: number;
  readonly batch: number | null;
  readonly sample: number | null;
  readonly value: number | null;
  /** On a stand-in for hardware that this host lacks. */
  readonly simulated: boolean;
}

/** The exception that ended the program. */
export interface Fault {
  readonly type: string;
  readonly message: string;
  readonly source: number;
  readonly line: number;
}

/** All that one execution did. */
export interface Log {
  readonly lesson: string;
  readonly variant: string;
  readonly language: "es" | "en";
  readonly parameters: Readonly<Record<string, Value>>;
  readonly host: LessonHost;
  readonly sources: readonly Source[];
  readonly steps: readonly Step[];
  readonly measures: Readonly<Record<string, Measure>>;
  readonly curves: readonly Curve[];
  readonly lanes: readonly string[];
  readonly spans: readonly Span[];
  readonly fault: Fault | null;
  /** The bound at which the recording ended before the program did; "" if it did not. */
  readonly cut: Cut;
}

/** Of a run after its warm-up, with a 95 % interval; no interval where there was too little. */
export interface Rate {
  readonly samples_per_s: number;
  /** Samples per second. */
  readonly low: number | null;
  readonly high: number | null;
  readonly batches_per_s: number;
  /** That it was measured from. */
  readonly batches: number;
  /** In run time; before it the run warmed up. */
  readonly start_ns: number;
  readonly end_ns: number;
}

/** By how much the samples per second changed. None: not enough was seen. */
export interface RateChange {
  readonly before_per_s: number | null;
  readonly after_per_s: number | null;
  /** After over before. */
  readonly ratio: number | null;
  readonly low: number | null;
  /** The interval that holds the ratio with 95 %. */
  readonly high: number | null;
  readonly blocks: readonly [number, number];
  readonly judgement: "faster" | "slower" | "same" | "unknown";
}

/** What makes a real pipeline slower in a known way. All of them can be turned while the run goes on. */
export interface Dials {
  /** added before each read of a sample */
  readonly storage_latency_ms: number;
  /** bandwidth of storage per worker; 0: as it is */
  readonly storage_mb_per_s: number;
  /** CPU time burnt per sample, holding the GIL */
  readonly cpu_ms: number;
  /** one sample in this many is slow; 0: none */
  readonly slow_every: number;
  /** how long a slow sample takes more */
  readonly slow_ms: number;
}

/** All that a run is made from. Names and meanings are torch's where torch has one. */
export interface RunSettings {
  readonly name: string;
  readonly engine: "loaderscope" | "torch";
  /** an id of GET /api/datasets */
  readonly dataset: string;
  /** side of the picture that the model gets, in pixels */
  readonly image_size: number;
  readonly augment: boolean;
  readonly batch_size: number;
  readonly shuffle: boolean;
  readonly drop_last: boolean;
  readonly num_workers: number;
  readonly worker_method: "process" | "thread";
  readonly multiprocessing_context: "default" | "fork" | "forkserver" | "spawn";
  readonly prefetch_factor: number;
  readonly persistent_workers: boolean;
  readonly in_order: boolean;
  readonly pin_memory: boolean;
  readonly collate: "default" | "pad";
  readonly seed: number;
  readonly device: "none" | "simulated" | "accelerator";
  /** speed of the simulated device's bus */
  readonly device_gb_per_s: number;
  readonly consumer: "train" | "step" | "none";
  /** length of a step when consumer is 'step' */
  readonly step_ms: number;
  /** stop after this many epochs; 0: no limit */
  readonly epochs: number;
  /** stop after this time; 0: no limit */
  readonly seconds: number;
  readonly detail: "batch" | "sample" | "stage";
  readonly dials: Dials;
}

/** One entry of the catalogue. The id is opaque: no client ever sends a path. */
export interface DatasetInfo {
  readonly id: string;
  readonly title: Bilingual;
  readonly about: Bilingual;
  readonly kind: "images" | "text" | "table" | "array";
  readonly samples: number | null;
  readonly bytes: number | null;
  /** samples differ in length, so collate must be 'pad' */
  readonly needs_pad: boolean;
  /** consumer='train' can learn from it */
  readonly trains: boolean;
}

/** A device that torch.accelerator sees. */
export interface Accelerator {
  readonly name: string;
  readonly type: string;
}

/** What a page sends to POST /api/session: the token from its URL's fragment. */
export interface SessionRequest {
  readonly token: string;
}

/** The answer to it; the session itself is a cookie that no script can read. */
export interface Session {
  readonly role: "operator" | "viewer";
}

/** The answer to POST /api/tickets: a token that works once, for two minutes, and lets a browser in. */
export interface Ticket {
  readonly ticket: string;
}

/** The body of every answer that is an error. `field` is the dotted name of the setting that is wrong. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly field: string | null;
}

/** What this host can do; the page offers nothing else. */
export interface Capabilities {
  readonly version: string;
  readonly torch: string;
  readonly python: string;
  readonly platform: string;
  readonly cpus: number;
  readonly memory_bytes: number;
  readonly shm_free_bytes: number | null;
  readonly accelerator: Accelerator | null;
  readonly max_workers: number;
  readonly contexts: readonly string[];
  readonly worker_methods: readonly string[];
  readonly role: "operator" | "viewer";
}

/** The user's own program that a run was seen in. */
export interface Script {
  /** the same for all loaders and ranks of one start of the program */
  readonly group: string;
  /** its command line */
  readonly argv: readonly string[];
  /** where the loader was made: 'train.py:41' */
  readonly site: string;
  /** the loader in a few words */
  readonly loader: string;
  readonly rank: number;
}

/** A setting whose rate is to be predicted. What is left out is as it was recorded. */
export interface Asked {
  readonly num_workers: number | null;
  readonly prefetch_factor: number | null;
  readonly batch_size: number | null;
  readonly worker_method: "process" | "thread" | null;
  readonly in_order: boolean | null;
  readonly persistent_workers: boolean | null;
  readonly cached: boolean | null;
  readonly cores: number | null;
  readonly ranks: number | null;
  /** part:times, e.g. decode:2 */
  readonly faster: readonly string[];
}

/** A run in the list, and the header of the run that is open. */
export interface RunSummary {
  readonly id: string;
  readonly name: string;
  readonly state: RunState;
  /** why it failed or was interrupted, in a sentence */
  readonly reason: string;
  /** why the recording stopped before the run did, in a sentence */
  readonly truncated: string;
  readonly live: boolean;
  readonly started_unix_ns: number;
  readonly duration_ns: number;
  readonly batches: number;
  readonly samples: number;
  readonly bytes_on_disk: number;
  /** absent for a run that this server did not start */
  readonly settings: RunSettings | null;
  /** absent for a run that no script made */
  readonly script: Script | null;
  /** the arguments of an observed loader */
  readonly loader: Readonly<Record<string, unknown>> | null;
}

/** One row of the timeline. Spans name it by `lane`, its number in this run. */
export interface Lane {
  readonly lane: number;
  readonly role: "main" | "worker" | "pin" | "device" | "consumer";
  readonly worker: number;
  readonly rank: number;
  readonly pids: readonly number[];
  readonly label: string;
}

/** A named part of a sample; a STAGE span's value is its id. */
export interface Stage {
  readonly id: number;
  readonly name: string;
}

/** A setting changed while the run went on; drawn as a mark on the timeline. */
export interface SettingsChange {
  readonly number: number;
  readonly at_ns: number;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly restarted_loader: boolean;
}

/** Memory of one process of a live run, sampled by the server about once a second. */
export interface ProcessMemory {
  readonly pid: number;
  readonly label: string;
  readonly rss_bytes: number;
  readonly pss_bytes: number | null;
}

/** One leaf of a batch. */
export interface TensorInfo {
  readonly path: string;
  readonly kind: "tensor" | "text" | "number" | "other";
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly mean: number | null;
  /** the first values or texts, shortened */
  readonly sample: string;
}

/** What was in a batch. Thumbnails lie in one JPEG sheet, `columns` to a row, `tile` pixels square. */
export interface Preview {
  readonly number: number;
  readonly at_ns: number;
  readonly batch: number;
  readonly epoch: number;
  readonly indices: readonly number[];
  readonly indices_total: number;
  readonly labels: readonly string[];
  readonly texts: readonly string[];
  readonly leaves: readonly TensorInfo[];
  readonly sheet: boolean;
  readonly tile: number;
  readonly columns: number;
  readonly tiles: number;
}

/** A row of loader_core.trace.event.KINDS. */
export interface KindInfo {
  readonly kind: number;
  readonly name: string;
  readonly role: string;
  readonly nature: string;
  readonly value: string;
  readonly paint: string;
  readonly meaning: string;
}

/** The first message. `boot` differs after each start of the server; cursors of another boot mean nothing. */
export interface Hello {
  readonly type: "hello";
  readonly protocol: "loaderscope.v1";
  readonly boot: number;
  readonly kinds: readonly KindInfo[];
  readonly max_frames_in_flight: number;
}

/** The list of runs is different now: a run began, ended, or was found or deleted. */
export interface RunsChanged {
  readonly type: "runs";
  readonly runs: readonly RunSummary[];
}

/** The answer to Subscribe: what the run is; spans follow from `cursor`. */
export interface Opened {
  readonly type: "opened";
  readonly run: RunSummary;
  readonly lanes: readonly Lane[];
  readonly stages: readonly Stage[];
  readonly classes: readonly string[];
  readonly changes: readonly SettingsChange[];
  readonly cursor: number;
  /** False: forget what you hold of this run, a snapshot follows */
  readonly resumed: boolean;
}

/** A tick's numbers. Sent about four times a second while the run is live, and once for a recording. */
export interface Status {
  readonly type: "status";
  readonly run: string;
  readonly now_ns: number;
  readonly state: RunState;
  readonly reason: string;
  readonly truncated: string;
  readonly recent: Metrics;
  readonly total: Metrics;
  readonly lanes: readonly Lane[];
  readonly stages: readonly Stage[];
  readonly changes: readonly SettingsChange[];
  readonly memory: readonly ProcessMemory[];
  /** the newest preview, when it is newer than the last one sent */
  readonly preview: Preview | null;
  /** events that the recording's own bound has dropped */
  readonly lost_events: number;
  /** the place after the newest span: a client that is there has all that there is */
  readonly cursor: number;
}

/** The server could not do what a message asked; the socket stays open unless `fatal`. */
export interface Failed {
  readonly type: "failed";
  readonly code: string;
  readonly message: string;
  readonly fatal: boolean;
}

/**
 * Watch a run. One run per socket; a second Subscribe replaces the first.
 *
 * `cursor` with the `boot` it was given in resumes where the client was; 0 asks for a snapshot. With `replay_from_ns`
 * a recording is played again from that time, `speed` times as fast.
 */
export interface Subscribe {
  readonly type: "subscribe";
  readonly run: string;
  readonly boot?: number;
  readonly cursor?: number;
  readonly replay_from_ns?: number | null;
  readonly speed?: number;
}

/** Watch no run. The list of runs is still sent. */
export interface Unsubscribe {
  readonly type: "unsubscribe";
}

/** The client has drawn the frame with this sequence number, and all before it. */
export interface Ack {
  readonly type: "ack";
  readonly seq: number;
}

/** A hidden tab is sent status only, no frames and no previews. */
export interface Visibility {
  readonly type: "visibility";
  readonly visible: boolean;
}

/** Keep making previews of this run's batches for the next few seconds. */
export interface WantPreview {
  readonly type: "want_preview";
}

/** What a page asks for with POST /api/lessons/{id}/record: names and bounded values, never code. */
export interface RecordRequest {
  readonly parameters?: Readonly<Record<string, Value>>;
  /** one of the lesson's variants; none: its first */
  readonly variant?: string;
  /** of the comments in the program */
  readonly language?: "es" | "en";
}

/** One of the two parameters of a sweep: its dotted name in RunSettings, and the values that it takes. */
export interface SweepAxis {
  readonly name: string;
  readonly values: readonly Value[];
}

/** What a page asks for with POST /api/sweeps: `settings` are those of every cell but for the two parameters. */
export interface SweepRequest {
  readonly settings: RunSettings;
  readonly x: SweepAxis;
  readonly y: SweepAxis;
  /** how long each cell runs */
  readonly seconds?: number;
}

/** One setting of a sweep; `x` and `y` count the axes' values from 0. */
export interface SweepCell {
  readonly x: number;
  readonly y: number;
  readonly state: "waiting" | "running" | "done" | "stopped" | "failed";
  /** '' as long as there is none */
  readonly run: string;
  readonly rate: Rate | null;
  /** why it failed, in a sentence */
  readonly reason: string;
  /** another run went on beside it */
  readonly disturbed: boolean;
  /** what was measured does not tell it from the best cell */
  readonly ties_best: boolean;
}

/** A sweep: its cells, row by row. It is made of its runs, and gone when they are deleted. */
export interface Sweep {
  readonly id: string;
  readonly state: "running" | "finished" | "stopped";
  readonly x: SweepAxis;
  readonly y: SweepAxis;
  /** those of its newest run */
  readonly settings: RunSettings;
  readonly cells: readonly SweepCell[];
  /** the place of the fastest cell in `cells` */
  readonly best: number | null;
  readonly started_unix_ns: number;
  /** an estimate; absent when it is over */
  readonly remaining_s: number | null;
  /** the run that has to end before the next cell begins; '' for none */
  readonly waits_for: string;
}

/** A setting in which two runs differ; None: not known of that run. */
export interface Difference {
  readonly name: string;
  readonly before: boolean | number | string | null;
  readonly after: boolean | number | string | null;
}

/** One of the two runs of a comparison, with what it takes to draw it. */
export interface ComparedRun {
  readonly run: RunSummary;
  readonly lanes: readonly Lane[];
  readonly stages: readonly Stage[];
  /** what its verdict is called */
  readonly verdict: Bilingual;
  /** its verdict in a sentence */
  readonly sentence: Bilingual;
  readonly wait_share: number | null;
  readonly steps: number;
  readonly rate: Rate | null;
  /** when the first batch was there, in run time */
  readonly first_batch_ns: number | null;
  readonly bucket_ns: number;
  /** samples per second of each bucket, the first from run time 0 */
  readonly curve: readonly number[];
}

/** Two runs side by side: what is different, by how much, and whether that is noise. */
export interface RunComparison {
  readonly before: ComparedRun;
  readonly after: ComparedRun;
  readonly differences: readonly Difference[];
  readonly rate: RateChange;
}

export type ServerMessage =
  | Hello
  | RunsChanged
  | Opened
  | Status
  | Failed;

export type ClientMessage =
  | Subscribe
  | Unsubscribe
  | Ack
  | Visibility
  | WantPreview;

/** What a field accepts. `above` is a minimum that itself is refused. */
export interface Limit {
  readonly default: unknown;
  readonly integer?: true;
  readonly min?: number;
  readonly above?: number;
  readonly max?: number;
  readonly maxLength?: number;
  readonly choices?: readonly string[];
}

export const DIALS_LIMITS = {
  storage_latency_ms: {"default": 0.0, "min": 0, "max": 10000},
  storage_mb_per_s: {"default": 0.0, "min": 0, "max": 100000},
  cpu_ms: {"default": 0.0, "min": 0, "max": 10000},
  slow_every: {"default": 0, "integer": true, "min": 0, "max": 1000000},
  slow_ms: {"default": 200.0, "min": 0, "max": 60000},
} as const satisfies Record<string, Limit>;

export const RUN_SETTINGS_LIMITS = {
  name: {"default": "", "maxLength": 80},
  engine: {"default": "loaderscope", "choices": ["loaderscope", "torch"]},
  dataset: {"default": "photographs", "maxLength": 200},
  image_size: {"default": 160, "integer": true, "min": 16, "max": 1024},
  augment: {"default": true},
  batch_size: {"default": 32, "integer": true, "min": 1, "max": 4096},
  shuffle: {"default": true},
  drop_last: {"default": false},
  num_workers: {"default": 0, "integer": true, "min": 0, "max": 64},
  worker_method: {"default": "process", "choices": ["process", "thread"]},
  multiprocessing_context: {"default": "default", "choices": ["default", "fork", "forkserver", "spawn"]},
  prefetch_factor: {"default": 2, "integer": true, "min": 1, "max": 64},
  persistent_workers: {"default": true},
  in_order: {"default": true},
  pin_memory: {"default": false},
  collate: {"default": "default", "choices": ["default", "pad"]},
  seed: {"default": 0, "integer": true, "min": 0, "max": 2147483647},
  device: {"default": "none", "choices": ["none", "simulated", "accelerator"]},
  device_gb_per_s: {"default": 12.0, "above": 0, "max": 1000},
  consumer: {"default": "train", "choices": ["train", "step", "none"]},
  step_ms: {"default": 20.0, "min": 0, "max": 10000},
  epochs: {"default": 0, "integer": true, "min": 0, "max": 1000000},
  seconds: {"default": 10.0, "min": 0, "max": 86400},
  detail: {"default": "stage", "choices": ["batch", "sample", "stage"]},
} as const satisfies Record<string, Limit>;

export const DEFAULT_SETTINGS: RunSettings = {
  "name": "",
  "engine": "loaderscope",
  "dataset": "photographs",
  "image_size": 160,
  "augment": true,
  "batch_size": 32,
  "shuffle": true,
  "drop_last": false,
  "num_workers": 0,
  "worker_method": "process",
  "multiprocessing_context": "default",
  "prefetch_factor": 2,
  "persistent_workers": true,
  "in_order": true,
  "pin_memory": false,
  "collate": "default",
  "seed": 0,
  "device": "none",
  "device_gb_per_s": 12.0,
  "consumer": "train",
  "step_ms": 20.0,
  "epochs": 0,
  "seconds": 10.0,
  "detail": "stage",
  "dials": {
    "storage_latency_ms": 0.0,
    "storage_mb_per_s": 0.0,
    "cpu_ms": 0.0,
    "slow_every": 0,
    "slow_ms": 200.0
  }
};

export const MAGIC = "LSC1";
export const HEADER_BYTES = 48;
/** Where each field of a frame's header begins, in bytes. */
export const HEADER_OFFSET = {
  magic: 0,
  type: 4,
  series: 5,
  reserved: 6,
  seq: 8,
  count: 12,
  base_ns: 16,
  unit_ns: 24,
  cursor: 32,
  dropped: 40,
} as const;

/** The columns of a SPANS frame, in the order of their bytes. */
export const SPAN_COLUMNS = [
  { name: "sample", array: Float64Array, bytes: 8, before: 0 },
  { name: "value", array: Float64Array, bytes: 8, before: 8 },
  { name: "start", array: Uint32Array, bytes: 4, before: 16 },
  { name: "duration", array: Uint32Array, bytes: 4, before: 20 },
  { name: "batch", array: Uint32Array, bytes: 4, before: 24 },
  { name: "epoch", array: Uint16Array, bytes: 2, before: 28 },
  { name: "lane", array: Uint8Array, bytes: 1, before: 30 },
  { name: "kind", array: Uint8Array, bytes: 1, before: 31 },
  { name: "flags", array: Uint8Array, bytes: 1, before: 32 },
] as const;
export const SPAN_ROW_BYTES = 33;

export interface SpanColumns {
  readonly sample: Float64Array;
  readonly value: Float64Array;
  readonly start: Uint32Array;
  readonly duration: Uint32Array;
  readonly batch: Uint32Array;
  readonly epoch: Uint16Array;
  readonly lane: Uint8Array;
  readonly kind: Uint8Array;
  readonly flags: Uint8Array;
}

/** The columns of a SERIES frame, in the order of their bytes. */
export const SERIES_COLUMNS = [
  { name: "value", array: Float32Array, bytes: 4, before: 0 },
  { name: "time", array: Uint32Array, bytes: 4, before: 4 },
] as const;
export const SERIES_ROW_BYTES = 8;

export interface SeriesColumns {
  readonly value: Float32Array;
  readonly time: Uint32Array;
}

/** The columns of a ROLLUP frame, in the order of their bytes. */
export const ROLLUP_COLUMNS = [
  { name: "bucket", array: Uint32Array, bytes: 4, before: 0 },
  { name: "batches", array: Float32Array, bytes: 4, before: 4 },
  { name: "samples", array: Float32Array, bytes: 4, before: 8 },
  { name: "bytes", array: Float32Array, bytes: 4, before: 12 },
  { name: "wait_ns", array: Float32Array, bytes: 4, before: 16 },
  { name: "step_ns", array: Float32Array, bytes: 4, before: 20 },
  { name: "lost", array: Float32Array, bytes: 4, before: 24 },
] as const;
export const ROLLUP_ROW_BYTES = 28;

export interface RollupColumns {
  readonly bucket: Uint32Array;
  readonly batches: Float32Array;
  readonly samples: Float32Array;
  readonly bytes: Float32Array;
  readonly wait_ns: Float32Array;
  readonly step_ns: Float32Array;
  readonly lost: Float32Array;
}
