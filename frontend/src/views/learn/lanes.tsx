/**
 * The small timeline of a lesson with workers: the log's spans on lanes, drawn by the timeline's own painters. The line
 * is the step's moment; a click goes to the step nearest to it.
 */
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Log } from "../../lesson/log";
import { contrastRevision, isDark, language, printing } from "../../store/preferences";
import { film, goTo, picture } from "../../store/lesson";
import { kinds } from "../../store/recording";
import { hidden } from "../../store/url";
import { DrawList, build } from "../../timeline/draw-list";
import { forget, invalidate } from "../../timeline/frames";
import { paintLanes } from "../../timeline/lanes-painter";
import { layOut } from "../../timeline/layout";
import { paintGrid, paintRuler } from "../../timeline/overlay-painter";
import { readPalette, type Palette } from "../../timeline/palette";
import { SpanStore } from "../../timeline/span-store";
import { prepare } from "../../timeline/surface";
import { TimeScale, ticks } from "../../timeline/time-scale";
import { Kind, NO_BATCH, NOT_MEASURED, type Lane, type SpanColumns } from "../../wire";
import { t } from "../../i18n";
import { proseOf, tl } from "./words";

const LANE_PX = 26;
const RULER_PX = 22;
const TICK_TEXT_PX = 44;
/** Times go into the store in this unit, in 32 bits: up to seven minutes. */
const UNIT_NS = 100;

export function LessonLanes() {
  const log = film.value?.log;
  if (!log || log.spans.length === 0 || hidden.value.includes("lanes")) return null;
  return <Lanes key={`${log.lesson}-${log.variant}`} log={log} />;
}

function Lanes({ log }: { readonly log: Log }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const store = storeOf(log);
  const lanes = log.lanes.map((label, lane): Lane => ({ lane, role: "main", worker: -1, rank: 0, pids: [], label }));
  const layout = layOut(lanes, () => false, LANE_PX * lanes.length);
  const simulated = new Set(log.spans.flatMap((span) => (span.simulated ? [span.lane] : [])));
  const wholeNs = Math.max(1, ...log.spans.map(({ end_ns }) => end_ns));
  useEffect(() => {
    const drawn = canvas.current!;
    const list = new DrawList();
    let palette: Palette = readPalette(document.documentElement);
    const draw = () => {
      const surface = prepare(drawn);
      if (!surface) return;
      const scale = new TimeScale(0, wholeNs * 1.01, surface.width);
      const ruled = ticks(scale, 96);
      const { context } = surface;
      const named = ruled.ticks.filter(({ ns }) => scale.toPx(ns) < surface.width - TICK_TEXT_PX); // none is cut at the edge
      paintRuler({ ...surface, height: RULER_PX }, palette, scale, named, ruled.stepNs);
      context.save();
      context.translate(0, RULER_PX);
      paintGrid(surface, palette, scale, ruled.ticks);
      build(list, store, layout, scale, surface.ratio);
      const step = picture.peek().step;
      const cursor = step?.span ?? -1;
      paintLanes(surface, { list, store, layout, scale, palette, label: (slot) => labelOf(store, slot), journey: [], arrow: null, lit: null, cursor });
      context.restore();
      const nowNs = toldUpTo(log, picture.peek().cursor);
      if (nowNs === null) return;
      // What is still to come is veiled: the story has been told up to here.
      const x = scale.toPx(nowNs);
      context.fillStyle = palette.surface;
      context.globalAlpha = 0.72;
      context.fillRect(x, RULER_PX, surface.width - x, surface.height);
      context.globalAlpha = 1;
      context.fillStyle = palette.accent;
      context.fillRect(Math.round(x), 0, 1, surface.height);
    };
    const stopPainting = effect(() => {
      void [isDark.value, contrastRevision.value];
      queueMicrotask(() => {
        palette = readPalette(document.documentElement);
        if (printing.peek()) draw(); // there is no frame before the paper
        else invalidate(draw);
      });
    });
    const stopDrawing = effect(() => {
      void [picture.value, language.value];
      invalidate(draw);
    });
    const observer = new ResizeObserver(() => invalidate(draw));
    observer.observe(drawn);
    return () => {
      stopPainting();
      stopDrawing();
      observer.disconnect();
      forget(draw);
    };
  }, [log]);
  const onClick = (event: MouseEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const step = nearestStep(log, ((event.clientX - box.left) / box.width) * wholeNs * 1.01);
    if (step >= 0) goTo(step);
  };
  return (
    <section class="lesson-lanes" aria-label={tl("lanes.title")}>
      <div class="labels" style={{ paddingTop: `${RULER_PX}px` }}>
        {layout.rows.map((row) => (
          <span key={row.lane.lane} style={{ height: `${row.height}px` }} title={laneName(log, row.lane.label)}>
            <span>{laneName(log, row.lane.label)}</span>
            {simulated.has(row.lane.lane) && <span class="chip notice">{t("flag.simulated_short")}</span>}
          </span>
        ))}
      </div>
      <canvas ref={canvas} style={{ height: `${layout.height + RULER_PX}px` }} onClick={onClick} aria-hidden="true" />
      <p class="spoken">{t("timeline.title")}</p>
    </section>
  );
}

/** A lane's name in the page's language, where the lesson's prose has one. */
export function laneName(log: Log, label: string): string {
  const names = proseOf(log.lesson)?.lanes;
  const numbered = /^(.*) (\d+)$/.exec(label); // workers: as many as there are, under one name with a `#` for the number
  return names?.[label] ?? (numbered && names?.[`${numbered[1]} #`]?.replace("#", numbered[2]!)) ?? label;
}

/** The moment of the newest engine step, on the lanes' own clock; null where no step is one of the engine's. */
function toldUpTo(log: Log, cursor: number): number | null {
  if (!log.steps.some(({ span }) => span !== null)) return null;
  const told = log.steps.slice(0, cursor + 1).findLast(({ span }) => span !== null);
  return told ? told.at_ns : 0;
}

const labelOf = (store: SpanStore, slot: number): string => (store.batch[slot] === NO_BATCH ? "" : String(store.batch[slot]));

export function nearestStep(log: Log, ns: number): number {
  let best = -1;
  let distance = Infinity;
  log.steps.forEach(({ at_ns, span }, index) => {
    if (span !== null && Math.abs(at_ns - ns) < distance) [best, distance] = [index, Math.abs(at_ns - ns)];
  });
  return best;
}

/** The log's spans as the timeline holds them: the slot of a span is its place in the log. */
function storeOf(log: Log): SpanStore {
  const spans = log.spans;
  const columns: SpanColumns = {
    sample: Float64Array.from(spans, ({ sample }) => sample ?? NOT_MEASURED),
    value: Float64Array.from(spans, ({ value }) => value ?? NOT_MEASURED),
    start: Uint32Array.from(spans, ({ start_ns }) => Math.round(start_ns / UNIT_NS)),
    duration: Uint32Array.from(spans, ({ start_ns, end_ns }) => Math.round((end_ns - start_ns) / UNIT_NS)),
    batch: Uint32Array.from(spans, ({ batch }) => batch ?? NO_BATCH),
    epoch: Uint16Array.from(spans, ({ epoch }) => epoch),
    lane: Uint8Array.from(spans, ({ lane }) => lane),
    kind: Uint8Array.from(spans, ({ kind }) => (Kind as Readonly<Record<string, number>>)[kind] ?? 0),
    flags: Uint8Array.from(spans, () => 0),
  };
  const store = new SpanStore(kinds, Math.max(1, spans.length));
  store.push(columns, 0, UNIT_NS);
  return store;
}

