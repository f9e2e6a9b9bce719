/** Words and paints of what a diagnosis is made of. */
import { t, tOr, type Key } from "../../i18n";
import { bytes, duration, joined, number, share, significant } from "../../i18n/format";
import { stagePaint, type Paint } from "../../timeline/paints";
import type { BudgetPart, PhaseName } from "../../wire";

const PHASE_PAINT: Readonly<Record<PhaseName, Paint>> = {
  draw: "main",
  queue: "blocked",
  fetch: "read",
  collate: "collate",
  send: "transfer",
  receive: "transfer",
  pin: "transfer",
  copy: "transfer",
  end: "main",
  other: "waiting",
};

export const phasePaint = (name: PhaseName): Paint => PHASE_PAINT[name];
export const phaseName = (name: PhaseName): string => t(`phase.${name}` as Key);

/** What a stage is called: those of a step that everybody has by words of the page, all others as their author did. */
export const stageName = (name: string): string => tOr(`stage.${name}`, name);

export function partName(part: BudgetPart, parts: readonly BudgetPart[]): string {
  if (part.kind === "stage") return stageName(part.name);
  // Where nothing of a step is named, what is left is the whole step.
  if (part.kind === "rest") return t(parts.some(({ kind }) => kind === "stage") ? "part.rest" : "part.step");
  return t(`part.${part.kind}` as Key);
}

export function partPaint(part: BudgetPart): Paint {
  switch (part.kind) {
    case "wait":
      return "waiting";
    case "observer":
      return "observer";
    case "device":
      return "transfer";
    case "rest":
      return "step";
    case "stage":
      return stagePaint(part.name);
  }
}

const SHARES: ReadonlySet<string> = new Set(["share", "cpu_share"]);

/** A number that a finding rests on, with its unit. */
export function amount({ value, unit, measure = "" }: { readonly value: number; readonly unit: string; readonly measure?: string }): string {
  switch (unit) {
    case "ns":
      return joined(duration(value));
    case "bytes":
      return joined(bytes(value));
    case "bytes/s":
      return `${joined(bytes(value))}/s`;
    case "share":
      return joined(share(value));
    case "":
      return SHARES.has(measure) ? joined(share(value)) : measure === "count" ? number(value) : significant(value);
    default:
      return `${significant(value)}\u202f${tOr(`unit.${unit}`, unit)}`;
  }
}

/** The worker that did something: -1 is the main process itself. */
export function workerName(worker: number | null): string {
  if (worker === null) return "–";
  return worker < 0 ? t("lane.main") : t("lane.worker", { number: worker });
}
