/** The instrument: overview, ruler, lanes and strips on one time axis, with its tools. */
import { useSignal, type ReadonlySignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { selectedSlot } from "../store/selection";
import { listen } from "../timeline/interaction";
import { timelineKey } from "../timeline/keyboard";
import { Scene, availablePx, axisPx } from "../timeline/scene";
import type { Lane } from "../wire";
import { LaneLabels } from "./lane-labels";
import { LanesTable, TABLE_ID } from "./lanes-table";
import { Legend } from "./legend";
import { Notes } from "./notes";
import { Overview } from "./overview";
import { QueueKey, ThroughputKey } from "./strip-keys";
import { Spoken } from "./spoken";
import { Toolbar } from "./toolbar";
import { Crosshair, Tooltip } from "./tooltip";
import { Waiting } from "./waiting";
import { Transport } from "./transport";

/** `ordered`: the lanes from top to bottom. */
export function Timeline({ ordered }: { readonly ordered: ReadonlySignal<readonly Lane[]> }) {
  const overview = useRef<HTMLCanvasElement>(null);
  const ruler = useRef<HTMLCanvasElement>(null);
  const lanes = useRef<HTMLCanvasElement>(null);
  const queue = useRef<HTMLCanvasElement>(null);
  const throughput = useRef<HTMLCanvasElement>(null);
  const area = useRef<HTMLDivElement>(null);
  const scroll = useRef<HTMLDivElement>(null);
  const scene = useSignal<Scene | null>(null);

  useEffect(() => {
    const canvases = {
      overview: overview.current!,
      ruler: ruler.current!,
      lanes: lanes.current!,
      queue: queue.current!,
      throughput: throughput.current!,
    };
    const drawn = new Scene(canvases, ordered);
    scene.value = drawn;
    const measure = new ResizeObserver(() => {
      if (!ruler.current || !scroll.current) return; // the view is being left
      axisPx.value = ruler.current.clientWidth;
      availablePx.value = Number.parseFloat(getComputedStyle(scroll.current).maxHeight) || 300;
    });
    measure.observe(ruler.current!);
    measure.observe(scroll.current!);
    const deaf = listen(area.current!, lanes.current!, () => ruler.current!.getBoundingClientRect().left);
    return () => {
      deaf();
      measure.disconnect();
      drawn.close();
      scene.value = null;
    };
  }, []);

  return (
    <section class="pane timeline" aria-label={t("timeline.title")}>
      <Toolbar scene={() => scene.value} />
      <Notes />
      <Overview canvas={overview} />
      <div
        class="axis-area"
        ref={area}
        tabIndex={0}
        role="group"
        aria-label={t("timeline.title")}
        aria-roledescription={t("timeline.role")}
        aria-describedby="timeline-keys"
        aria-details={TABLE_ID}
        onKeyDown={(event) => {
          if (timelineKey(event)) event.preventDefault();
        }}
      >
        <div class="axis-row ruler-row">
          <div class="gutter">{t("timeline.run_time")}</div>
          <canvas ref={ruler} aria-hidden="true" />
        </div>
        <div class="lanes-scroll" ref={scroll} tabIndex={0} role="group" aria-label={t("timeline.lanes")}>
          <Waiting />
          <div class="axis-row">
            <LaneLabels />
            <div class="lanes-canvas">
              <canvas ref={lanes} aria-hidden="true" />
            </div>
          </div>
        </div>
        <div class="axis-row strip-row">
          <QueueKey />
          <canvas ref={queue} aria-hidden="true" />
        </div>
        <div class="axis-row strip-row">
          <ThroughputKey />
          <canvas ref={throughput} aria-hidden="true" />
        </div>
        <div class="axis-overlay">
          <Crosshair />
          <Tooltip />
        </div>
      </div>
      <p id="timeline-keys" class="spoken">
        {t("timeline.keys")}
      </p>
      <Spoken slot={selectedSlot.value} />
      <Transport />
      <div class="below-axis">
        <Legend />
        <LanesTable />
      </div>
    </section>
  );
}
