/** Two recordings one above the other, with one ruler, one window and both throughputs. */
import { effect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { drawCurves, drawLanes, drawRuler, layoutOf, type Side } from "../../compare/picture";
import { RecordedSpans } from "../../compare/recorded";
import { keyed, kept, offsetNs, pannedBy, wholeOf, zoomedBy, type Stretch } from "../../compare/window";
import { t, type Key } from "../../i18n";
import { joined, number, duration } from "../../i18n/format";
import { Icon } from "../../parts/icon";
import { Segments } from "../../parts/segments";
import { ALIGNMENTS, alignment, compareSpanNs, compareStartNs } from "../../store/panels";
import { contrastRevision, isDark, language } from "../../store/preferences";
import { DrawList } from "../../timeline/draw-list";
import { forget, invalidate } from "../../timeline/frames";
import { readPalette } from "../../timeline/palette";
import { laneLabel, runName } from "../../words";
import type { RunComparison } from "../../wire";
import { Letter } from "./comparison";

const WHEEL_ZOOM = 0.0022;
const ZOOM = 1.5;

/** What is in view; a span of 0 stands for all of both. */
function stretch(runs: RunComparison): Stretch {
  const whole = wholeOf([runs.before, runs.after], alignment.value);
  return compareSpanNs.value > 0 ? kept({ startNs: compareStartNs.value, spanNs: compareSpanNs.value }, whole) : whole;
}

export function CommonAxis({ comparison }: { readonly comparison: RunComparison }) {
  const ruler = useRef<HTMLCanvasElement>(null);
  const lanesA = useRef<HTMLCanvasElement>(null);
  const lanesB = useRef<HTMLCanvasElement>(null);
  const curves = useRef<HTMLCanvasElement>(null);
  const area = useRef<HTMLDivElement>(null);
  const runs = [comparison.before, comparison.after] as const;
  const spans = useMemo(() => [new RecordedSpans(comparison.before), new RecordedSpans(comparison.after)] as const, [comparison]);

  const look = (to: Stretch) => {
    const whole = wholeOf(runs, alignment.peek());
    const next = kept(to, whole);
    compareStartNs.value = next.startNs;
    compareSpanNs.value = next.spanNs >= whole.spanNs ? 0 : next.spanNs;
  };

  useEffect(() => {
    const list = new DrawList();
    let palette = readPalette(document.documentElement);
    const sides = () => runs.map((run, at): Side => ({ run, spans: spans[at]!, offsetNs: offsetNs(run, alignment.peek()) })) as unknown as readonly [Side, Side];
    const draw = () => {
      if (!ruler.current || !lanesA.current || !lanesB.current || !curves.current) return;
      const now = stretch(comparison);
      const both = sides();
      drawRuler(ruler.current, palette, now);
      drawLanes(lanesA.current, list, palette, now, both[0]);
      drawLanes(lanesB.current, list, palette, now, both[1]);
      drawCurves(curves.current, palette, now, both);
    };
    const stopPainting = effect(() => {
      void [isDark.value, contrastRevision.value];
      queueMicrotask(() => {
        palette = readPalette(document.documentElement);
        invalidate(draw);
      });
    });
    const stopDrawing = effect(() => {
      void [alignment.value, language.value, spans[0].store.value, spans[1].store.value];
      const now = stretch(comparison);
      for (const { spans: held, offsetNs: offset } of sides()) held.want(now.startNs + offset, now.startNs + offset + now.spanNs);
      invalidate(draw);
    });
    const observer = new ResizeObserver(() => invalidate(draw));
    for (const canvas of [ruler.current!, lanesA.current!, lanesB.current!]) observer.observe(canvas);
    const deaf = listen(area.current!, () => ruler.current!.getBoundingClientRect(), () => stretch(comparison), look);
    return () => {
      stopPainting();
      stopDrawing();
      observer.disconnect();
      deaf();
      forget(draw);
      for (const held of spans) held.close();
    };
  }, [comparison]);

  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = keyed(event.key, stretch(comparison), wholeOf(runs, alignment.peek()));
    if (!next) return;
    event.preventDefault();
    look(next);
  };
  const canvases = [lanesA, lanesB] as const;
  return (
    <div class="timeline common-axis">
      <div class="pane-head">
        <h2>{t("compare.axis")}</h2>
        <Segments
          name="compare-align"
          label={t("compare.align")}
          value={alignment.value}
          options={ALIGNMENTS.map((value) => ({ value, label: t(`compare.align.${value}` as Key) }))}
          onChoose={(value) => (alignment.value = value)}
        />
        <span class="end">
          <Tool icon="minus" label={t("view.zoom_out")} onPress={() => look(zoomedBy(stretch(comparison), ZOOM))} />
          <Tool icon="plus" label={t("view.zoom_in")} onPress={() => look(zoomedBy(stretch(comparison), 1 / ZOOM))} />
          <Tool icon="fit" label={t("compare.fit")} onPress={() => look(wholeOf(runs, alignment.peek()))} />
        </span>
      </div>
      <div class="axis-area" ref={area} tabIndex={0} role="group" aria-label={t("compare.axis")} aria-describedby="compare-keys" onKeyDown={press}>
        <div class="axis-row ruler-row">
          <div class="gutter">{t("timeline.run_time")}</div>
          <canvas ref={ruler} aria-hidden="true" />
        </div>
        {runs.map((run, at) => {
          const { rows, height } = layoutOf(run, spans[at]!.store.value);
          return (
            <div key={at}>
              <p class="compared-head">
                <Letter letter={at === 0 ? "A" : "B"} /> <strong>{runName(run.run)}</strong>{" "}
                <span class="quiet small">
                  {joined(duration(run.run.duration_ns))} · {said(spans[at]!)}
                </span>
              </p>
              <div class="axis-row">
                <div class="lane-labels">
                  {rows.map(({ lane, y, height: laneHeight }) => (
                    <div key={lane.lane} class="gutter lane-label" style={{ top: `${y}px`, height: `${laneHeight}px` }}>
                      <strong>{laneLabel(lane)}</strong>
                    </div>
                  ))}
                </div>
                <canvas ref={canvases[at]!} class="compared-lanes" style={{ height: `${height}px` }} aria-hidden="true" />
              </div>
            </div>
          );
        })}
        <div class="axis-row strip-row">
          <div class="gutter">
            <strong>{t("sweep.unit")}</strong>
            <span>{t("compare.mean_over", { time: joined(duration(Math.max(...runs.map((run) => run.bucket_ns)))) })}</span>
            <span class="curve-key a">A</span>
            <span class="curve-key b">B</span>
          </div>
          <canvas ref={curves} class="compared-curves" aria-hidden="true" />
        </div>
      </div>
      <p class="spoken" id="compare-keys">
        {t("compare.keys")}
      </p>
    </div>
  );
}

function said(held: RecordedSpans): string {
  if (held.failed.value) return t("compare.no_spans");
  if (held.store.value === null) return t("compare.loading");
  return held.leftOut.value > 0 ? t("compare.left_out", { count: number(held.leftOut.value) }) : t("compare.all_spans", { count: number(held.store.value.size) });
}

interface ToolProps {
  readonly icon: "minus" | "plus" | "fit";
  readonly label: string;
  readonly onPress: () => void;
}

function Tool({ icon, label, onPress }: ToolProps) {
  return (
    <button type="button" class="button bare compact icon" aria-label={label} title={label} onClick={onPress}>
      <Icon name={icon} />
    </button>
  );
}

/** Drag to move, Ctrl and the wheel to zoom, sideways wheel to move. Returns how to stop listening. */
function listen(area: HTMLElement, axis: () => DOMRect, now: () => Stretch, look: (to: Stretch) => void): () => void {
  let held: { readonly x: number; readonly from: Stretch } | null = null;
  const down = (event: PointerEvent) => {
    if (event.button === 0 && event.isPrimary && event.clientX >= axis().left) held = { x: event.clientX, from: now() };
  };
  const move = (event: PointerEvent) => {
    if (!held || Math.abs(event.clientX - held.x) < 3) return;
    if (!area.hasPointerCapture(event.pointerId)) area.setPointerCapture(event.pointerId);
    look(pannedBy(held.from, (held.x - event.clientX) / axis().width));
  };
  const up = () => {
    held = null;
  };
  const wheel = (event: WheelEvent) => {
    const { left, width } = axis();
    const at = now();
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      look(zoomedBy(at, Math.exp(event.deltaY * WHEEL_ZOOM * (event.deltaMode === 1 ? 16 : 1)), at.startNs + ((event.clientX - left) / width) * at.spanNs));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      look(pannedBy(at, (event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX) / width));
    }
  };
  const handlers = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up };
  for (const [name, handler] of Object.entries(handlers)) area.addEventListener(name, handler as EventListener);
  area.addEventListener("wheel", wheel, { passive: false });
  return () => {
    for (const [name, handler] of Object.entries(handlers)) area.removeEventListener(name, handler as EventListener);
    area.removeEventListener("wheel", wheel);
  };
}
