/** Which stretch of run time the timeline shows, and whether it follows the newest data. */
import { batch, computed, signal } from "@preact/signals";
import { MIN_SPAN_NS, clamped, zoomed } from "../timeline/time-scale";
import { readPageState } from "./page-state";
import { newestNs } from "./recording";

const DEFAULT_SPAN_NS = 4e9;
/** Room after the newest event while following, as a share of the window. */
const LEAD = 0.02;

const initial = readPageState(location.search);

export const spanNs = signal(initial.span_us > 0 ? Math.max(MIN_SPAN_NS, initial.span_us * 1e3) : DEFAULT_SPAN_NS);
const freeStartNs = signal(initial.from_us * 1e3);
export const following = signal(initial.span_us === 0);
/** The view stands still: window and pictures of batches. The connection does not: data keeps arriving. */
export const frozen = signal(false);

export const startNs = computed(() =>
  following.value ? Math.max(0, newestNs.value - spanNs.value * (1 - LEAD)) : freeStartNs.value,
);
export const endNs = computed(() => startNs.value + spanNs.value);

/** Shows a stretch of time; from then on the window stays where it is. */
export function show(start: number, span: number): void {
  const [from, width] = clamped(start, span, newestNs.value);
  batch(() => {
    following.value = false;
    freeStartNs.value = from;
    spanNs.value = width;
  });
}

/** Zooms around a time, or around the newest data while following. */
export function zoom(factor: number, anchorNs?: number): void {
  if (following.value && anchorNs === undefined) {
    const [, width] = zoomed(0, spanNs.value, factor, 0);
    spanNs.value = width;
    return;
  }
  show(...zoomed(startNs.value, spanNs.value, factor, anchorNs ?? startNs.value + spanNs.value / 2));
}

/** Moves the window by a share of its width. */
export function pan(share: number): void {
  show(startNs.value + share * spanNs.value, spanNs.value);
}

/** Puts a time into view, moving the window only if it is outside. */
export function reveal(fromNs: number, toNs: number): void {
  const margin = spanNs.value * 0.05;
  if (fromNs >= startNs.value + margin && toNs <= endNs.value - margin) return;
  show((fromNs + toNs) / 2 - spanNs.value / 2, Math.max(spanNs.value, (toNs - fromNs) * 1.2));
}

export function fitRun(): void {
  const all = Math.max(newestNs.value, MIN_SPAN_NS);
  show(-0.01 * all, all * 1.02);
}

export function follow(): void {
  batch(() => {
    frozen.value = false;
    following.value = true;
  });
}

export function toggleFollow(): void {
  if (following.value) show(startNs.value, spanNs.value);
  else follow();
}

/** The explicit pause of the view. */
export function toggleFrozen(): void {
  if (frozen.value) return follow();
  batch(() => {
    show(startNs.value, spanNs.value);
    frozen.value = true;
  });
}

export function resetWindow(): void {
  batch(() => {
    spanNs.value = DEFAULT_SPAN_NS;
    follow();
  });
}
