/** HTTP calls to the server. Errors become ApiError with the server's own sentence. */
import type { LessonCard, Log, Value } from "./lesson/log";
import { query } from "./prediction/setting";
import type { Capabilities, DatasetInfo, Diagnosis, Measured, Preview, Problem, RunSettings, RunSummary, Score, Session, WhatIf } from "./wire";

export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field: string | null = null,
  ) {
    super(message);
  }
}

export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      ...(signal ? { signal } : {}),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
  } catch {
    throw new ApiError(0, "unreachable", "");
  }
  if (!response.ok) throw await problemOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function problemOf(response: Response): Promise<ApiError> {
  try {
    const { code, message, field } = (await response.json()) as Problem;
    return new ApiError(response.status, code, message, field ?? null);
  } catch {
    return new ApiError(response.status, "http", response.statusText);
  }
}

const run = (id: string) => `/api/runs/${encodeURIComponent(id)}`;

export const startSession = (token: string) => call<Session>("POST", "/api/session", { token });
export const getCapabilities = () => call<Capabilities>("GET", "/api/capabilities");
export const getDatasets = () => call<DatasetInfo[]>("GET", "/api/datasets");
export const startRun = (settings: RunSettings) => call<RunSummary>("POST", "/api/runs", settings);
export const changeRun = (id: string, fields: Partial<RunSettings>) => call<RunSummary>("PATCH", `${run(id)}/settings`, fields);
export const stopRun = (id: string) => call<RunSummary>("POST", `${run(id)}/stop`);
export const pauseRun = (id: string) => call<RunSummary>("POST", `${run(id)}/pause`);
export const resumeRun = (id: string) => call<RunSummary>("POST", `${run(id)}/resume`);
export const deleteRun = (id: string) => call<void>("DELETE", run(id));

/** Figures of plotly.graph_objects, by name, as JSON. */
export type Figures = Readonly<Record<string, { readonly data: unknown[]; readonly layout: Record<string, unknown> }>>;
export const getFigures = (id: string, lang: string, theme: string) =>
  call<Figures>("GET", `${run(id)}/figures?lang=${lang}&theme=${theme}`);

export const getPreviews = (id: string) => call<Preview[]>("GET", `${run(id)}/previews`);

/** What the run tells up to a run time, or all of it. */
export const getWhatIf = (id: string, wish: Readonly<Record<string, unknown>>, signal: AbortSignal) =>
  call<WhatIf>("GET", `${run(id)}/whatif${query(wish)}`, undefined, signal);
export const getScore = () => call<Score>("GET", "/api/predictions/score");
/** What run `measuredBy` gave, beside what was predicted of it from run `id`. */
export const scorePrediction = (id: string, measuredBy: string) =>
  call<Measured>("POST", `${run(id)}/whatif/measured?run=${encodeURIComponent(measuredBy)}`);

/** Of a run of the user's script: what the run before it promised for its arguments; null: none did. */
export const getProof = (id: string) => call<Measured | null>("GET", `${run(id)}/proof`);

export const getDiagnosis = (id: string, untilNs: number | null, signal: AbortSignal) =>
  call<Diagnosis>("GET", `${run(id)}/diagnosis${untilNs === null ? "" : `?end_ns=${untilNs}`}`, undefined, signal);

/** The spans of a window of run time, as the bytes of a SPANS frame. */
export async function getSpans(id: string, startNs: number, endNs: number): Promise<ArrayBuffer> {
  const path = `${run(id)}/spans?start_ns=${Math.floor(startNs)}&end_ns=${Math.ceil(endNs)}`;
  const response = await fetch(path, { credentials: "same-origin" }).catch(() => {
    throw new ApiError(0, "unreachable", "");
  });
  if (!response.ok) throw await problemOf(response);
  return response.arrayBuffer();
}

export const getLessons = () => call<LessonCard[]>("GET", "/api/lessons");

interface RecordRequest {
  readonly parameters: Readonly<Record<string, Value>>;
  readonly variant: string;
  readonly language: string;
}

/** Runs a lesson's program on the server and gives all that it did. */
export const recordLesson = (id: string, request: RecordRequest, signal: AbortSignal) =>
  call<Log>("POST", `/api/lessons/${encodeURIComponent(id)}/record`, request, signal);
export const notebookUrl = (id: string, language: string) => `/api/lessons/${encodeURIComponent(id)}/notebook?language=${language}`;

export const sheetUrl = (id: string, preview: number) => `${run(id)}/previews/${preview}.jpg`;
export const exportUrl = (id: string, format: "perfetto" | "summary") => `${run(id)}/export/${format}`;
/** plotly.js of the installed Python package, so that it fits the figures that Python makes. */
export const PLOTLY_URL = "/vendor/plotly.min.js";

export function socketUrl(): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`;
}
