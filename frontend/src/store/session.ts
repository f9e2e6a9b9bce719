/** Who the page is to the server, and what this host can do. */
import { computed, signal } from "@preact/signals";
import { ApiError, getCapabilities, getDatasets, startSession } from "../api";
import type { Capabilities, DatasetInfo } from "../wire";

export type Entry = "asking" | "in" | "no_token" | "token_refused" | "unreachable";

export const entry = signal<Entry>("asking");
export const capabilities = signal<Capabilities | null>(null);
export const datasets = signal<readonly DatasetInfo[]>([]);
export const mayOperate = computed(() => capabilities.value?.role === "operator");

/** The token that the terminal put into the address, taken out of it at once: it must not stay in the history. */
export function takeToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) history.replaceState(history.state, "", location.pathname + location.search);
  return token;
}

export async function enter(): Promise<void> {
  entry.value = "asking";
  const token = takeToken();
  try {
    if (token !== null) await startSession(token);
    const [host, catalogue] = await Promise.all([getCapabilities(), getDatasets()]);
    capabilities.value = host;
    datasets.value = catalogue;
    entry.value = "in";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    entry.value = error.status === 401 || error.status === 403 ? (token === null ? "no_token" : "token_refused") : "unreachable";
  }
}
