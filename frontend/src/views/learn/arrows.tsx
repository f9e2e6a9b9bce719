/** From each name to the object that it names: drawn over the picture, after it was laid out. */
import { useSignal, useSignalEffect } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { picture } from "../../store/lesson";
import { relatedNow } from "./related-now";

interface Arrow {
  readonly key: string;
  readonly thing: number;
  readonly path: string;
}

export function Arrows({ box }: { readonly box: RefObject<HTMLElement | null> }) {
  const arrows = useSignal<readonly Arrow[]>([]);
  const size = useSignal({ width: 0, height: 0 });
  const measure = () => {
    const whole = box.current;
    if (!whole) return;
    arrows.value = measured(whole);
    size.value = { width: whole.clientWidth, height: whole.clientHeight };
  };
  useSignalEffect(() => {
    void picture.value;
    requestAnimationFrame(measure);
  });
  useEffect(() => {
    const observer = new ResizeObserver(measure);
    const whole = box.current;
    if (whole) observer.observe(whole);
    whole?.addEventListener("scroll", measure, { capture: true, passive: true }); // of either column
    return () => {
      observer.disconnect();
      whole?.removeEventListener("scroll", measure, { capture: true });
    };
  }, []);
  return (
    <svg class="arrows" width={size.value.width} height={size.value.height} aria-hidden="true">
      {arrows.value.map(({ key, thing, path }) => (
        <path key={key} d={path} class={relatedNow.value.things.has(thing) ? "lit" : ""} />
      ))}
    </svg>
  );
}

const HEAD_PX = 5;

function measured(box: HTMLElement): Arrow[] {
  const origin = box.getBoundingClientRect();
  const found: Arrow[] = [];
  box.querySelectorAll<HTMLElement>(".frames [data-refers]").forEach((from, index) => {
    const thing = Number(from.dataset.refers);
    const to = box.querySelector<HTMLElement>(`.things > [data-thing="${thing}"]`);
    if (!to) return;
    const start = from.getBoundingClientRect();
    const end = to.getBoundingClientRect();
    // Where boxes lie below each other there is no room for arrows: there the light alone joins them.
    if (end.left < start.right) return;
    const x1 = start.right - origin.left + 3;
    const y1 = start.top + start.height / 2 - origin.top;
    const x2 = end.left - origin.left - 1;
    const y2 = end.top - origin.top + Math.min(14, end.height / 2);
    const bend = Math.max(16, (x2 - x1) / 2);
    const curve = `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
    const head = `M${x2 - HEAD_PX} ${y2 - HEAD_PX + 1}L${x2} ${y2}L${x2 - HEAD_PX} ${y2 + HEAD_PX - 1}`;
    found.push({ key: `${index}-${thing}`, thing, path: curve + head });
  });
  return found;
}
