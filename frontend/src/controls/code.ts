/** The settings as the Python that they stand for. Pure: a test compares its lines. */
import type { DatasetInfo, RunSettings } from "../wire";
import type { SettingName } from "../store/settings-table";

export interface CodeLine {
  readonly text: string;
  /** The setting that this line is made from. */
  readonly setting: SettingName | null;
  /** It stands at the default of torch, or changes nothing: shown only once it was touched. */
  readonly quiet: boolean;
}

/** torch's own defaults: what stands at one of them need not be written. */
const TORCH_DEFAULTS: Partial<RunSettings> = {
  drop_last: false,
  worker_method: "process",
  multiprocessing_context: "default",
  in_order: true,
  pin_memory: false,
  collate: "default",
};

const bool = (value: boolean) => (value ? "True" : "False");
const seconds = (ms: number) => String(Number((ms / 1000).toPrecision(6)));

/** What one setting is in code, with its value: the fragment beside its control. */
export function fragment(settings: RunSettings, name: SettingName): string {
  const { dials } = settings;
  switch (name) {
    case "name":
      return `name="${settings.name}"`;
    case "engine":
      if (settings.engine === "torch") return "from torch.utils.data import DataLoader";
      return `from loader_core import DataLoader${settings.device === "simulated" ? ", Simulated" : ""}`;
    case "dataset":
      return `dataset = ${className(settings.dataset)}(…)`;
    case "image_size":
      return `image_size=${settings.image_size}`;
    case "augment":
      return `augment=${bool(settings.augment)}`;
    case "batch_size":
    case "num_workers":
      return `${name}=${settings[name]}`;
    case "prefetch_factor":
      return settings.num_workers === 0 ? "prefetch_factor=None" : `prefetch_factor=${settings.prefetch_factor}`;
    case "persistent_workers":
      return `persistent_workers=${bool(settings.persistent_workers && settings.num_workers > 0)}`;
    case "shuffle":
    case "drop_last":
    case "in_order":
    case "pin_memory":
      return `${name}=${bool(settings[name])}`;
    case "worker_method":
      return `worker_method="${settings.worker_method}"`;
    case "multiprocessing_context":
      return settings.multiprocessing_context === "default"
        ? "multiprocessing_context=None"
        : `multiprocessing_context="${settings.multiprocessing_context}"`;
    case "collate":
      return settings.collate === "pad" ? "collate_fn=pad" : "collate_fn=None";
    case "seed":
      return `generator=torch.Generator().manual_seed(${settings.seed})`;
    case "device":
      if (settings.device === "none") return "device=None";
      if (settings.device === "simulated") return `device=Simulated(gb_per_s=${settings.device_gb_per_s})`;
      return settings.engine === "torch" ? "batch = to(batch, device)" : 'device="accelerator"';
    case "device_gb_per_s":
      return `gb_per_s=${settings.device_gb_per_s}`;
    case "consumer":
      return settings.consumer === "train" ? "loss = train(batch)" : settings.consumer === "step" ? `time.sleep(${seconds(settings.step_ms)})` : "pass";
    case "step_ms":
      return `time.sleep(${seconds(settings.step_ms)})`;
    case "epochs":
      return settings.epochs === 0 ? "itertools.count()" : `range(${settings.epochs})`;
    case "seconds":
      return settings.seconds === 0 ? "while True" : `run for ${settings.seconds} s`;
    case "detail":
      return `detail="${settings.detail}"`;
    case "dials.storage_latency_ms":
      return `time.sleep(${seconds(dials.storage_latency_ms)})`;
    case "dials.storage_mb_per_s":
      return dials.storage_mb_per_s === 0 ? "read(path)" : `read(path, mb_per_s=${dials.storage_mb_per_s})`;
    case "dials.cpu_ms":
      return `burn_cpu(ms=${dials.cpu_ms})`;
    case "dials.slow_every":
      return dials.slow_every === 0 ? "if False" : `if index % ${dials.slow_every} == 0`;
    case "dials.slow_ms":
      return `time.sleep(${seconds(dials.slow_ms)})`;
  }
}

export function codeLines(settings: RunSettings, dataset: DatasetInfo | undefined): CodeLine[] {
  const line = (text: string, setting: SettingName | null = null, quiet = false): CodeLine => ({ text, setting, quiet });
  const part = (indent: string, name: SettingName, end = "", quiet = false) => line(`${indent}${fragment(settings, name)}${end}`, name, quiet);
  const { dials } = settings;
  const isPictures = dataset?.kind === "images" || dataset === undefined;
  const slowed = dials.slow_every > 0;
  const slow = slowed || dials.storage_latency_ms > 0 || dials.storage_mb_per_s > 0 || dials.cpu_ms > 0;
  return [
    part("", "engine"),
    line(""),
    line(`class ${className(settings.dataset)}(Dataset):`, "dataset", !slow),
    line("    def __getitem__(self, index):", null, !slow),
    part("        ", "dials.storage_latency_ms", "", dials.storage_latency_ms === 0),
    line(`        sample = ${fragment(settings, "dials.storage_mb_per_s")}`, "dials.storage_mb_per_s", !slow),
    part("        ", "dials.cpu_ms", "", dials.cpu_ms === 0),
    line(`        ${fragment(settings, "dials.slow_every")}:`, "dials.slow_every", !slowed),
    line(`            ${fragment(settings, "dials.slow_ms")}`, "dials.slow_ms", !slowed),
    line("        return transform(sample)", null, !slow),
    line("", null, !slow),
    ...(isPictures
      ? [
          line(`dataset = ${className(settings.dataset)}(`, "dataset"),
          part("    ", "image_size", ","),
          part("    ", "augment", ","),
          line(")"),
        ]
      : [line(`dataset = ${className(settings.dataset)}()`, "dataset")]),
    line("loader = DataLoader("),
    line("    dataset,", "dataset"),
    part("    ", "batch_size", ","),
    part("    ", "shuffle", ","),
    part("    ", "num_workers", ","),
    part("    ", "prefetch_factor", ",", settings.num_workers === 0),
    part("    ", "persistent_workers", ",", settings.num_workers === 0 || !settings.persistent_workers),
    ...(["drop_last", "in_order", "pin_memory", "multiprocessing_context", "collate"] as const).map((name) =>
      part("    ", name, ",", settings[name] === TORCH_DEFAULTS[name]),
    ),
    ...(settings.engine === "loaderscope"
      ? [part("    ", "worker_method", ",", settings.worker_method === "process"), part("    ", "device", ",", settings.device === "none")]
      : []),
    part("    ", "seed", ",", settings.seed === 0),
    line(")"),
    line(""),
    line(`for epoch in ${fragment(settings, "epochs")}:`, "epochs"),
    line("    for batch in loader:"),
    ...(settings.engine === "torch" && settings.device !== "none" ? [part("        ", "device")] : []),
    part("        ", settings.consumer === "step" ? "step_ms" : "consumer"),
  ];
}

/** `photographs` -> `Photographs`; what a class of that name would be called. */
export function className(id: string): string {
  const words = id.split(/[^A-Za-z0-9]+/).filter(Boolean);
  const name = words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join("");
  return /^[A-Za-z]/.test(name) ? name : "MyDataset";
}

export interface Token {
  readonly text: string;
  /** w: keyword, s: string or number, c: comment, "": anything else. */
  readonly kind: "w" | "s" | "c" | "";
}

const TOKENS = /(#.*$)|("[^"]*"|\b\d+(?:\.\d+)?\b)|\b(from|import|class|def|return|for|in|if|pass|True|False|None|while)\b/g;

/** The line in pieces for colouring. */
export function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  for (const match of text.matchAll(TOKENS)) {
    if (match.index > at) found.push({ text: text.slice(at, match.index), kind: "" });
    found.push({ text: match[0], kind: match[1] ? "c" : match[2] ? "s" : "w" });
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push({ text: text.slice(at), kind: "" });
  return found;
}
