/** How parameters, their values and intervals are written in a sweep and in a comparison. */
import { t, tOr, type Key } from "../../i18n";
import { number, significant } from "../../i18n/format";
import type { Rate } from "../../wire";

export const parameterLabel = (name: string): string => t(`setting.${name}` as Key);

export function valueText(name: string, value: unknown): string {
  if (typeof value === "number") return number(value, Number.isInteger(value) ? 0 : 2);
  if (typeof value === "boolean") return value ? "True" : "False";
  return tOr(`choice.${name}.${String(value)}`, String(value));
}

/** The 95 % interval of a rate, or why there is none. */
export function interval({ low, high }: Rate): string {
  return low === null || high === null ? t("sweep.no_interval") : t("sweep.range_of", { low: significant(low), high: significant(high) });
}
