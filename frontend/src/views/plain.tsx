/** Views that are a sentence: what to do without a token. */
import type { ComponentChildren } from "preact";
import { t, type Key } from "../i18n";
import { enter, type Entry } from "../store/session";

function Plain({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  return (
    <main class="plain-page">
      <h1>{title}</h1>
      {children}
    </main>
  );
}

/** Why the page is not in yet, and what to do. */
export function Door({ entry }: { readonly entry: Exclude<Entry, "in" | "asking"> }) {
  return (
    <Plain title={t(`door.${entry}.title` as Key)}>
      <p>{t(`door.${entry}.about` as Key)}</p>
      {entry === "unreachable" ? (
        <>
          <p>{t("door.start")}</p>
          <pre>python3 run.py</pre>
        </>
      ) : (
        <pre>{location.origin}/#token=…</pre>
      )}
      <button type="button" class="button" onClick={() => void enter()}>
        {t("door.again")}
      </button>
    </Plain>
  );
}
