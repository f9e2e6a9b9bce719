/** Totals per bucket of time over the whole run, however long: what the overview and the throughput strip draw. */
import { BUCKET_NS, MAX_BUCKETS, type RollupColumns } from "../wire";

/** Shortest time over which a rate is taken. */
const SMOOTHED_NS = 500e6;

const NUMBERS = ["batches", "samples", "bytes", "wait_ns", "step_ns", "lost"] as const;
export type RollupNumber = (typeof NUMBERS)[number];

export class RollupStore {
  /** Width of a bucket; the server doubles it when a run grows beyond `MAX_BUCKETS` of them. */
  bucketNs = BUCKET_NS;
  /** One past the newest bucket. */
  length = 0;
  private readonly columns: Record<RollupNumber, Float32Array>;

  constructor(private readonly capacity = MAX_BUCKETS) {
    const column = () => new Float32Array(capacity).fill(NaN);
    this.columns = {
      batches: column(),
      samples: column(),
      bytes: column(),
      wait_ns: column(),
      step_ns: column(),
      lost: column(),
    };
  }

  clear(): void {
    this.length = 0;
    for (const name of NUMBERS) this.columns[name].fill(NaN);
  }

  push(rows: RollupColumns, unitNs: number): void {
    if (unitNs !== this.bucketNs) {
      this.clear();
      this.bucketNs = unitNs;
    }
    for (let row = 0; row < rows.bucket.length; row += 1) {
      const bucket = rows.bucket[row]!;
      if (bucket >= this.capacity) continue;
      for (const name of NUMBERS) this.columns[name][bucket] = rows[name][row]!;
      if (bucket >= this.length) this.length = bucket + 1;
    }
  }

  /** NaN: not measured. */
  get(name: RollupNumber, bucket: number): number {
    return this.columns[name][bucket] ?? NaN;
  }

  /** The sum of the buckets from `first` up to, not including, `last`; what was not measured counts as nothing. */
  sum(name: RollupNumber, first: number, last: number): number {
    const column = this.columns[name];
    let total = 0;
    for (let bucket = Math.max(0, first); bucket < Math.min(this.length, last); bucket += 1) {
      const value = column[bucket]!;
      if (value === value) total += value;
    }
    return total;
  }

  /**
   * A number per second in the buckets from `first` to `last`. A few batches fall on a bucket of 100 ms, now three, now
   * four: so at least half a second that ends with `last` is taken, or the curve would show that and little else.
   */
  rate(name: RollupNumber, first: number, last: number): number {
    const from = Math.max(0, Math.min(first, last - Math.max(1, Math.round(SMOOTHED_NS / this.bucketNs))));
    return (this.sum(name, from, last) * 1e9) / ((last - from) * this.bucketNs);
  }

  get endNs(): number {
    return this.length * this.bucketNs;
  }
}
