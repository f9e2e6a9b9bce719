/** The timeline's picture: reads the stores and draws all canvases on one time axis, in one go. */
import { effect, signal, type ReadonlySignal } from "@preact/signals";
import { t, tOr } from "../i18n";
import { number } from "../i18n/format";
import { contrastRevision, isDark, language } from "../store/preferences";
import { gaps, inFlight, newestNs, ready, revision, rollup, shown, spans, kinds } from "../store/recording";
import { changes, isLive } from "../store/run";
import { blame, litKinds, selectedBatch, selectedSlot } from "../store/selection";
import { loading } from "../store/past";
import { spanNs, startNs } from "../store/window";
import { NO_BATCH, type Lane } from "../wire";
import { arrowOf } from "./arrow";
import { changeTexts } from "./change-text";
import { DrawList, build } from "./draw-list";
import { forget, invalidate } from "./frames";
import { paintLanes } from "./lanes-painter";
import { layOut, type Layout } from "./layout";
import { paintBefore, paintEdge, paintGaps, paintGrid, paintMarks, paintMissing, paintRuler, paintWords } from "./overlay-painter";
import { addOpen } from "./open-spans";
import { readPalette, type Palette } from "./palette";
import { Level } from "./paints";
import { paintOverview, paintQueue, paintThroughput, peakThroughput } from "./strips-painter";
import { prepare, type Surface } from "./surface";
import { TimeScale, ticks } from "./time-scale";

export interface Canvases {
  readonly overview: HTMLCanvasElement;
  readonly ruler: HTMLCanvasElement;
  readonly lanes: HTMLCanvasElement;
  readonly queue: HTMLCanvasElement;
  readonly throughput: HTMLCanvasElement;
}

const TICK_LABEL_PX = 96;
const CHARACTER_PX = 6.2;

/** The layout of the newest picture: labels beside the canvas follow it. */
export const layout = signal<Layout>({ rows: [], height: 0 });
/** Height that the lanes may take without scrolling. */
export const availablePx = signal(300);
/** Width of the time axis. */
export const axisPx = signal(800);
/** The scale of the newest picture, for whoever turns a pointer into a time. */
export const scale = signal(new TimeScale(0, 4e9, 800));

export class Scene {
  private readonly list = new DrawList();
  private readonly stop: () => void;
  private palette: Palette;

  constructor(
    private readonly canvases: Canvases,
    private readonly lanes: ReadonlySignal<readonly Lane[]>,
  ) {
    this.palette = readPalette(document.documentElement);
    const repaint = effect(() => {
      void [isDark.value, contrastRevision.value];
      // The style of the new theme is in force only after the document took it.
      queueMicrotask(() => {
        this.palette = readPalette(document.documentElement);
        invalidate(this.draw);
      });
    });
    const redraw = effect(() => {
      void [shown.value, revision.value, newestNs.value, startNs.value, spanNs.value, this.lanes.value, changes.value, language.value, isLive.value];
      void [selectedBatch.value, selectedSlot.value, blame.value, litKinds.value, loading.value, availablePx.value, axisPx.value];
      invalidate(this.draw);
    });
    this.stop = () => {
      repaint();
      redraw();
      forget(this.draw);
    };
  }

  close(): void {
    this.stop();
  }

  /** All canvases as one picture, for an export. */
  snapshot(): { readonly canvases: Canvases; readonly palette: Palette } {
    this.draw();
    return { canvases: this.canvases, palette: this.palette };
  }

  private readonly draw = (): void => {
    const next = layOut(this.lanes.value, (lane) => shown.value.hasLevel(lane, Level.PART) || shown.value.hasLevel(lane, Level.STAGE), availablePx.value);
    if (next.height !== layout.value.height || next.rows.length !== layout.value.rows.length) {
      // The canvas takes its new height from the layout; it is right before it is drawn on.
      layout.value = next;
      this.canvases.lanes.style.height = `${next.height}px`;
    } else {
      layout.value = next;
    }
    const axis = new TimeScale(startNs.value, spanNs.value, this.canvases.ruler.clientWidth || axisPx.value);
    scale.value = axis;
    const ruled = ticks(axis, TICK_LABEL_PX);
    const peak = peakThroughput(rollup);
    this.on(this.canvases.ruler, (surface) => paintRuler(surface, this.palette, axis, ruled.ticks, ruled.stepNs));
    this.on(this.canvases.lanes, (surface) => this.drawLanes(surface, axis, next, ruled.ticks));
    this.on(this.canvases.queue, (surface) => {
      this.ground(surface, axis, ruled.ticks);
      if (ready.size + inFlight.size > 0) paintQueue(surface, this.palette, axis, ready, inFlight, newestNs.value);
      else paintWords(surface, this.palette, spans.size > 0 ? t("strip.not_measured") : "");
      this.over(surface, axis, false);
    });
    this.on(this.canvases.throughput, (surface) => {
      this.ground(surface, axis, ruled.ticks);
      paintThroughput(surface, this.palette, axis, rollup, peak);
      this.over(surface, axis, false);
    });
    this.on(this.canvases.overview, (surface) => {
      const whole = paintOverview(surface, this.palette, rollup, newestNs.value, peak);
      paintMarks(surface, this.palette, whole, this.marks(), false);
    });
  };

  private drawLanes(surface: Surface, axis: TimeScale, next: Layout, ruled: readonly { ns: number; major: boolean }[]): void {
    this.ground(surface, axis, ruled);
    build(this.list, shown.value, next, axis, surface.ratio);
    if (isLive.value && shown.value === spans) addOpen(this.list, spans, next, axis, kinds, newestNs.value);
    paintLanes(surface, {
      list: this.list,
      store: shown.value,
      layout: next,
      scale: axis,
      palette: this.palette,
      label: labelOf,
      journey: journey(),
      arrow: blame.value && arrowOf(blame.value, next, axis),
      lit: litKinds.value ? kinds.paintsOf(litKinds.value) : null,
      cursor: selectedSlot.value,
    });
    if (shown.value === spans) this.drawMissing(surface, axis);
    this.over(surface, axis, true);
  }

  /** What the live store lacks. A window that was loaded from the recording lacks nothing. */
  private drawMissing(surface: Surface, axis: TimeScale): void {
    const why = t(loading.value ? "timeline.loading" : "timeline.only_totals");
    if (spans.heldFromNs > 0) paintMissing(surface, this.palette, axis, 0, spans.heldFromNs, why);
    paintGaps(surface, this.palette, axis, gaps.all, (gap) => t("timeline.not_received", { count: number(gap.spans) }));
  }

  private ground(surface: Surface, axis: TimeScale, ruled: readonly { ns: number; major: boolean }[]): void {
    paintBefore(surface, this.palette, axis);
    paintEdge(surface, this.palette, axis, newestNs.value);
    paintGrid(surface, this.palette, axis, ruled);
  }

  private over(surface: Surface, axis: TimeScale, withText: boolean): void {
    paintMarks(surface, this.palette, axis, this.marks(), withText);
  }

  private marks() {
    const texts = changeTexts(changes.value);
    return changes.value.map((change, index) => ({ ns: change.at_ns, text: texts[index]! }));
  }

  private on(canvas: HTMLCanvasElement, paint: (surface: Surface) => void): void {
    const surface = prepare(canvas);
    if (surface) paint(surface);
  }
}

/** The spans in full colour: those of the selected batch, and of the batch that is to blame for its delay. */
function journey(): readonly number[] {
  const ids = [selectedBatch.value, blame.value?.batch ?? null].filter((id) => id !== null);
  const isOne = ids.length < 2 || (ids[0]!.batch === ids[1]!.batch && ids[0]!.epoch === ids[1]!.epoch);
  return (isOne ? ids.slice(0, 1) : ids).flatMap((id) => shown.value.ofBatch(id.epoch, id.batch));
}

/** The words on a span: its batch, and its kind's name if there is room. */
function labelOf(slot: number, widthPx: number): string {
  const room = Math.floor((widthPx - 9) / CHARACTER_PX);
  const batch = shown.value.batch[slot]!;
  const short = batch === NO_BATCH ? "" : String(batch);
  const info = kinds.get(shown.value.kind[slot]!);
  const name = info ? tOr(`kind.${info.name}.name`, info.name) : "";
  if (info?.nature === "wait") return name.length <= room ? name : "";
  const long = short === "" ? name : `${name} ${short}`;
  if (long.length <= room) return long;
  return short.length <= room ? short : "";
}
