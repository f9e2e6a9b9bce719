/** The colours of the canvas, read from the page's own style, so that there is one place for them: style/tokens.css. */
import { PAINTS, type Paint } from "./paints";

export interface Palette {
  readonly paint: readonly string[];
  /** Text on a span of each paint. */
  readonly onPaint: readonly string[];
  /** The same colours as 0xAABBGGRR, for pixels. */
  readonly pixel: Uint32Array;
  readonly surface: string;
  readonly sunken: string;
  readonly text: string;
  readonly quiet: string;
  readonly rule: string;
  readonly accent: string;
  readonly font: string;
}

/** How a paint looks besides its colour: colour is never alone. */
export const TEXTURE: Readonly<Record<Paint, "solid" | "hatch" | "dots" | "lines" | "grid" | "outline">> = {
  waiting: "outline",
  blocked: "hatch",
  main: "solid",
  read: "solid",
  decode: "solid",
  transform: "solid",
  collate: "solid",
  transfer: "dots",
  step: "solid",
  forward: "solid",
  backward: "lines",
  optimizer: "grid",
  observer: "dots",
  mark: "outline",
  error: "solid",
};

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const token = (name: string) => style.getPropertyValue(name).trim();
  // Forced colours take the ground, the text and the lines; the paints stay, for they are what the picture says.
  const forced = matchMedia("(forced-colors: active)").matches;
  const paint = PAINTS.map((name) => token(`--paint-${name}`));
  return {
    paint,
    onPaint: paint.map((colour) => (luminance(colour) > 0.3 ? "#111" : "#fff")),
    pixel: Uint32Array.from(paint, toPixel),
    surface: forced ? "Canvas" : token("--surface"),
    sunken: forced ? "Canvas" : token("--sunken"),
    text: forced ? "CanvasText" : token("--text"),
    quiet: forced ? "CanvasText" : token("--text-quiet"),
    rule: forced ? "GrayText" : token("--rule"),
    accent: forced ? "Highlight" : token("--accent"),
    font: token("--font"),
  };
}

/** Red, green and blue, 0..255. Builds shorten `#dddddd` to `#ddd`. */
export function channels(hex: string): [number, number, number] {
  const digits = hex.length === 4 ? [...hex.slice(1)].map((digit) => digit + digit).join("") : hex.slice(1);
  const value = Number.parseInt(digits, 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

function toPixel(hex: string): number {
  const [red, green, blue] = channels(hex);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Relative luminance, WCAG 2.2. */
export function luminance(hex: string): number {
  const [red, green, blue] = channels(hex).map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
