/** Parts of a whole as one horizontal bar. It repeats what a table or list beside it says: screen readers skip it. */
import { TEXTURE } from "../timeline/palette";
import type { Paint } from "../timeline/paints";

export interface StackPart {
  readonly name: string;
  readonly paint: Paint;
  /** Of the whole, 0..1. */
  readonly share: number;
  /** Words on the part; not shown where there is no room for all of them. */
  readonly words?: string;
}

export function Stack({ parts, thin = false }: { readonly parts: readonly StackPart[]; readonly thin?: boolean }) {
  return (
    <div class={`stack${thin ? " thin" : ""}`} aria-hidden="true">
      {parts
        .filter(({ share }) => share > 0)
        .map(({ name, paint, share, words }) => (
          <div key={name} class={`fill ${TEXTURE[paint]}`} style={{ "--colour": `var(--paint-${paint})`, flexGrow: share }} title={words ?? name}>
            {!thin && words && <span>{words}</span>}
          </div>
        ))}
    </div>
  );
}
