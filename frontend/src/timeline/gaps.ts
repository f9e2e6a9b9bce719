/** Stretches of run time of which spans were not received, because this page was too slow or away. */
export interface Gap {
  readonly fromNs: number;
  readonly toNs: number;
  readonly spans: number;
}

/** More gaps than this are merged into the oldest: the picture stays true, only coarser. */
const MAX_GAPS = 256;

export class Gaps {
  private list: Gap[] = [];
  total = 0;

  clear(): void {
    this.list = [];
    this.total = 0;
  }

  add(fromNs: number, toNs: number, spans: number): void {
    this.total += spans;
    this.list.push({ fromNs, toNs: Math.max(fromNs, toNs), spans });
    if (this.list.length > MAX_GAPS) {
      const [first, second, ...rest] = this.list;
      this.list = [{ fromNs: first!.fromNs, toNs: second!.toNs, spans: first!.spans + second!.spans }, ...rest];
    }
  }

  get all(): readonly Gap[] {
    return this.list;
  }
}
