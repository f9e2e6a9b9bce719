/** What a sample is, where a batch that it was in was looked at: its picture or its text. */
import { Thumbnail } from "../../parts/thumbnail";
import { openRunId, previews } from "../../store/run";
import { found } from "./sample-previews";

export function SampleContents({ sample }: { readonly sample: number }) {
  const at = found(previews.value, sample);
  if (!at) return null;
  const { preview, place } = at;
  const label = preview.labels[place] ?? "";
  if (preview.sheet && place < preview.tiles) {
    return (
      <figure class="thumb sample-thumb">
        <Thumbnail run={openRunId.value} preview={preview} tile={place} />
        {label !== "" && <figcaption title={label}>{label}</figcaption>}
      </figure>
    );
  }
  const text = preview.texts[place] ?? label;
  return text === "" ? null : <p class="sample-text">{text}</p>;
}
