/** What the Explore view shows instead of one run: a sweep's heatmap, or two runs side by side. */
import { batch, signal } from "@preact/signals";
import { ALIGNMENTS, readPageState, type Alignment } from "./page-state";

const initial = readPageState(location.search);

/** The sweep that is shown; "": none. */
export const sweepId = signal(initial.sweep);
/** The run that the open one is compared with; "": none. */
export const comparedWith = signal(initial.with);

/** The window of a comparison, in ns since where both runs are laid together; a span of 0: all of both. */
export const compareStartNs = signal(initial.cmp_from_us * 1e3);
export const compareSpanNs = signal(initial.cmp_span_us * 1e3);
export const alignment = signal<Alignment>(initial.align);
export { ALIGNMENTS };

/** Back to the run itself. */
export function leavePanels(): void {
  batch(() => {
    sweepId.value = "";
    comparedWith.value = "";
  });
}

export function showSweep(id: string): void {
  batch(() => {
    comparedWith.value = "";
    sweepId.value = id;
  });
}

export function compareOpenWith(id: string): void {
  batch(() => {
    sweepId.value = "";
    comparedWith.value = id;
    compareStartNs.value = 0;
    compareSpanNs.value = 0;
  });
}
