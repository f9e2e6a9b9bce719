/**
 * Copies dense rows to the screen, with the textures that single spans have: blocked is hatched, waiting is a pale
 * field between two lines. So a wait is lighter than work here too, and not told by its colour alone.
 */
import type { DrawList, RasterRow } from "./draw-list";
import type { Palette } from "./palette";
import { BLOCKED, WAITING } from "./paints";
import type { Raster } from "./raster";
import type { Surface } from "./surface";

/** A row of the picture is this many pixels high: half the work, and not to be seen in a hatching. */
const LINE_PX = 2;
const HATCH_PX = 6;
const WAITING_ALPHA = 0x60;

let scratch: HTMLCanvasElement | null = null;
let kept: ImageData | null = null;

export function paintRaster({ context, width }: Surface, list: DrawList, palette: Palette): void {
  const { raster, rasterRows } = list;
  if (rasterRows.length === 0) return;
  const lines = rasterRows.map(({ height }) => Math.max(3, Math.round(height / LINE_PX)));
  const image = emptyImage(raster.width, lines.reduce((sum, count) => sum + count, 0));
  const pixels = new Uint32Array(image.data.buffer);
  scratch ??= document.createElement("canvas");
  if (scratch.width < image.width || scratch.height < image.height) {
    scratch.width = Math.max(scratch.width, image.width);
    scratch.height = Math.max(scratch.height, image.height);
  }
  const brush = scratch.getContext("2d");
  if (!brush) return;
  let line = 0;
  rasterRows.forEach((row, index) => {
    fillLines(pixels, line, lines[index]!, raster, row, palette);
    line += lines[index]!;
  });
  brush.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  line = 0;
  rasterRows.forEach(({ y, height }, index) => {
    context.drawImage(scratch!, 0, line, raster.width, lines[index]!, 0, y, width, height);
    line += lines[index]!;
  });
}

function fillLines(pixels: Uint32Array, first: number, count: number, raster: Raster, { row }: RasterRow, palette: Palette): void {
  const { width } = raster;
  const source = raster.pixels.subarray(row * width, (row + 1) * width);
  const begin = first * width;
  for (let x = 0; x < width; x += 1) {
    const paint = source[x]! - 1;
    if (paint < 0 || paint === BLOCKED) continue;
    const colour = palette.pixel[paint]!;
    pixels[begin + x] = paint === WAITING ? ((colour & 0xffffff) | (WAITING_ALPHA << 24)) >>> 0 : colour;
  }
  for (let line = 1; line < count; line += 1) pixels.copyWithin(begin + line * width, begin, begin + width);
  for (let x = 0; x < width; x += 1) {
    const paint = source[x]! - 1;
    if (paint === BLOCKED) hatch(pixels, begin + x, x, count, width, palette.pixel[BLOCKED]!);
    if (paint !== WAITING) continue;
    pixels[begin + x] = palette.pixel[WAITING]!;
    pixels[begin + (count - 1) * width + x] = palette.pixel[WAITING]!;
  }
}

function hatch(pixels: Uint32Array, at: number, x: number, count: number, width: number, colour: number): void {
  for (let line = 0; line < count; line += 1) {
    if ((x + line * LINE_PX) % HATCH_PX < HATCH_PX / 2) pixels[at + line * width] = colour;
  }
}

/** An empty picture of this size: the same one again while the size stays, for it is large. */
function emptyImage(width: number, height: number): ImageData {
  if (kept?.width === width && kept.height === height) kept.data.fill(0);
  else kept = new ImageData(width, height);
  return kept;
}
