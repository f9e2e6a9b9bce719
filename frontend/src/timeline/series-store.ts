/** A number that changes in steps (a queue's depth, the loss): the newest points of it, in a ring. */
export const SERIES_CAPACITY = 65_536;

export interface StepSample {
  readonly min: number;
  readonly max: number;
  /** The value at the end of the interval. */
  readonly last: number;
}

export class SeriesStore {
  private readonly time: Float64Array;
  private readonly values: Float32Array;
  private received = 0;
  private newestNs = -Infinity;
  /** The largest value held since the run was opened; keeps the strip's scale from jumping. */
  peak = 0;

  constructor(readonly capacity = SERIES_CAPACITY) {
    this.time = new Float64Array(capacity);
    this.values = new Float32Array(capacity);
  }

  get size(): number {
    return Math.min(this.received, this.capacity);
  }

  clear(): void {
    this.received = 0;
    this.newestNs = -Infinity;
    this.peak = 0;
  }

  push(value: Float32Array, time: Uint32Array, baseNs: number, unitNs: number): void {
    for (let row = 0; row < value.length; row += 1) {
      const ns = baseNs + time[row]! * unitNs;
      // After a reconnection all steps are sent again: those that are held already are skipped.
      if (ns < this.newestNs) continue;
      this.newestNs = ns;
      const at = this.received % this.capacity;
      this.time[at] = ns;
      this.values[at] = value[row]!;
      if (value[row]! > this.peak) this.peak = value[row]!;
      this.received += 1;
    }
  }

  timeAt(index: number): number {
    return this.time[this.slot(index)]!;
  }

  valueAt(index: number): number {
    return this.values[this.slot(index)]!;
  }

  /** Index of the newest point at or before `ns`, counted from the oldest held; -1 for none. */
  indexAt(ns: number): number {
    let low = 0;
    let high = this.size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.timeAt(middle) <= ns) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The value at a time, or null before the first point. */
  at(ns: number): number | null {
    const index = this.indexAt(ns);
    return index < 0 ? null : this.valueAt(index);
  }

  private slot(index: number): number {
    return this.received <= this.capacity ? index : (this.received + index) % this.capacity;
  }
}
