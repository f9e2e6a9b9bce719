/** What the pointer or the cursor is on, and which batch's journey is shown. */
import { signal } from "@preact/signals";
import { NO_BATCH } from "../wire";
import { readPageState } from "./page-state";
import { shown } from "./recording";

export interface BatchId {
  readonly epoch: number;
  readonly batch: number;
}

const initial = readPageState(location.search);

/** A place on the timeline: a slot of the span store (-1: none) and the pointer's time. */
export interface Hover {
  readonly slot: number;
  readonly ns: number;
  readonly x: number;
  readonly y: number;
}

export const hover = signal<Hover | null>(null);
export const selectedBatch = signal<BatchId | null>(initial.batch >= 0 ? { epoch: initial.epoch, batch: initial.batch } : null);
/** The span whose details are shown; -1: none. A slot number is valid until the ring has come round. */
export const selectedSlot = signal(-1);

export function selectSlot(slot: number): void {
  selectedSlot.value = slot;
  const batch = slot < 0 ? NO_BATCH : shown.value.batch[slot]!;
  selectedBatch.value = batch === NO_BATCH ? null : { epoch: shown.value.epoch[slot]!, batch };
}

export function selectBatch(id: BatchId): void {
  selectedSlot.value = shown.value.ofBatch(id.epoch, id.batch)[0] ?? -1;
  selectedBatch.value = id;
}

export function clearSelection(): void {
  selectedSlot.value = -1;
  selectedBatch.value = null;
}
