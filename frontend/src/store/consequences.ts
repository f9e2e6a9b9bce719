/** What a choice rules out, so that the form never stands at settings which the server would refuse. */
import type { DatasetInfo, RunSettings } from "../wire";
import type { Value } from "./fields";
import type { SettingName } from "./settings-table";

export function consequences(
  settings: RunSettings,
  changed: SettingName,
  datasets: readonly DatasetInfo[],
): [name: SettingName, value: Value][] {
  const found: [SettingName, Value][] = [];
  if (changed === "engine" && settings.engine === "torch") {
    // torch's DataLoader has no threads as workers, and copies to no device.
    if (settings.worker_method !== "process") found.push(["worker_method", "process"]);
    if (settings.device === "simulated") found.push(["device", "none"]);
  }
  const dataset = datasets.find(({ id }) => id === settings.dataset);
  if (changed === "dataset" && dataset) {
    const collate = dataset.needs_pad ? "pad" : "default";
    if (settings.collate !== collate) found.push(["collate", collate]);
    if (!dataset.trains && settings.consumer === "train") found.push(["consumer", "step"]);
  }
  return found;
}
