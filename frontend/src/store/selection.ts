/** What the pointer or the cursor is on, and which batch's journey is shown. */
import { batch, signal } from "@preact/signals";
import { NO_BATCH } from "../wire";
import type { Blame } from "../timeline/arrow";
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

/** The stall that is shown, as the run time in whole microseconds at which its wait began; -1: none. */
export const selectedStall = signal(initial.stall_us);
/** What the selected stall waited for, when that is known: drawn as an arrow. */
/** Names of the kinds of spans that alone stay in full colour: what a number of the verdict is made from. */
export const litKinds = signal<readonly string[] | null>(null);
export const blame = signal<Blame | null>(null);

export function selectSlot(slot: number): void {
  forgetStall();
  selectedSlot.value = slot;
  const number = slot < 0 ? NO_BATCH : shown.value.batch[slot]!;
  selectedBatch.value = number === NO_BATCH ? null : { epoch: shown.value.epoch[slot]!, batch: number };
}

export function selectBatch(id: BatchId): void {
  forgetStall();
  selectedBatch.value = id;
  refind();
}

/** Selects a wait and, where it is known, what it waited for. */
export function selectStall(us: number, id: BatchId | null, why: Blame | null): void {
  batch(() => {
    selectedStall.value = us;
    blame.value = why;
    selectedBatch.value = id;
    refind();
  });
}

/** Slots mean nothing in another store: what was selected is found again by its batch. */
export function refind(): void {
  const id = selectedBatch.peek();
  selectedSlot.value = id ? (shown.peek().ofBatch(id.epoch, id.batch)[0] ?? -1) : -1;
}

export function clearSelection(): void {
  litKinds.value = null;
  forgetStall();
  selectedSlot.value = -1;
  selectedBatch.value = null;
}

function forgetStall(): void {
  selectedStall.value = -1;
  blame.value = null;
}
