/**
 * The page's only animation loop. Everything drawn on a canvas registers here and is drawn at most once per screen
 * frame, and only after `invalidate`: two loops would draw the same data twice and out of step.
 */
type Painter = () => void;

const dirty = new Set<Painter>();
const listeners = new Set<() => void>();
let requested = false;

/** How long drawing took, in ms: the newest frame and the slowest of the last `WINDOW`. */
export const drawCost = { newestMs: 0, slowestMs: 0 };
const WINDOW = 120;
const costs: number[] = [];

export function invalidate(painter: Painter): void {
  dirty.add(painter);
  request();
}

/** Draws no more of this painter. */
export function forget(painter: Painter): void {
  dirty.delete(painter);
}

/** Asks for a frame although nothing of ours changed: its end tells that the browser keeps up. */
export function request(): void {
  if (requested) return;
  requested = true;
  requestAnimationFrame(draw);
}

/** Calls `listener` after each frame. Returns how to stop it. */
export function afterFrame(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function draw(): void {
  requested = false;
  const began = performance.now();
  const painters = [...dirty];
  dirty.clear();
  for (const paint of painters) paint();
  if (painters.length > 0) measure(performance.now() - began);
  for (const listener of listeners) listener();
}

function measure(ms: number): void {
  costs.push(ms);
  if (costs.length > WINDOW) costs.shift();
  drawCost.newestMs = ms;
  drawCost.slowestMs = Math.max(...costs);
}
