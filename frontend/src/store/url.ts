/** Keeps the page's address equal to its state, so that a copied link shows the same. */
import { effect } from "@preact/signals";
import { writePageState, type PageState, type View } from "./page-state";
import { signal } from "@preact/signals";
import { readPageState } from "./page-state";
import { lessonState } from "./lesson-address";
import { language, theme } from "./preferences";
import { alignment, comparedWith, compareSpanNs, compareStartNs, sweepId } from "./panels";
import { openRunId } from "./run";
import { selectedBatch, selectedStall } from "./selection";
import { settings } from "./settings";
import { following, spanNs, startNs } from "./window";

const initial = readPageState(location.search);

export const view = signal<View>(initial.view);
export const hidden = signal<readonly string[]>(initial.hide.split(",").filter(Boolean));

export function pageState(): PageState {
  const isFollowing = following.value;
  return {
    view: view.value,
    run: openRunId.value,
    from_us: isFollowing ? 0 : Math.round(startNs.value / 1e3),
    span_us: isFollowing ? 0 : Math.round(spanNs.value / 1e3),
    epoch: selectedBatch.value?.epoch ?? 0,
    batch: selectedBatch.value?.batch ?? -1,
    stall_us: selectedStall.value,
    sweep: sweepId.value,
    ...compared(),
    lang: language.value,
    theme: theme.value,
    hide: hidden.value.join(","),
    ...lessonState(),
    settings: settings.value,
  };
}

function compared(): Pick<PageState, "with" | "cmp_from_us" | "cmp_span_us" | "align"> {
  const isOn = comparedWith.value !== "";
  return {
    with: comparedWith.value,
    cmp_from_us: isOn ? Math.round(compareStartNs.value / 1e3) : 0,
    cmp_span_us: isOn ? Math.round(compareSpanNs.value / 1e3) : 0,
    align: isOn ? alignment.value : "start",
  };
}

const WRITE_AFTER_MS = 300;

/** Writes the address a little after the last change: browsers limit how often it may change. */
export function keepAddress(): void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  effect(() => {
    const search = writePageState(pageState());
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(history.state, "", location.pathname + search + location.hash), WRITE_AFTER_MS);
  });
}

/** The address of exactly what is shown now. */
export function addressNow(): string {
  return location.origin + location.pathname + writePageState(pageState());
}
