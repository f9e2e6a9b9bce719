/** What a run is doing, as a chip. */
import { tOr } from "../i18n";
import type { RunState } from "../wire";

const TONE: Readonly<Record<RunState, string>> = {
  starting: "live",
  running: "live",
  paused: "notice",
  finished: "",
  stopped: "",
  failed: "problem",
  interrupted: "notice",
};

export function StateChip({ state }: { readonly state: RunState }) {
  return <span class={`chip ${TONE[state]}`}>{tOr(`state.${state}`, state)}</span>;
}
