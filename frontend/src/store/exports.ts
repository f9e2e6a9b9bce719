/** Files made by the page itself: the rows in view as CSV, and the timeline as a picture. */
import { getSpans } from "../api";
import { t } from "../i18n";
import { decodeFrame } from "../socket/frames";
import { layout, type Canvases, type Scene } from "../timeline/scene";
import { laneLabel, runName } from "../words";
import { Flag, NOT_MEASURED, NO_BATCH } from "../wire";
import { csv } from "./csv";
import { say } from "./messages";
import { describe } from "./problems";
import { kinds, spans } from "./recording";
import { lanes, openRunId, run } from "./run";
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
const NAMES_PX = 116;
const TITLE_PX = 20;

/** The canvases one below the other, with the lanes' names and what must be said of them. */
export function downloadPicture(scene: Scene | null): void {
  if (!scene) return;
  const { canvases, palette } = scene.snapshot();
  const parts = [canvases.ruler, canvases.lanes, canvases.queue, canvases.throughput];
  const ratio = canvases.lanes.width / Math.max(1, canvases.lanes.clientWidth);
  const width = canvases.lanes.clientWidth + NAMES_PX + 2 * MARGIN_PX;
  const height = parts.reduce((sum, part) => sum + part.clientHeight, 0) + TITLE_PX + 2 * MARGIN_PX;
  const picture = document.createElement("canvas");
  picture.width = width * ratio;
  picture.height = height * ratio;
  const brush = picture.getContext("2d");
  if (!brush) return;
  brush.scale(ratio, ratio);
  brush.fillStyle = palette.surface;
  brush.fillRect(0, 0, width, height);
  brush.font = `11px ${palette.font}`;
  brush.textBaseline = "middle";
  brush.fillStyle = palette.text;
  brush.fillText(`Loaderscope · ${run.value ? runName(run.value) : openRunId.value} · ${openRunId.value}`, MARGIN_PX, MARGIN_PX + TITLE_PX / 2);
  let y = MARGIN_PX + TITLE_PX;
  for (const part of parts) {
    brush.drawImage(part, MARGIN_PX + NAMES_PX, y, part.clientWidth, part.clientHeight);
    for (const [name, at] of namesOf(part, canvases)) brush.fillText(name, MARGIN_PX, y + at);
    y += part.clientHeight;
  }
  picture.toBlob((blob) => blob && save(blob, `${openRunId.value}.png`));
}

/** The words beside a canvas, and how far down they stand. */
function namesOf(part: HTMLCanvasElement, canvases: Canvases): [name: string, at: number][] {
  const middle = part.clientHeight / 2;
  if (part === canvases.queue) return [[`${t("strip.ready")} / ${t("strip.in_flight")}`, middle]];
  if (part === canvases.throughput) return [[t("strip.throughput"), middle]];
  if (part !== canvases.lanes) return [];
  return layout.value.rows.map(({ lane, y, height }) => {
    const isSimulated = (spans.laneFlags[lane.lane]! & Flag.SIMULATED) !== 0;
    return [`${laneLabel(lane)}${isSimulated ? ` · ${t("flag.simulated")}` : ""}`, y + height / 2];
  });
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
