/** Runs as they belong together: the loaders and ranks of one start of a script; all others by themselves. */
import type { RunSummary } from "../../wire";

export interface RunGroup {
  readonly id: string;
  /** The command line of the script. */
  readonly command: string;
  readonly live: boolean;
  readonly startedUnixNs: number;
  readonly runs: readonly RunSummary[];
}

export interface FoundRuns {
  /** Newest first; within one, ranks in their order, and loaders in the order in which they began. */
  readonly scripts: readonly RunGroup[];
  readonly others: readonly RunSummary[];
}

export function groupRuns(runs: readonly RunSummary[]): FoundRuns {
  const byGroup = new Map<string, RunSummary[]>();
  for (const run of runs) {
    if (!run.script) continue;
    // Without a group of its own a run is one.
    const id = run.script.group || run.id;
    byGroup.set(id, [...(byGroup.get(id) ?? []), run]);
  }
  const scripts = [...byGroup].map(([id, members]): RunGroup => {
    const sorted = members.sort((a, b) => a.script!.rank - b.script!.rank || a.started_unix_ns - b.started_unix_ns);
    return {
      id,
      command: commandOf(sorted[0]!),
      live: sorted.some(({ live }) => live),
      startedUnixNs: Math.min(...sorted.map(({ started_unix_ns }) => started_unix_ns)),
      runs: sorted,
    };
  });
  return {
    scripts: scripts.sort((a, b) => b.startedUnixNs - a.startedUnixNs),
    others: runs.filter(({ script }) => !script),
  };
}

/** `train.py --epochs 3`: the folder of the script is left out. */
export function commandOf({ script, id }: RunSummary): string {
  const argv = script?.argv ?? [];
  const program = argv.findIndex((word) => !word.startsWith("-"));
  return argv.map((word, index) => (index === program ? word.replace(/^.*[\\/]/, "") : word)).join(" ") || id;
}

/** The run that a reader who has opened none most likely wants: the newest that goes on in a script of his. */
export function likelyRun(runs: readonly RunSummary[]): RunSummary | undefined {
  return groupRuns(runs).scripts.find(({ live }) => live)?.runs.find(({ live }) => live);
}
