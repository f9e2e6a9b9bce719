/** Files made by the page itself: the rows in view as CSV, and the timeline as a picture. */
import { getSpans } from "../api";
import { t } from "../i18n";
import { decodeFrame } from "../socket/frames";
import type { Scene } from "../timeline/scene";
import { Flag, NOT_MEASURED, NO_BATCH } from "../wire";
import { csv } from "./csv";
import { say } from "./messages";
import { describe } from "./problems";
import { kinds } from "./recording";
import { lanes, openRunId } from "./run";
import { endNs, startNs } from "./window";

/** The spans of the window, asked from the server: it has all of them, the page only the newest. */
export async function downloadCsv(): Promise<void> {
  try {
    const frame = decodeFrame(await getSpans(openRunId.value, Math.max(0, startNs.value), endNs.value));
    if (frame.type !== "spans") return;
    const { columns, header } = frame;
    const labels = new Map(lanes.value.map(({ lane, label }) => [lane, label]));
    const blank = (value: number, missing: number) => (value === missing ? "" : value);
    const rows = Array.from(columns.kind, (kind, row) => {
      const start = header.base_ns + columns.start[row]! * header.unit_ns;
      return [
        labels.get(columns.lane[row]!) ?? columns.lane[row]!,
        kinds.get(kind)?.name ?? kind,
        kinds.isStage(kind) ? (kinds.stage(columns.value[row]!) ?? "") : "",
        start,
        start + columns.duration[row]! * header.unit_ns,
        columns.epoch[row]!,
        blank(columns.batch[row]!, NO_BATCH),
        blank(columns.sample[row]!, NOT_MEASURED),
        kinds.isStage(kind) ? "" : blank(columns.value[row]!, NOT_MEASURED),
        columns.flags[row]! & Flag.SIMULATED ? 1 : 0,
        columns.flags[row]! & Flag.INFERRED ? 1 : 0,
      ];
    });
    const names = ["lane", "kind", "stage", "start_ns", "end_ns", "epoch", "batch", "sample", "value", "simulated", "inferred"];
    save(new Blob([csv(names, rows)], { type: "text/csv" }), `${openRunId.value}.csv`);
    if (header.dropped > 0) say(t("export.csv_cut", { count: header.dropped }));
  } catch (error) {
    say(describe(error), { tone: "problem" });
  }
}

const MARGIN_PX = 16;

/** The canvases one below the other, on the page's ground. */
export function downloadPicture(scene: Scene | null): void {
  if (!scene) return;
  const { canvases, palette } = scene.snapshot();
  const parts = [canvases.ruler, canvases.lanes, canvases.queue, canvases.throughput];
  const ratio = canvases.lanes.width / Math.max(1, canvases.lanes.clientWidth);
  const margin = MARGIN_PX * ratio;
  const picture = document.createElement("canvas");
  picture.width = canvases.lanes.width + 2 * margin;
  picture.height = parts.reduce((sum, part) => sum + part.height, 0) + 3 * margin;
  const brush = picture.getContext("2d");
  if (!brush) return;
  brush.fillStyle = palette.surface;
  brush.fillRect(0, 0, picture.width, picture.height);
  brush.fillStyle = palette.quiet;
  brush.font = `${11 * ratio}px ${palette.font}`;
  brush.fillText(`Loaderscope · ${openRunId.value}`, margin, margin);
  let y = 1.5 * margin;
  for (const part of parts) {
    brush.drawImage(part, margin, y);
    y += part.height;
  }
  picture.toBlob((blob) => blob && save(blob, `${openRunId.value}.png`));
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
