/** A small curve of the newest values, from 0 (or the lowest, if `tight`) to the highest. Gaps stay gaps. */
interface Props {
  readonly values: readonly (number | null)[];
  readonly tight?: boolean;
}

const WIDTH = 100;
const HEIGHT = 16;

export function Sparkline({ values, tight = false }: Props) {
  const known = values.filter((value): value is number => value !== null);
  if (known.length < 2) return <svg class="sparkline" aria-hidden="true" />;
  const high = Math.max(...known);
  const low = tight ? Math.min(...known) : Math.min(0, ...known);
  const range = high - low || 1;
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path(values, (value) => HEIGHT - 1 - ((value - low) / range) * (HEIGHT - 2))} />
    </svg>
  );
}

function path(values: readonly (number | null)[], y: (value: number) => number): string {
  const step = WIDTH / Math.max(1, values.length - 1);
  let text = "";
  let begun = false;
  values.forEach((value, index) => {
    if (value === null) {
      begun = false;
      return;
    }
    text += `${begun ? "L" : "M"}${(index * step).toFixed(1)} ${y(value).toFixed(1)}`;
    begun = true;
  });
  return text;
}
