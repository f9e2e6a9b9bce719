/** An error as a sentence for the reader. */
import { ApiError } from "../api";
import { t, tOr } from "../i18n";

export function describe(error: unknown): string {
  if (error instanceof ApiError) {
    const known = tOr(`problem.${error.code}`, "");
    return known || error.message || t("problem.unknown");
  }
  return error instanceof Error ? error.message : String(error);
}
