/** One of the numbers that matter: large, with its unit, in a box whose width does not depend on it. */
import type { ComponentChildren } from "preact";
import { DASH, type Quantity } from "../i18n/format";

interface Props {
  readonly name: string;
  readonly value: Quantity;
  readonly title?: string;
  readonly children: ComponentChildren;
}

export function Tile({ name, value, title, children }: Props) {
  return (
    <div class="number" title={title ?? name}>
      <dt>{name}</dt>
      <dd>
        <span class="value">{value.value}</span>
        {value.value !== DASH && <span class="unit">{value.unit}</span>}
      </dd>
      <dd>{children}</dd>
    </div>
  );
}
