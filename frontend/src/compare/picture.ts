/** Draws two runs on one time axis: the ruler, the lanes of both, and both throughputs over each other. */
import { number, significant } from "../i18n/format";
import { tOr } from "../i18n";
import { DrawList, build } from "../timeline/draw-list";
import { alongTheWay } from "../timeline/lane-order";
import { paintLanes } from "../timeline/lanes-painter";
import { layOut, type Layout } from "../timeline/layout";
import { niceCeiling } from "../timeline/nice";
import { paintBefore, paintEdge, paintGrid, paintRuler } from "../timeline/overlay-painter";
import type { Palette } from "../timeline/palette";
import { Level } from "../timeline/paints";
import { prepare, type Surface } from "../timeline/surface";
import { TimeScale, ticks } from "../timeline/time-scale";
import type { SpanStore } from "../timeline/span-store";
import { NO_BATCH, type ComparedRun } from "../wire";
import type { RecordedSpans } from "./recorded";
import { meanOf, type Stretch } from "./window";

const TICK_LABEL_PX = 96;
const CHARACTER_PX = 6.2;
const LANES_PX = 190;
const CURVE_TOP_PX = 6;
const DASH = [6, 4];

export interface Side {
  readonly run: ComparedRun;
  readonly spans: RecordedSpans;
  readonly offsetNs: number;
}

/** Where the lanes of a run lie: the same for the canvas and for the names beside it. */
export function layoutOf(run: ComparedRun, store: SpanStore | null): Layout {
  const hasParts = (lane: number) => store !== null && (store.hasLevel(lane, Level.PART) || store.hasLevel(lane, Level.STAGE));
  return layOut(alongTheWay(run.lanes), hasParts, LANES_PX);
}

export function drawRuler(canvas: HTMLCanvasElement, palette: Palette, stretch: Stretch): void {
  const surface = prepare(canvas);
  if (!surface) return;
  const scale = new TimeScale(stretch.startNs, stretch.spanNs, surface.width);
  const ruled = ticks(scale, TICK_LABEL_PX);
  paintRuler(surface, palette, scale, ruled.ticks, ruled.stepNs);
}

export function drawLanes(canvas: HTMLCanvasElement, list: DrawList, palette: Palette, stretch: Stretch, side: Side): void {
  const surface = prepare(canvas);
  if (!surface) return;
  const scale = new TimeScale(stretch.startNs + side.offsetNs, stretch.spanNs, surface.width);
  ground(surface, palette, stretch, side.run.run.duration_ns, scale);
  const store = side.spans.store.peek();
  if (!store) return;
  const layout = layoutOf(side.run, store);
  build(list, store, layout, scale, surface.ratio);
  const label = (slot: number, widthPx: number) => labelOf(side.spans, store, slot, widthPx);
  paintLanes(surface, { list, store, layout, scale, palette, label, journey: [], arrow: null, lit: null, cursor: -1 });
}

function ground(surface: Surface, palette: Palette, stretch: Stretch, endNs: number, own: TimeScale): void {
  paintBefore(surface, palette, own);
  paintEdge(surface, palette, own, endNs);
  // The grid is the common axis's: the same lines go through both runs.
  const common = new TimeScale(stretch.startNs, stretch.spanNs, surface.width);
  paintGrid(surface, palette, common, ticks(common, TICK_LABEL_PX).ticks);
}

/** The words on a span: its batch, and its kind's name if there is room. */
function labelOf(spans: RecordedSpans, store: SpanStore, slot: number, widthPx: number): string {
  const room = Math.floor((widthPx - 9) / CHARACTER_PX);
  const batch = store.batch[slot]!;
  const short = batch === NO_BATCH ? "" : String(batch);
  const info = spans.kinds.get(store.kind[slot]!);
  const name = info ? tOr(`kind.${info.name}.name`, info.name) : "";
  const long = short === "" || info?.nature === "wait" ? name : `${name} ${short}`;
  if (long.length <= room) return long;
  return info?.nature !== "wait" && short.length <= room ? short : "";
}

/** Both throughputs: the first run as a line, the second dashed. */
export function drawCurves(canvas: HTMLCanvasElement, palette: Palette, stretch: Stretch, sides: readonly [Side, Side]): void {
  const surface = prepare(canvas);
  if (!surface) return;
  const { context, width, height } = surface;
  const scale = new TimeScale(stretch.startNs, stretch.spanNs, width);
  paintGrid(surface, palette, scale, ticks(scale, TICK_LABEL_PX).ticks);
  const top = niceCeiling(Math.max(1e-9, ...sides.map(({ run }) => Math.max(0, ...run.curve.filter(Number.isFinite)))));
  const y = (value: number) => height - 1 - (value / top) * (height - CURVE_TOP_PX - 1);
  sides.forEach(({ run, offsetNs }, index) => {
    context.strokeStyle = index === 0 ? palette.text : palette.accent;
    context.lineWidth = index === 0 ? 1.5 : 2;
    context.setLineDash(index === 0 ? [] : DASH);
    context.lineJoin = "round";
    context.beginPath();
    let begun = false;
    // One point per bucket, or per two pixels where buckets are narrower.
    const stepNs = Math.max(run.bucket_ns, 2 / scale.pxPerNs);
    const first = Math.max(0, Math.floor((stretch.startNs + offsetNs) / stepNs));
    for (let at = first * stepNs; at < run.run.duration_ns && at - offsetNs <= stretch.startNs + stretch.spanNs; at += stepNs) {
      const mean = meanOf(run.curve, run.bucket_ns, at, at + stepNs);
      if (!Number.isFinite(mean)) continue;
      const x = scale.toPx(at + stepNs / 2 - offsetNs);
      if (begun) context.lineTo(x, y(mean));
      else context.moveTo(x, y(mean));
      begun = true;
    }
    context.stroke();
    context.setLineDash([]);
  });
  context.font = `10.5px ${palette.font}`;
  context.textBaseline = "top";
  context.fillStyle = palette.quiet;
  context.fillText(top >= 1 ? number(top) : significant(top), 4, 3);
}
