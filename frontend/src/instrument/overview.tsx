/** The whole run in one row: press or drag to move the window. */
import type { RefObject } from "preact";
import { useRef } from "preact/hooks";
import { t } from "../i18n";
import { newestNs } from "../store/recording";
import { show, spanNs, startNs } from "../store/window";

export function Overview({ canvas }: { readonly canvas: RefObject<HTMLCanvasElement | null> }) {
  const box = useRef<HTMLDivElement>(null);
  const whole = Math.max(1e9, newestNs.value);
  const percent = (ns: number) => Math.min(100, Math.max(0, (ns / whole) * 100));
  const left = percent(startNs.value);
  const right = percent(startNs.value + spanNs.value);

  const moveTo = (event: PointerEvent) => {
    const { left: origin, width } = box.current!.getBoundingClientRect();
    show(((event.clientX - origin) / width) * whole - spanNs.value / 2, spanNs.value);
  };
  return (
    <div class="axis-row overview-row">
      <div class="gutter">{t("timeline.whole_run")}</div>
      <div
        class="overview"
        ref={box}
        title={t("timeline.overview_about")}
        onPointerDown={(event) => {
          box.current!.setPointerCapture(event.pointerId);
          moveTo(event);
        }}
        onPointerMove={(event) => event.buttons === 1 && moveTo(event)}
      >
        <canvas ref={canvas} aria-hidden="true" />
        <div class="viewport" style={{ left: `${left}%`, width: `${right - left}%` }} />
      </div>
    </div>
  );
}
