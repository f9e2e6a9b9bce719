/** HTTP calls about sweeps and comparisons. */
import { call } from "./api";
import type { RunComparison, Sweep, SweepRequest } from "./wire";

const one = (id: string) => `/api/sweeps/${encodeURIComponent(id)}`;

export const startSweep = (request: SweepRequest) => call<Sweep>("POST", "/api/sweeps", request);
export const getSweep = (id: string, signal: AbortSignal) => call<Sweep>("GET", one(id), undefined, signal);
export const cancelSweep = (id: string) => call<Sweep>("POST", `${one(id)}/cancel`);
export const deleteSweep = (id: string) => call<void>("DELETE", one(id));

export const getComparison = (before: string, after: string, signal: AbortSignal) =>
  call<RunComparison>("GET", `/api/comparison?before=${encodeURIComponent(before)}&after=${encodeURIComponent(after)}`, undefined, signal);
