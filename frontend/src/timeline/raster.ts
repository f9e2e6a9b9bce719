/**
 * The picture of a row with more spans than can be told apart: for each pixel column the paint that covers most of it.
 * Waiting wins ties, so that starvation never vanishes by being averaged with work. Cost depends on spans once and on
 * pixels, not on rectangles.
 */
import { PAINTS, WAITING } from "./paints";
import type { Range, SpanStore } from "./span-store";
import type { TimeScale } from "./time-scale";

/** In a raster, 0 is "nothing"; a paint is its number plus 1. */
export const NOTHING = 0;

/** Coverage is compared in steps of this share of a pixel: nearly equal is a tie. */
const TIE = 1 / 16;

export class Raster {
  width = 0;
  rows = 0;
  pixels = new Uint8Array(0);
  private covered = new Float32Array(0);
  private readonly used = new Uint8Array(PAINTS.length);

  resize(width: number, rows: number): void {
    if (this.pixels.length < width * rows) this.pixels = new Uint8Array(width * rows);
    if (this.covered.length < width * PAINTS.length) this.covered = new Float32Array(width * PAINTS.length);
    this.width = width;
    this.rows = rows;
  }

  /** Fills one row. `pxPerScalePx` is the number of raster columns in one pixel of `scale`. */
  fillRow(row: number, store: SpanStore, range: Range, scale: TimeScale, pxPerScalePx: number): void {
    const { width } = this;
    const covered = this.covered;
    const used = this.used.fill(0);
    const { start, end, paint } = store;
    const factor = scale.pxPerNs * pxPerScalePx;
    for (let at = range.from; at < range.to; at += 1) {
      const slot = range.slots[at]!;
      const from = Math.max(0, (start[slot]! - scale.startNs) * factor);
      const to = Math.min(width, (end[slot]! - scale.startNs) * factor);
      if (from >= width || to <= 0 || to < from) continue;
      const base = paint[slot]! * width;
      if (used[paint[slot]!] === 0) {
        used[paint[slot]!] = 1;
        covered.fill(0, base, base + width);
      }
      const first = from | 0;
      const last = Math.min(width - 1, to | 0);
      if (first === last) {
        covered[base + first]! += to - from;
        continue;
      }
      covered[base + first]! += first + 1 - from;
      for (let column = first + 1; column < last; column += 1) covered[base + column]! += 1;
      covered[base + last]! += to - last;
    }
    this.choose(row);
  }

  private choose(row: number): void {
    const { width, covered, pixels } = this;
    const base = row * width;
    // A row has few paints: the others need not be looked at. Waiting is the last, so that it wins ties.
    const paints = [...this.used.keys()].filter((paint) => this.used[paint] === 1).reverse();
    for (let column = 0; column < width; column += 1) {
      let best = NOTHING;
      let most = 0;
      for (let each = 0; each < paints.length; each += 1) {
        const paint = paints[each]!;
        const cover = covered[paint * width + column]!;
        const wins = paint === WAITING ? cover > 0 && cover >= most - TIE : cover > most;
        if (!wins) continue;
        best = paint + 1;
        most = cover;
      }
      pixels[base + column] = best;
    }
  }
}
