/** One picture of a preview's sheet. */
import { sheetUrl } from "../api";
import type { Preview } from "../wire";

export function Thumbnail({ run, preview, tile }: { readonly run: string; readonly preview: Preview; readonly tile: number }) {
  const { columns, tiles } = preview;
  const rows = Math.ceil(tiles / columns);
  const place = (index: number, count: number) => (count > 1 ? (index / (count - 1)) * 100 : 0);
  return (
    <div
      class="picture"
      style={{
        backgroundImage: `url("${sheetUrl(run, preview.number)}")`,
        backgroundSize: `${columns * 100}% ${rows * 100}%`,
        backgroundPosition: `${place(tile % columns, columns)}% ${place(Math.floor(tile / columns), rows)}%`,
      }}
    />
  );
}
