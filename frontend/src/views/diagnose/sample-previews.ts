/** Finds a sample among the batches that somebody looked at. */
import type { Preview } from "../../wire";

export interface Found {
  readonly preview: Preview;
  /** Its place within the batch. */
  readonly place: number;
}

/** The newest preview that shows the sample with this index; null if none does. */
export function found(previews: readonly Preview[], sample: number): Found | null {
  for (let at = previews.length - 1; at >= 0; at -= 1) {
    const preview = previews[at]!;
    const place = preview.indices.indexOf(sample);
    if (place < 0) continue;
    if ((preview.sheet && place < preview.tiles) || preview.texts[place] || preview.labels[place]) return { preview, place };
  }
  return null;
}
