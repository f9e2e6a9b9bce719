/** One span in words, as the tooltip and the details show it: its name, what it means, and what is known of it. */
import { Swatch } from "../parts/swatch";
import { factsOf, flagsOf, meaningOf, nameOf, paintOf } from "./span-words";

export function SpanFacts({ slot }: { readonly slot: number }) {
  return (
    <>
      <h3 class="span-name">
        <Swatch paint={paintOf(slot)} />
        {nameOf(slot)}
        {flagsOf(slot).map((flag) => (
          <span key={flag} class="chip notice">
            {flag}
          </span>
        ))}
      </h3>
      <p class="span-meaning">{meaningOf(slot)}</p>
      <dl class="facts">
        {factsOf(slot).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}
