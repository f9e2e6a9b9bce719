/** Whether an element is in sight: what nobody sees need not be asked for. */
import { useSignal, type Signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

export function useVisible(element: RefObject<Element | null>): Signal<boolean> {
  const visible = useSignal(false);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => (visible.value = entry?.isIntersecting ?? false));
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return visible;
}
