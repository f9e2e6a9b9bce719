/** A few measured curves on one pair of axes, drawn by hand: an axis, a line each with its name, and the guess. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { extent, path, position, roundTicks, valueTicks } from "../../lesson/axis";
import type { Curve } from "../../lesson/log";
import { unmarked } from "../../lesson/prose";
import { axisText } from "../../lesson/quantity";
import { card, film, picture } from "../../store/lesson";
import { progressOf } from "../../store/lesson-progress";
import { proseOf, tl, unitWord } from "./words";

const HEIGHT = 168;
const PAD = { left: 60, right: 12, top: 10, bottom: 26 };
const LOOKS = 4;

export function CurveChart({ curves }: { readonly curves: readonly Curve[] }) {
  const box = useRef<HTMLElement>(null);
  const width = useSignal(320);
  useEffect(() => {
    const observer = new ResizeObserver(() => (width.value = box.current?.clientWidth || 320));
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  const { x_unit: xUnit, y_unit: yUnit } = curves[0]!;
  const prose = proseOf(film.value?.log.lesson ?? "");
  const name = (curve: Curve) => unmarked(prose?.curves?.[curve.name]?.name ?? curve.name);
  const guess = guessOn(curves);
  const inner = { width: Math.max(80, width.value - PAD.left - PAD.right), height: HEIGHT - PAD.top - PAD.bottom };
  const isLog = curves[0]!.log_x;
  const values = curves.flatMap(({ x }) => x);
  const across = isLog ? { from: Math.log(Math.min(...values)), to: Math.log(Math.max(...values)) } : extent(values);
  const along = isLog ? Math.log : (x: number) => x;
  const left = (x: number) => position(along(x), across, inner.width);
  const up = extent([...curves.flatMap(({ y }) => y), ...(guess === null ? [] : [guess])]);
  const room = Math.max(2, Math.floor(inner.width / 90));
  const ticks = isLog ? valueTicks(values, room) : roundTicks(across, room);
  const nowNs = xUnit === "ns" ? (picture.value.step?.at_ns ?? null) : null;
  return (
    <figure class="curve-chart" ref={box}>
      <figcaption>
        {curves.map((curve, index) => (
          <span key={curve.name} class={`look-${index % LOOKS}`}>
            <svg viewBox="0 0 22 8" aria-hidden="true">
              <path d="M0 4h22" />
            </svg>
            {name(curve)}
          </span>
        ))}
        {guess !== null && (
          <span class="guess">
            <svg viewBox="0 0 22 8" aria-hidden="true">
              <path d="M0 4h22" />
            </svg>
            {tl("guess.yours")}
          </span>
        )}
      </figcaption>
      <svg
        width={width.value}
        height={HEIGHT}
        role="img"
        aria-label={curves.map((curve) => tl("chart.curve", { name: name(curve), last: axisText(curve.y.at(-1) ?? 0, yUnit), most: axisText(Math.max(...curve.y), yUnit) })).join(" ")}
      >
        <g transform={`translate(${PAD.left} ${PAD.top})`}>
          {roundTicks(up, 4).map((tick) => (
            <g key={tick} transform={`translate(0 ${(inner.height - position(tick, up, inner.height)).toFixed(1)})`}>
              <path class="grid" d={`M0 0h${inner.width}`} />
              <text x={-8} dy="0.32em" text-anchor="end">
                {axisText(tick, yUnit)}
              </text>
            </g>
          ))}
          {ticks.map((tick, index) => (
            <text key={tick} x={left(tick)} y={inner.height + 17} text-anchor={left(tick) > inner.width - 24 ? "end" : left(tick) === 0 ? "start" : "middle"}>
              {axisText(tick, xUnit === "ns" || index === ticks.length - 1 ? unitWord(xUnit) : "")}
            </text>
          ))}
          {curves.map((curve, index) => (
            <path key={curve.name} class={`curve look-${index % LOOKS}`} d={path(curve.x.map(along), curve.y, across, up, inner.width, inner.height)} />
          ))}
          {guess !== null && <path class="curve guess" d={`M0 ${inner.height - position(guess, up, inner.height)}h${inner.width}`} />}
          {nowNs !== null && nowNs <= across.to && <path class="now" d={`M${left(nowNs)} 0v${inner.height}`} />}
        </g>
      </svg>
    </figure>
  );
}

/** The guess of the prediction, where it is about one of these curves. */
function guessOn(curves: readonly Curve[]): number | null {
  const known = card.value;
  if (!known?.prediction || !curves.some(({ name, y_unit: unit }) => name === known.prediction!.curve && unit === known.prediction!.unit)) return null;
  const { guess } = progressOf(known.id);
  const value = guess === null ? NaN : Number(guess);
  return Number.isFinite(value) ? value : null;
}
