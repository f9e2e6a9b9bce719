/** Fills that show a paint without its colour: hatching, lines and dots, made once per colour and screen. */
const TILE = 6;
const made = new WeakMap<CanvasRenderingContext2D, Map<string, CanvasPattern>>();

type Texture = "hatch" | "dots" | "lines" | "grid" | "missing";

export function texture(context: CanvasRenderingContext2D, kind: Texture, colour: string, ground: string): CanvasPattern | string {
  let patterns = made.get(context);
  if (!patterns) made.set(context, (patterns = new Map()));
  const key = `${kind}${colour}${ground}`;
  const known = patterns.get(key);
  if (known) return known;
  const tile = document.createElement("canvas");
  tile.width = TILE;
  tile.height = TILE;
  const brush = tile.getContext("2d");
  if (!brush) return colour;
  brush.fillStyle = ground;
  brush.fillRect(0, 0, TILE, TILE);
  DRAW[kind](brush, colour);
  const pattern = context.createPattern(tile, "repeat");
  if (!pattern) return colour;
  patterns.set(key, pattern);
  return pattern;
}

const DRAW: Readonly<Record<Texture, (brush: CanvasRenderingContext2D, colour: string) => void>> = {
  hatch: (brush, colour) => stripes(brush, colour, 2),
  missing: (brush, colour) => stripes(brush, colour, 1),
  dots: (brush, colour) => {
    brush.fillStyle = colour;
    brush.fillRect(0, 0, TILE, TILE);
    brush.clearRect(1, 1, 1.5, 1.5);
    brush.clearRect(4, 4, 1.5, 1.5);
  },
  lines: (brush, colour) => {
    brush.fillStyle = colour;
    brush.fillRect(0, 0, TILE, TILE / 2 - 1);
    brush.fillRect(0, TILE / 2, TILE, TILE / 2 - 1);
  },
  grid: (brush, colour) => {
    brush.fillStyle = colour;
    brush.fillRect(0, 0, TILE, TILE);
    brush.clearRect(0, 0, 1, TILE);
    brush.clearRect(0, 0, TILE, 1);
  },
};

function stripes(brush: CanvasRenderingContext2D, colour: string, width: number): void {
  brush.strokeStyle = colour;
  brush.lineWidth = width;
  brush.beginPath();
  for (const offset of [-TILE, 0, TILE]) {
    brush.moveTo(offset - 1, TILE + 1);
    brush.lineTo(offset + TILE + 1, -1);
  }
  brush.stroke();
}
