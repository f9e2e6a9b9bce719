/** Learn comes with its lessons' prose: it is loaded when it is first opened, so that the first picture need not wait. */
import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../i18n";

export function LearnDoor() {
  const view = useSignal<ComponentType | "failed" | null>(null);
  const load = () => {
    view.value = null;
    import("./learn/learn").then(
      ({ Learn }) => (view.value = Learn),
      () => (view.value = "failed"),
    );
  };
  useEffect(load, []);
  const Loaded = view.value;
  if (Loaded !== null && Loaded !== "failed") return <Loaded />;
  return (
    <main class="plain-page" aria-busy={Loaded === null}>
      {Loaded === "failed" && (
        <>
          <h1>{t("learn.failed")}</h1>
          <button type="button" class="button" onClick={load}>
            {t("door.again")}
          </button>
        </>
      )}
    </main>
  );
}
