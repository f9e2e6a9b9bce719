/** Pointer, wheel and touch on the time axis. They only say what is wanted; the window's store keeps it in bounds. */
import { hover, selectSlot } from "../store/selection";
import { shown } from "../store/recording";
import { following, pan, show, spanNs, startNs, zoom } from "../store/window";
import { levelsAt, rowAt } from "./layout";
import { layout, scale } from "./scene";

/** How far from a span a pointer still means it. */
const SLACK_PX = 3;
/** A press that moves less than this is a click. */
const CLICK_PX = 4;
const WHEEL_ZOOM = 0.0022;

/** The span at a point of the lanes' canvas; -1 for none. */
export function slotAt(x: number, y: number): number {
  const row = rowAt(layout.value, y);
  if (!row) return -1;
  const { pxPerNs } = scale.value;
  const ns = scale.value.toNs(x);
  for (const level of levelsAt(row, y)) {
    const slot = shown.value.at(row.lane.lane, level, ns, SLACK_PX / pxPerNs);
    if (slot >= 0) return slot;
  }
  return -1;
}

interface Held {
  readonly x: number;
  readonly startNs: number;
  moved: boolean;
}

/**
 * Listens on the whole area of the axis; x counts from where the axis begins.
 *
 * Drag to move, click to select, two fingers or Ctrl and the wheel to zoom. Returns how to stop listening.
 */
export function listen(area: HTMLElement, lanes: HTMLElement, axisLeft: () => number): () => void {
  const pointers = new Map<number, number>();
  let held: Held | null = null;
  let pinch: { readonly distance: number; readonly spanNs: number; readonly anchorNs: number } | null = null;

  const xOf = (event: PointerEvent | WheelEvent) => event.clientX - axisLeft();

  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, xOf(event));
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()] as [number, number];
      pinch = { distance: Math.max(8, Math.abs(a - b)), spanNs: spanNs.value, anchorNs: scale.value.toNs((a + b) / 2) };
      held = null;
    } else {
      held = { x: xOf(event), startNs: startNs.value, moved: false };
    }
  };

  const move = (event: PointerEvent) => {
    const x = xOf(event);
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, x);
    if (pinch && pointers.size === 2) return movePinch(pinch, [...pointers.values()] as [number, number]);
    if (held) {
      if (!held.moved && Math.abs(x - held.x) < CLICK_PX) return;
      if (!held.moved) area.setPointerCapture(event.pointerId);
      held.moved = true;
      hover.value = null;
      show(held.startNs - (x - held.x) / scale.value.pxPerNs, spanNs.value);
      return;
    }
    const y = event.clientY - lanes.getBoundingClientRect().top;
    hover.value = { slot: slotAt(x, y), ns: scale.value.toNs(x), x, y: event.clientY - area.getBoundingClientRect().top };
  };

  const up = (event: PointerEvent) => {
    pointers.delete(event.pointerId);
    if (pointers.size < 2) pinch = null;
    if (held && !held.moved && lanes.contains(event.target as Node)) {
      const y = event.clientY - lanes.getBoundingClientRect().top;
      const slot = slotAt(xOf(event), y);
      // Who looks at one batch does not want it to run out of the picture.
      if (slot >= 0 && following.value) show(startNs.value, spanNs.value);
      selectSlot(slot);
    }
    held = null;
  };

  const leave = () => {
    if (!held) hover.value = null;
  };

  // A plain wheel scrolls the page, as everywhere; with Ctrl (or a pinch on a touchpad) it zooms, sideways it moves.
  const wheel = (event: WheelEvent) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom(Math.exp(event.deltaY * WHEEL_ZOOM * (event.deltaMode === 1 ? 16 : 1)), scale.value.toNs(xOf(event)));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      pan((event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX) / scale.value.widthPx);
    }
  };

  const double = (event: MouseEvent) => {
    const y = event.clientY - lanes.getBoundingClientRect().top;
    const slot = slotAt(event.clientX - axisLeft(), y);
    if (slot < 0) return;
    const length = shown.value.end[slot]! - shown.value.start[slot]!;
    show(shown.value.start[slot]! - length * 0.2, length * 1.4);
  };

  const handlers = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up, pointerleave: leave, dblclick: double };
  for (const [name, handler] of Object.entries(handlers)) area.addEventListener(name, handler as EventListener);
  area.addEventListener("wheel", wheel, { passive: false });
  return () => {
    for (const [name, handler] of Object.entries(handlers)) area.removeEventListener(name, handler as EventListener);
    area.removeEventListener("wheel", wheel);
  };
}

function movePinch(from: { readonly distance: number; readonly spanNs: number; readonly anchorNs: number }, [a, b]: [number, number]): void {
  const span = (from.spanNs * from.distance) / Math.max(8, Math.abs(a - b));
  show(from.anchorNs - (((a + b) / 2) * span) / scale.value.widthPx, span);
}
