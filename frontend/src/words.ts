/** What lanes and runs are called, wherever they are named. */
import { t, tOr } from "./i18n";
import type { Lane, RunSummary } from "./wire";

export function laneLabel(lane: Pick<Lane, "role" | "worker" | "rank">): string {
  const name = lane.role === "worker" ? t("lane.worker", { number: lane.worker }) : tOr(`lane.${lane.role}`, lane.role);
  return lane.rank > 0 ? t("lane.of_rank", { name, rank: lane.rank }) : name;
}

export function runName(summary: RunSummary): string {
  return summary.name || summary.settings?.dataset || summary.id;
}
