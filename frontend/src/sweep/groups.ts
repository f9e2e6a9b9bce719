/** The list of runs with those of a sweep put together, at the place of its newest. */
import type { RunSummary } from "../wire";
import { sweepOf } from "./grid";

export interface Group {
  /** "" for a run of its own. */
  readonly sweep: string;
  readonly runs: readonly RunSummary[];
}

export function grouped(runs: readonly RunSummary[]): readonly Group[] {
  const groups: { sweep: string; runs: RunSummary[] }[] = [];
  const bySweep = new Map<string, { sweep: string; runs: RunSummary[] }>();
  for (const run of runs) {
    const sweep = sweepOf(run.name)?.id ?? "";
    const known = sweep === "" ? undefined : bySweep.get(sweep);
    if (known) {
      known.runs.push(run);
      continue;
    }
    const group = { sweep, runs: [run] };
    groups.push(group);
    if (sweep !== "") bySweep.set(sweep, group);
  }
  return groups;
}
