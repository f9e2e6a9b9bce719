/** A small piece of a paint with its texture, as it looks on the timeline. */
import { TEXTURE } from "../timeline/palette";
import type { Paint } from "../timeline/paints";

export function Swatch({ paint }: { readonly paint: Paint }) {
  return <span class={`swatch ${TEXTURE[paint]}`} style={{ "--colour": `var(--paint-${paint})` }} aria-hidden="true" />;
}
