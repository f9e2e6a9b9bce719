/** What lies over the spans and the strips alike: what was not received, what was changed, and the run's edges. */
import { moment, number } from "../i18n/format";
import type { Gap } from "./gaps";
import type { Palette } from "./palette";
import type { Surface } from "./surface";
import { texture } from "./textures";
import type { TimeScale } from "./time-scale";

export interface Mark {
  readonly ns: number;
  readonly text: string;
}

/** Hatches a stretch of time and says in words why it is empty. */
export function paintMissing(surface: Surface, palette: Palette, scale: TimeScale, fromNs: number, toNs: number, text: string): void {
  const { context, width, height } = surface;
  const from = Math.max(0, scale.toPx(fromNs));
  const to = Math.min(width, Math.max(scale.toPx(toNs), scale.toPx(fromNs) + 2));
  if (to <= 0 || from >= width) return;
  context.fillStyle = texture(context, "missing", palette.rule, palette.sunken);
  context.fillRect(from, 0, to - from, height);
  if (text === "") return;
  context.font = `500 11px ${palette.font}`;
  context.textBaseline = "top";
  const wanted = context.measureText(text).width;
  if (to - from < wanted + 16) return;
  context.fillStyle = palette.sunken;
  context.fillRect(from + 6, 6, wanted + 8, 16);
  context.fillStyle = palette.quiet;
  context.fillText(text, from + 10, 9);
}

export function paintGaps(surface: Surface, palette: Palette, scale: TimeScale, gaps: readonly Gap[], text: (gap: Gap) => string): void {
  for (const gap of gaps) paintMissing(surface, palette, scale, gap.fromNs, gap.toNs, text(gap));
}

/** A line where a setting was changed; its words stand on the lanes' canvas only. */
export function paintMarks(surface: Surface, palette: Palette, scale: TimeScale, marks: readonly Mark[], withText: boolean): void {
  const { context, width, height } = surface;
  // Where two changes are close, the words of the second stand one row lower.
  const free = Array.from({ length: MARK_ROWS }, () => -Infinity);
  context.font = `600 10.5px ${palette.font}`;
  context.textBaseline = "middle";
  for (const { ns, text } of marks) {
    const x = Math.round(scale.toPx(ns));
    if (x > width) continue;
    context.fillStyle = palette.accent;
    context.fillRect(x, 0, 1, height);
    const row = free.findIndex((right) => x > right);
    if (!withText || row < 0) continue;
    const wanted = context.measureText(text).width + 10;
    context.fillRect(x, row * MARK_ROW_PX, wanted, MARK_ROW_PX - 1);
    context.fillStyle = palette.surface;
    context.fillText(text, x + 5, row * MARK_ROW_PX + 8);
    free[row] = x + wanted + 4;
  }
}

const MARK_ROWS = 3;
const MARK_ROW_PX = 16;

/** A sentence in the middle of a strip that has nothing to show. */
export function paintWords({ context, width, height }: Surface, palette: Palette, text: string): void {
  context.font = `11px ${palette.font}`;
  context.textBaseline = "middle";
  context.textAlign = "center";
  context.fillStyle = palette.quiet;
  context.fillText(text, width / 2, height / 2);
  context.textAlign = "left";
}

/** Time before the run began. */
export function paintBefore({ context, height }: Surface, palette: Palette, scale: TimeScale): void {
  const x = scale.toPx(0);
  if (x <= 0) return;
  context.fillStyle = palette.sunken;
  context.fillRect(0, 0, x, height);
}

/** The newest moment that is known: to its right nothing has happened yet. */
export function paintEdge({ context, width, height }: Surface, palette: Palette, scale: TimeScale, newestNs: number): void {
  const x = scale.toPx(newestNs);
  if (x >= width) return;
  context.fillStyle = palette.sunken;
  context.fillRect(Math.max(0, x), 0, width, height);
  context.fillStyle = palette.rule;
  context.fillRect(Math.round(x), 0, 1, height);
}

export function paintRuler(surface: Surface, palette: Palette, scale: TimeScale, ticks: readonly { ns: number; major: boolean }[], stepNs: number): void {
  const { context, height } = surface;
  context.font = `11px ${palette.font}`;
  context.textBaseline = "middle";
  for (const { ns, major } of ticks) {
    const x = Math.round(scale.toPx(ns));
    context.fillStyle = palette.rule;
    context.fillRect(x, major ? height - 8 : height - 4, 1, major ? 8 : 4);
    if (!major) continue;
    context.fillStyle = palette.quiet;
    context.fillText(ns === 0 ? `${number(0)}\u202fs` : moment(ns, stepNs), x + 4, height / 2);
  }
}

export function paintGrid({ context, height }: Surface, palette: Palette, scale: TimeScale, ticks: readonly { ns: number; major: boolean }[]): void {
  context.fillStyle = palette.rule;
  context.globalAlpha = 0.55;
  for (const { ns, major } of ticks) if (major) context.fillRect(Math.round(scale.toPx(ns)), 0, 1, height);
  context.globalAlpha = 1;
}
