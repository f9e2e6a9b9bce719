/** The state of the connection, when there is something to say about it. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "./i18n";
import { link, reconnect } from "./store/live";

export function Banner() {
  const state = link.value;
  const now = useSignal(Date.now());
  useEffect(() => {
    if (state.phase !== "waiting") return;
    now.value = Date.now();
    const timer = setInterval(() => (now.value = Date.now()), 500);
    return () => clearInterval(timer);
  }, [state]);
  if (state.phase === "waiting") {
    const seconds = Math.max(0, Math.ceil((state.retryAt - now.value) / 1000));
    return (
      <div class="banner" role="status">
        <span>{t("banner.waiting", { seconds })}</span>
        <button type="button" class="button compact" onClick={reconnect}>
          {t("banner.now")}
        </button>
      </div>
    );
  }
  if (state.phase === "gave_up") {
    return (
      <div class="banner problem" role="alert">
        <span>
          {t("banner.gave_up")} {state.reason}
        </span>
        <button type="button" class="button compact" onClick={reconnect}>
          {t("banner.again")}
        </button>
      </div>
    );
  }
  return <div hidden />;
}
