/** What the program's objects take, step by step, drawn as far as it has been told: measured while one watches. */
import { useMemo } from "preact/hooks";
import { joined } from "../../i18n/format";
import { position } from "../../lesson/axis";
import type { Log } from "../../lesson/log";
import { film, picture } from "../../store/lesson";
import { hidden } from "../../store/url";
import { tl, worded } from "./words";

const HEIGHT = 56;

export function MemoryStrip() {
  const log = film.value?.log;
  const whole = useMemo(() => (log ? areaOf(log) : null), [log]);
  if (!log || !whole || hidden.value.includes("memory")) return null;
  const { cursor } = picture.value;
  const text = (value: number) => joined(worded({ value, unit: "B" }));
  return (
    <section class="memory-strip" aria-label={tl("memory.title")}>
      <p>
        {tl("memory.title")}
        <b>{text(whole.values[cursor] ?? 0)}</b>
        <span>{tl("memory.most", { most: text(Math.max(0, ...whole.values.slice(0, cursor + 1))) })}</span>
      </p>
      <svg viewBox={`0 0 ${log.steps.length} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <clipPath id="told">
          <rect width={cursor + 1} height={HEIGHT} />
        </clipPath>
        <path class="area" d={whole.path} clip-path="url(#told)" />
        {cursor >= 0 && <rect class="here" x={cursor} width={Math.max(0.6, log.steps.length / 700)} height={HEIGHT} />}
      </svg>
    </section>
  );
}

/** The memory of each step, a step without a measurement as the one before it; null where nothing was measured. */
function areaOf(log: Log): { readonly values: readonly number[]; readonly path: string } | null {
  if (!log.steps.some(({ memory_bytes: bytes }) => bytes !== null)) return null;
  let last = 0;
  const values = log.steps.map(({ memory_bytes: bytes }) => (last = bytes ?? last));
  const extent = { from: Math.min(0, ...values), to: Math.max(1, ...values) };
  const top = (value: number) => (HEIGHT - position(value, extent, HEIGHT - 2)).toFixed(1);
  return { values, path: `M0 ${HEIGHT}${values.map((value, at) => `L${at} ${top(value)}H${at + 1}`).join("")}V${HEIGHT}z` };
}
