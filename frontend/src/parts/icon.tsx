/** Line icons on a 16 px grid. They repeat what a label says: screen readers skip them. */
const PATHS = {
  play: "M5 3.5v9l7-4.5z",
  stop: "M4.5 4.5h7v7h-7z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  freeze: "M5.5 3.5v9M10.5 3.5v9",
  follow: "M2 8h9M8 5l3 3-3 3M14 3v10",
  plus: "M8 3.5v9M3.5 8h9",
  minus: "M3.5 8h9",
  fit: "M2 5V2.5h2.5M11.5 2.5H14V5M14 11v2.5h-2.5M4.5 13.5H2V11M5 8h6",
  link: "M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2-2a2.6 2.6 0 0 0-3.7-3.7l-1 1M9.2 6.8a2.6 2.6 0 0 0-3.7 0l-2 2a2.6 2.6 0 0 0 3.7 3.7l1-1",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  save: "M8 2.5v7.5M5 7.5l3 3 3-3M3 13.5h10",
  trash: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9",
  restart: "M12.5 8a4.5 4.5 0 1 1-1.4-3.3M12.6 2v3h-3",
  close: "M4 4l8 8M12 4l-8 8",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.5v1.6M8 12.9v1.6M1.5 8h1.6M12.9 8h1.6M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M12.6 3.4l-1.1 1.1M4.5 11.5l-1.1 1.1",
  moon: "M13 9.6A5.5 5.5 0 1 1 6.4 3a4.4 4.4 0 0 0 6.6 6.6z",
  screen: "M2.5 3.5h11v7h-11zM6 13.5h4M8 10.5v3",
  help: "M6 6.1a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.4M8 11.6v.3M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8z",
  left: "M10 3.5L5.5 8l4.5 4.5",
  right: "M6 3.5L10.5 8 6 12.5",
  first: "M12 3.5L7.5 8l4.5 4.5M4 3.5v9",
  last: "M4 3.5L8.5 8 4 12.5M12 3.5v9",
  book: "M8 4.2C6.6 3.2 4.6 2.9 2.5 3v9.3c2.1-.1 4.1.2 5.5 1.2 1.4-1 3.4-1.3 5.5-1.2V3c-2.1-.1-4.1.2-5.5 1.2zm0 0v9.3",
  present: "M1.5 2.5h13M2.5 2.5v8h11v-8M8 10.5V13M5.5 14.5L8 12l2.5 2.5",
  grid: "M2.5 2.5h11v11h-11zM2.5 6.2h11M2.5 9.8h11M6.2 2.5v11M9.8 2.5v11",
  compare: "M2.5 5h8M8 2.5L10.5 5 8 7.5M13.5 11h-8M8 8.5L5.5 11 8 13.5",
  check: "M3 8.5l3.2 3.2L13 4.8",
} as const;

export type IconName = keyof typeof PATHS;
const FILLED: ReadonlySet<IconName> = new Set(["play", "stop"]);

export function Icon({ name, class: extra = "" }: { readonly name: IconName; readonly class?: string }) {
  const filled = FILLED.has(name);
  return (
    <svg class={`icon-glyph ${extra}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill={filled ? "currentColor" : "none"}
        stroke={filled ? "none" : "currentColor"}
        stroke-width="1.4"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
