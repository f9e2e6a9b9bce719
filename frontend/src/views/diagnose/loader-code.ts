/** The call that made an observed loader, as its author may have written it. */
import { python } from "../../timeline/change-text";
import type { RunSummary } from "../../wire";

/** Objects, such as a sampler, come as their names: they stand without quotes. */
const NAMED: ReadonlySet<string> = new Set(["dataset", "sampler", "batch_sampler", "collate_fn", "worker_init_fn", "multiprocessing_context", "generator"]);

/** What torch takes where nothing is said: not shown, so that what was chosen can be seen. */
const TORCH_DEFAULTS: Readonly<Record<string, unknown>> = {
  pin_memory: false,
  drop_last: false,
  persistent_workers: false,
  timeout: 0,
  in_order: true,
  sampler: "SequentialSampler",
  batch_sampler: "BatchSampler",
  collate_fn: "default_collate",
};

export function loaderCode({ loader, settings }: RunSummary): string {
  const known = loader ?? (settings && { dataset: settings.dataset, batch_size: settings.batch_size, num_workers: settings.num_workers, shuffle: settings.shuffle });
  if (!known) return "";
  const { dataset, ...rest } = known;
  const first = typeof dataset === "string" && dataset !== "" ? [dataset] : [];
  const named = Object.entries(rest)
    .filter(([name, value]) => value !== null && value !== undefined && TORCH_DEFAULTS[name] !== value)
    .map(([name, value]) => `${name}=${NAMED.has(name) && typeof value === "string" ? value : python(value)}`);
  return `DataLoader(${[...first, ...named].join(", ")})`;
}
