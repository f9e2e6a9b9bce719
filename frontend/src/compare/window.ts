/** The one time axis of two runs: 0 is where both are laid together. Pure. */
import type { Alignment } from "../store/page-state";
import { clamped, zoomed } from "../timeline/time-scale";
import type { ComparedRun } from "../wire";

export interface Stretch {
  readonly startNs: number;
  readonly spanNs: number;
}

type Timed = Pick<ComparedRun, "first_batch_ns"> & { readonly run: Pick<ComparedRun["run"], "duration_ns"> };

/** The run time that lies at 0 of the common axis. */
export function offsetNs(run: Timed, alignment: Alignment): number {
  return alignment === "first" ? (run.first_batch_ns ?? 0) : 0;
}

/** From the earliest beginning of the two to the latest end. */
export function wholeOf(runs: readonly Timed[], alignment: Alignment): Stretch {
  const from = Math.min(...runs.map((run) => -offsetNs(run, alignment)));
  const to = Math.max(...runs.map((run) => run.run.duration_ns - offsetNs(run, alignment)), from + 1e6);
  const margin = 0.01 * (to - from);
  return { startNs: from - margin, spanNs: to - from + 2 * margin };
}

/** `wanted` kept near what there is. */
export function kept(wanted: Stretch, whole: Stretch): Stretch {
  const [start, span] = clamped(wanted.startNs - whole.startNs, Math.min(wanted.spanNs, whole.spanNs), whole.spanNs);
  return { startNs: start + whole.startNs, spanNs: span };
}

export function zoomedBy(now: Stretch, factor: number, anchorNs = now.startNs + now.spanNs / 2): Stretch {
  const [startNs, spanNs] = zoomed(now.startNs, now.spanNs, factor, anchorNs);
  return { startNs, spanNs };
}

export function pannedBy(now: Stretch, share: number): Stretch {
  return { startNs: now.startNs + share * now.spanNs, spanNs: now.spanNs };
}

const ZOOM = 1.35;
const PAN = 0.2;

/** What a key asks of the window; null for a key that is not its own. */
export function keyed(key: string, now: Stretch, whole: Stretch): Stretch | null {
  switch (key) {
    case "ArrowLeft":
    case "a":
    case "A":
      return pannedBy(now, -PAN);
    case "ArrowRight":
    case "d":
    case "D":
      return pannedBy(now, PAN);
    case "+":
    case "w":
    case "W":
      return zoomedBy(now, 1 / ZOOM);
    case "-":
    case "s":
    case "S":
      return zoomedBy(now, ZOOM);
    case "Home":
      return { ...now, startNs: whole.startNs };
    case "End":
      return { ...now, startNs: whole.startNs + whole.spanNs - now.spanNs };
    case "0":
      return whole;
    default:
      return null;
  }
}

/** The mean of a curve's buckets over a stretch of run time; NaN where it has none. */
export function meanOf(curve: readonly number[], bucketNs: number, fromNs: number, toNs: number): number {
  const first = Math.max(0, Math.floor(fromNs / bucketNs));
  const last = Math.min(curve.length - 1, Math.max(first, Math.ceil(toNs / bucketNs) - 1));
  if (last < first || toNs <= 0) return NaN;
  let sum = 0;
  for (let bucket = first; bucket <= last; bucket += 1) sum += curve[bucket]!;
  return sum / (last - first + 1);
}
