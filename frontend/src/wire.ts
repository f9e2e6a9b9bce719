// Written by `python -m app.wire` from app/wire.py and loader_core/trace/event.py. Change those, not this file.
//
// A binary frame is a little-endian header of HEADER_BYTES, then its columns one after the other, each contiguous:
// the column `c` of a frame of `count` rows begins at HEADER_BYTES + count * c.before.

export const PROTOCOL = "loaderscope.v1";

export const MAX_CLIENT_MESSAGE_BYTES = 65536;

export const MAX_FRAMES_IN_FLIGHT = 4;

export const MAX_SPANS_PER_FRAME = 16384;

export const BUCKET_NS = 100000000;

export const MAX_BUCKETS = 16384;

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

/** What happened. `KINDS` says what each one means. */
export const Kind = {
  DRAW: 1,
  DISPATCH: 2,
  WAIT_TASK: 3,
  FETCH: 4,
  COLLATE: 5,
  ITEM: 6,
  STAGE: 7,
  WAIT_SLOT: 8,
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

/** A text in both languages of the page. */
export interface Bilingual {
  readonly es: string;
  readonly en: string;
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
export interface Change {
  readonly number: number;
  readonly at_ns: number;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly restarted_loader: boolean;
}

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
  readonly changes: readonly Change[];
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
  readonly changes: readonly Change[];
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
