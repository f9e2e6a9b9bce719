/** Speaks the span under the cursor to screen readers, once the cursor rests. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { sentence } from "./span-words";

const REST_MS = 350;

export function Spoken({ slot }: { readonly slot: number }) {
  const text = useSignal("");
  useEffect(() => {
    const timer = setTimeout(() => (text.value = slot < 0 ? "" : sentence(slot)), REST_MS);
    return () => clearTimeout(timer);
  }, [slot]);
  return (
    <p class="spoken" role="status" aria-live="polite">
      {text.value}
    </p>
  );
}
