/** Short messages to the reader: something was done, refused or failed. */
import { signal } from "@preact/signals";

export interface Toast {
  readonly id: number;
  readonly tone: "plain" | "problem";
  readonly text: string;
  readonly action?: { readonly label: string; readonly run: () => void };
}

/** More than this many at once and the oldest leaves. */
const MAX_TOASTS = 4;
const SHOWN_MS = 7_000;

export const toasts = signal<readonly Toast[]>([]);
let next = 1;

export function say(text: string, options: Partial<Pick<Toast, "tone" | "action">> = {}): number {
  const id = next++;
  toasts.value = [...toasts.value.slice(1 - MAX_TOASTS), { id, tone: "plain", text, ...options }];
  setTimeout(() => dismiss(id), SHOWN_MS);
  return id;
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}
