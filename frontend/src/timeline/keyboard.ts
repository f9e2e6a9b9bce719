/** The keys. Letters work anywhere but in a field; arrows belong to the timeline while it has the focus. */
import { shown } from "../store/recording";
import { clearSelection, hover, selectSlot, selectedSlot } from "../store/selection";
import { endNs, fitRun, pan, reveal, show, spanNs, startNs, toggleFollow, toggleFrozen, zoom } from "../store/window";
import { newestNs } from "../store/recording";
import { NO_BATCH } from "../wire";
import { layout } from "./scene";
import { Level } from "./paints";

const ZOOM = 1.35;
const PAN = 0.2;

/** Moves the cursor; returns false for a key that is not its own. */
export function timelineKey(event: KeyboardEvent): boolean {
  switch (event.key) {
    case "ArrowRight":
    case "ArrowLeft":
      step(event.key === "ArrowRight" ? 1 : -1, event.shiftKey);
      return true;
    case "ArrowDown":
    case "ArrowUp":
      changeLane(event.key === "ArrowDown" ? 1 : -1);
      return true;
    case "Home":
      show(0, spanNs.value);
      return true;
    case "End":
      show(newestNs.value - spanNs.value * 0.98, spanNs.value);
      return true;
    case "Escape":
      clearSelection();
      return true;
    default:
      return false;
  }
}

/** Keys for the whole page; returns false for a key that is not its own. */
export function pageKey(event: KeyboardEvent, help: () => void): boolean {
  switch (event.key) {
    case " ":
      toggleFrozen();
      return true;
    case "w":
    case "W":
      zoom(1 / ZOOM, anchorNs());
      return true;
    case "s":
    case "S":
      zoom(ZOOM, anchorNs());
      return true;
    case "a":
    case "A":
      pan(-PAN);
      return true;
    case "d":
    case "D":
      pan(PAN);
      return true;
    case "f":
    case "F":
      toggleFollow();
      return true;
    case "0":
      fitRun();
      return true;
    case "?":
      help();
      return true;
    default:
      return false;
  }
}

/** What zooming is about: the pointer, else the selected span, else the middle or, while following, the newest. */
function anchorNs(): number | undefined {
  if (hover.value) return hover.value.ns;
  const slot = selectedSlot.value;
  if (slot < 0) return undefined;
  const middle = (shown.value.start[slot]! + shown.value.end[slot]!) / 2;
  return middle > startNs.value && middle < endNs.value ? middle : undefined;
}

function step(by: 1 | -1, byBatch: boolean): void {
  const current = selectedSlot.value;
  const next = current < 0 ? firstInView() : byBatch ? ofOtherBatch(current, by) : shown.value.neighbour(current, by);
  if (next < 0) return;
  selectSlot(next);
  reveal(shown.value.start[next]!, shown.value.end[next]!);
}

function firstInView(lane?: number): number {
  const middle = (startNs.value + endNs.value) / 2;
  const rows = layout.value.rows;
  const row = lane === undefined ? rows.at(-1) : rows.find((candidate) => candidate.lane.lane === lane);
  return row ? shown.value.at(row.lane.lane, Level.SPAN, middle, spanNs.value / 2) : -1;
}

function ofOtherBatch(slot: number, by: 1 | -1): number {
  let next = shown.value.neighbour(slot, by);
  while (next >= 0 && (shown.value.batch[next] === shown.value.batch[slot] || shown.value.batch[next] === NO_BATCH)) next = shown.value.neighbour(next, by);
  return next;
}

function changeLane(by: 1 | -1): void {
  const { rows } = layout.value;
  const current = selectedSlot.value;
  if (current < 0) return step(1, false);
  const index = rows.findIndex((row) => row.lane.lane === shown.value.lane[current]);
  const row = rows[index + by];
  if (!row) return;
  const middle = (shown.value.start[current]! + shown.value.end[current]!) / 2;
  const next = shown.value.at(row.lane.lane, Level.SPAN, middle, spanNs.value);
  if (next >= 0) selectSlot(next);
}

/** Whether it is in a dialog that was just closed: what had the focus in it has it for another frame. */
export const isLeaving = (target: HTMLElement): boolean => target.closest("dialog:not([open])") !== null;

/** Whether a key press belongs to a control that has the focus. */
export function isTyping(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  const target = event.target as HTMLElement;
  if (isLeaving(target)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  if (target instanceof HTMLInputElement) return target.type !== "range" && (target.type !== "checkbox" || event.key === " ");
  return (target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement || target.tagName === "SUMMARY") && event.key === " ";
}
