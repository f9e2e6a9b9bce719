/** A button that opens a small list, and closes on Escape, on a choice, and on a press elsewhere. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  readonly label: ComponentChildren;
  readonly title: string;
  readonly children: ComponentChildren;
}

export function Menu({ label, title, children }: Props) {
  const root = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const menu = root.current;
      if (!menu?.open) return;
      if (event instanceof KeyboardEvent ? event.key !== "Escape" : menu.contains(event.target as Node)) return;
      menu.open = false;
      if (event instanceof KeyboardEvent) menu.querySelector("summary")?.focus();
    };
    addEventListener("pointerdown", close);
    addEventListener("keydown", close);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("keydown", close);
    };
  }, []);
  return (
    <details class="menu" ref={root}>
      <summary class="button bare compact" title={title} aria-label={title}>
        {label}
      </summary>
      <div class="floating" onClick={() => root.current && (root.current.open = false)}>
        {children}
      </div>
    </details>
  );
}
