/** Copies a draw list to the screen: the only file that knows how a span looks. */
import type { Arrow } from "./arrow";
import { paintArrow } from "./arrow-painter";
import { MIN_LABEL_PX, Rects, type DrawList, type Label } from "./draw-list";
import type { LaneRow, Layout } from "./layout";
import { TEXTURE, type Palette } from "./palette";
import { ERROR, Level, PAINTS } from "./paints";
import type { SpanStore } from "./span-store";
import { paintRaster } from "./raster-painter";
import type { Surface } from "./surface";
import { texture } from "./textures";
import type { TimeScale } from "./time-scale";

/** Samples lie below the named stages as a tint of the same colour. */
const TINT_ALPHA = 0.3;
/** Everything but the selected batch. */
const DIMMED_ALPHA = 0.26;
/** Below this width an outline is all border: it is filled instead. */
const MIN_OUTLINE_PX = 4;

export interface LanesPicture {
  readonly list: DrawList;
  readonly store: SpanStore;
  readonly layout: Layout;
  readonly scale: TimeScale;
  readonly palette: Palette;
  /** The text on a span, as short as its width asks for. */
  readonly label: (slot: number, widthPx: number) => string;
  /** Slots of the selected batch, in order; empty: none is selected. */
  readonly journey: readonly number[];
  /** From a wait to what it waited for; it takes the place of the line along the journey. */
  readonly arrow: Arrow | null;
  /** What alone stays in full colour: paints by number; null: all of them. */
  readonly lit: ReadonlySet<number> | null;
  /** The slot under the keyboard's cursor; -1: none. */
  readonly cursor: number;
}

export function paintLanes(surface: Surface, picture: LanesPicture): void {
  const { context } = surface;
  const dimmed = picture.journey.length > 0 || picture.arrow !== null;
  paintRows(surface, picture);
  context.globalAlpha = dimmed ? DIMMED_ALPHA : 1;
  paintSpans(surface, picture);
  context.globalAlpha = 1;
  if (!dimmed && !picture.lit) paintLabels(surface, picture, picture.list.labels);
  if (dimmed) paintJourney(surface, picture);
  paintAlarms(surface, picture);
  if (picture.arrow) paintArrow(surface, picture.palette, picture.arrow);
  else if (picture.cursor >= 0) paintCursor(surface, picture);
}

function paintRows({ context, width }: Surface, { layout, palette }: LanesPicture): void {
  context.fillStyle = palette.rule;
  for (const row of layout.rows) context.fillRect(0, row.y + row.height - 1, width, 1);
}

function paintSpans(surface: Surface, picture: LanesPicture): void {
  const { context } = surface;
  const { list, palette, lit } = picture;
  const whole = context.globalAlpha;
  const alphaOf = (paint: number) => (lit && !lit.has(paint) ? DIMMED_ALPHA : whole);
  context.globalAlpha = lit ? DIMMED_ALPHA : whole;
  paintRaster(surface, picture.list, palette);
  list.tint.forEach((rects, paint) => {
    context.globalAlpha = alphaOf(paint) * TINT_ALPHA;
    fill(context, rects, palette.paint[paint]!);
  });
  list.solid.forEach((rects, paint) => {
    context.globalAlpha = alphaOf(paint);
    paintGroup(context, rects, paint, palette);
  });
  context.globalAlpha = whole;
}

function paintGroup(context: CanvasRenderingContext2D, rects: Rects, paint: number, palette: Palette): void {
  if (rects.count === 0) return;
  const colour = palette.paint[paint]!;
  const look = TEXTURE[PAINTS[paint]!];
  switch (look) {
    case "solid":
      return fill(context, rects, colour);
    case "hatch":
    case "dots":
    case "lines":
    case "grid":
      return fill(context, rects, texture(context, look, colour, palette.surface));
    case "outline":
      return outline(context, rects, colour);
  }
}

function fill(context: CanvasRenderingContext2D, { values, count }: Rects, style: string | CanvasPattern): void {
  context.fillStyle = style;
  for (let at = 0; at < count * 4; at += 4) {
    context.fillRect(values[at]!, values[at + 1]!, values[at + 2]!, values[at + 3]!);
  }
}

function outline(context: CanvasRenderingContext2D, { values, count }: Rects, colour: string): void {
  context.fillStyle = colour;
  context.strokeStyle = colour;
  context.lineWidth = 1;
  for (let at = 0; at < count * 4; at += 4) {
    const [x, y, width, height] = [values[at]!, values[at + 1]!, values[at + 2]!, values[at + 3]!];
    if (width < MIN_OUTLINE_PX) context.fillRect(x, y, width, height);
    else context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  }
}

function paintLabels({ context }: Surface, { store, palette, label }: LanesPicture, labels: DrawList["labels"]): void {
  context.font = `500 10.5px ${palette.font}`;
  context.textBaseline = "middle";
  for (const { slot, x, y, width } of labels) {
    const text = label(slot, width);
    if (text === "") continue;
    const paint = store.paint[slot]!;
    const isSolid = TEXTURE[PAINTS[paint]!] === "solid";
    context.fillStyle = isSolid ? palette.onPaint[paint]! : palette.text;
    if (!isSolid && TEXTURE[PAINTS[paint]!] !== "outline") knockOut(context, palette.surface, text, x, y);
    context.fillText(text, x + 5, y + 0.5);
  }
}

/** A plain ground for text on a texture. */
function knockOut(context: CanvasRenderingContext2D, ground: string, text: string, x: number, y: number): void {
  const colour = context.fillStyle;
  context.fillStyle = ground;
  context.fillRect(x + 3, y - 6, context.measureText(text).width + 4, 12);
  context.fillStyle = colour;
}

/** The selected batch in full colour, its spans joined by a line from lane to lane, or by the arrow. */
function paintJourney(surface: Surface, picture: LanesPicture): void {
  const { context, width } = surface;
  const { store, layout, scale, palette, journey } = picture;
  const rows = new Map(layout.rows.map((row) => [row.lane.lane, row]));
  if (!picture.arrow) paintJourneyLine(context, picture, rows);
  const labels: Label[] = [];
  for (const slot of journey) {
    const row = rows.get(store.lane[slot]!);
    const level = store.level(slot);
    if (!row || level === Level.MARK) continue;
    const from = scale.toPx(store.start[slot]!);
    const to = scale.toPx(store.end[slot]!);
    if (to < 0 || from > width) continue;
    const isSpan = level === Level.SPAN;
    one.count = 0;
    one.push(from, isSpan ? row.spanY : row.partY, Math.max(1.5, to - from - 1), isSpan ? row.spanHeight : row.partHeight);
    context.globalAlpha = level === Level.PART ? TINT_ALPHA : 1;
    paintGroup(context, one, store.paint[slot]!, palette);
    context.globalAlpha = 1;
    if (isSpan && to - from >= MIN_LABEL_PX) {
      const x = Math.max(0, from);
      labels.push({ slot, x, y: row.spanY + row.spanHeight / 2, width: Math.min(width, to) - x });
    }
  }
  paintLabels(surface, picture, labels);
}

const one = new Rects();

function paintJourneyLine(context: CanvasRenderingContext2D, picture: LanesPicture, rows: ReadonlyMap<number, LaneRow>): void {
  const { store, scale, palette, journey } = picture;
  context.strokeStyle = palette.accent;
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.beginPath();
  let begun = false;
  for (const slot of journey) {
    const row = rows.get(store.lane[slot]!);
    if (!row || store.level(slot) !== Level.SPAN) continue;
    const y = row.spanY + row.spanHeight / 2;
    const from = scale.toPx(store.start[slot]!);
    if (begun) context.lineTo(from, y);
    else context.moveTo(from, y);
    context.lineTo(scale.toPx(store.end[slot]!), y);
    begun = true;
  }
  context.stroke();
}

/** An error or a death: a line through its lane with a flag that no neighbour can hide. */
function paintAlarms({ context }: Surface, { list, palette }: LanesPicture): void {
  const { values, count } = list.alarms;
  context.fillStyle = palette.paint[ERROR]!;
  for (let at = 0; at < count * 4; at += 4) {
    const [x, y, , height] = [values[at]!, values[at + 1]!, values[at + 2]!, values[at + 3]!];
    context.fillRect(x - 1, y, 2, height - 1);
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + 9, y + 4.5);
    context.lineTo(x, y + 9);
    context.fill();
  }
}

function paintCursor({ context }: Surface, { store, layout, scale, palette, cursor }: LanesPicture): void {
  const row = layout.rows.find(({ lane }) => lane.lane === store.lane[cursor]);
  if (!row) return;
  const isSpan = store.level(cursor) === Level.SPAN;
  const y = isSpan ? row.spanY : row.partY;
  const height = isSpan ? row.spanHeight : row.partHeight;
  const from = scale.toPx(store.start[cursor]!);
  const to = Math.max(from + 3, scale.toPx(store.end[cursor]!));
  context.strokeStyle = palette.surface;
  context.lineWidth = 4;
  context.strokeRect(from - 1, y - 1, to - from + 1, height + 2);
  context.strokeStyle = palette.accent;
  context.lineWidth = 2;
  context.strokeRect(from - 1, y - 1, to - from + 1, height + 2);
}
