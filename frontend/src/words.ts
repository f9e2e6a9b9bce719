/** What lanes and runs are called, wherever they are named. */
import { t, tOr } from "./i18n";
import type { Lane, RunSummary } from "./wire";

export function laneLabel(lane: Pick<Lane, "role" | "worker" | "rank">): string {
  // Without workers the loop itself makes its batches, on a lane of their own.
  const name = lane.role === "worker" && lane.worker < 0 ? t("lane.inline") : lane.role === "worker" ? t("lane.worker", { number: lane.worker }) : tOr(`lane.${lane.role}`, lane.role);
  return lane.rank > 0 ? t("lane.of_rank", { name, rank: lane.rank }) : name;
}

export function runName(summary: RunSummary): string {
  return summary.name || summary.settings?.dataset || summary.id;
}
