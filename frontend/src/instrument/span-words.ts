/** A span in words, for the tooltip, the details, the table and the screen reader alike. */
import { t, tOr } from "../i18n";
import { bytes, duration, joined, moment, number } from "../i18n/format";
import { kinds, shown } from "../store/recording";
import { lanes } from "../store/run";
import { PAINTS, type Paint } from "../timeline/paints";
import { laneLabel } from "../words";
import { Flag, NOT_MEASURED, NO_BATCH, type KindInfo } from "../wire";

export function kindOf(slot: number): KindInfo | undefined {
  return kinds.get(shown.value.kind[slot]!);
}

export function nameOf(slot: number): string {
  const info = kindOf(slot);
  if (!info) return "?";
  if (kinds.isStage(info.kind)) {
    const stage = kinds.stage(shown.value.value[slot]!);
    if (stage) return stage;
  }
  return tOr(`kind.${info.name}.name`, info.name);
}

export function meaningOf(slot: number): string {
  const info = kindOf(slot);
  return info ? tOr(`kind.${info.name}.meaning`, info.meaning) : "";
}

export function paintOf(slot: number): Paint {
  return PAINTS[shown.value.paint[slot]!]!;
}

export function laneName(slot: number): string {
  const lane = lanes.value.find((candidate) => candidate.lane === shown.value.lane[slot]);
  return lane ? laneLabel(lane) : "";
}

export function flagsOf(slot: number): string[] {
  const flags = shown.value.flags[slot]!;
  const words: string[] = [];
  if (flags & Flag.SIMULATED) words.push(t("flag.simulated"));
  if (flags & Flag.INFERRED) words.push(t("flag.inferred"));
  if (flags & Flag.TRUNCATED) words.push(t("flag.truncated"));
  return words;
}

/** Name and value of each thing that is known of a span. */
export function factsOf(slot: number): [name: string, value: string][] {
  const facts: [string, string][] = [];
  const batch = shown.value.batch[slot]!;
  if (batch !== NO_BATCH) facts.push([t("fact.batch"), number(batch)], [t("fact.epoch"), number(shown.value.epoch[slot]!)]);
  if (shown.value.sample[slot] !== NOT_MEASURED) facts.push([t("fact.sample"), number(shown.value.sample[slot]!)]);
  const length = shown.value.end[slot]! - shown.value.start[slot]!;
  if (length > 0) facts.push([t("fact.duration"), joined(duration(length))]);
  facts.push([t("fact.start"), moment(shown.value.start[slot]!, Math.min(1e6, Math.max(1e3, length)))]);
  facts.push([t("fact.lane"), laneName(slot)]);
  const value = valueOf(slot);
  if (value) facts.push(value);
  return facts;
}

function valueOf(slot: number): [name: string, value: string] | null {
  const info = kindOf(slot);
  const value = shown.value.value[slot]!;
  if (!info || info.value === "" || value === NOT_MEASURED || kinds.isStage(info.kind)) return null;
  const name = tOr(`value.${info.value}`, info.value);
  if (info.value === "bytes") return [name, joined(bytes(value))];
  if (info.value.endsWith(" ns")) return [name, joined(duration(value))];
  if (info.value === "loss x 1e6") return [name, number(value / 1e6, 4)];
  return [name, number(value)];
}

/** One sentence, for the live region. */
export function sentence(slot: number): string {
  return [nameOf(slot), ...factsOf(slot).map(([name, value]) => `${name} ${value}`), ...flagsOf(slot)].join(", ");
}
