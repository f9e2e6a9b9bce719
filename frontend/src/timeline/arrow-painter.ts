/** Draws the arrow of a stall over the lanes: what it joins is outlined, its line stands on a ground of its own. */
import type { Arrow } from "./arrow";
import type { Palette } from "./palette";
import type { Surface } from "./surface";

const HEAD_PX = 8;
const LINE_PX = 2;
/** The line keeps this much distance on either side, so that it can be told from the spans that it crosses. */
const HALO_PX = 2;

export function paintArrow({ context }: Surface, palette: Palette, { boxes, curve, down }: Arrow): void {
  const [from, bendFrom, bendTo, to] = curve;
  const neck = to[1] - down * (HEAD_PX - 1);
  for (const [colour, extra] of [
    [palette.surface, HALO_PX],
    [palette.accent, 0],
  ] as const) {
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.lineJoin = "round";
    context.lineWidth = LINE_PX + 2 * extra;
    for (const [x, y, width, height] of boxes) context.strokeRect(x - 1, y - 1, width + 2, height + 2);
    context.beginPath();
    context.moveTo(...from);
    context.bezierCurveTo(...bendFrom, bendTo[0], bendTo[1] - down * HEAD_PX, to[0], neck);
    context.stroke();
    context.beginPath();
    context.moveTo(to[0], to[1] + down * extra);
    context.lineTo(to[0] - HEAD_PX * 0.6 - extra, neck - down * extra);
    context.lineTo(to[0] + HEAD_PX * 0.6 + extra, neck - down * extra);
    context.fill();
    context.beginPath();
    context.arc(from[0], from[1], 3 + extra, 0, 2 * Math.PI);
    context.fill();
  }
}
