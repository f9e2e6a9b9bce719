/** What to type, and a button that takes it along. */
import { useSignal } from "@preact/signals";
import { t } from "../i18n";

export function Typed({ text }: { readonly text: string }) {
  const copied = useSignal(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    copied.value = true;
    setTimeout(() => (copied.value = false), 2_000);
  };
  return (
    <div class="typed">
      <pre tabIndex={0}>{text}</pre>
      <button type="button" class="button compact" onClick={() => void copy()}>
        {t(copied.value ? "verdict.copied" : "verdict.copy")}
      </button>
    </div>
  );
}
