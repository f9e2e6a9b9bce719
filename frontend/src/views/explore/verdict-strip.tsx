/** The verdict on the open run in one line, below its numbers; the whole of it is in Diagnose. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, getDiagnosis } from "../../api";
import { said, t, type Key } from "../../i18n";
import { isLive, openRunId, status } from "../../store/run";
import { view } from "../../store/url";
import type { Finding } from "../../wire";

/** A verdict takes the server a second or so of a core, which a live run needs itself. */
const ASK_EVERY_MS = 10_000;

const top = signal<Finding | null>(null);

export function VerdictStrip() {
  const id = openRunId.value;
  const begun = status.value !== null && status.value.state !== "starting";
  const live = isLive.value;
  useEffect(() => {
    top.value = null;
  }, [id]);
  useEffect(() => {
    if (!begun) return;
    const cancel = new AbortController();
    const ask = async () => {
      if (document.hidden) return;
      try {
        const { verdict } = await getDiagnosis(id, null, cancel.signal);
        if (!cancel.signal.aborted) top.value = verdict.findings[0] ?? null;
      } catch (error) {
        if (!cancel.signal.aborted && !(error instanceof ApiError)) throw error; // the next answer tells more
      }
    };
    if (!live) void ask();
    const timer = live ? setInterval(() => void ask(), ASK_EVERY_MS) : undefined;
    return () => {
      cancel.abort();
      clearInterval(timer);
    };
  }, [id, begun, live]);
  if (!begun) return null;
  const finding = top.value;
  return (
    <div class="pane verdict-strip" role="status">
      {finding ? (
        <>
          <span class="chip">{t(`code.${finding.code}` as Key)}</span>
          <p>{said(finding.sentence)}</p>
          <button type="button" class="link" onClick={() => (view.value = "diagnose")}>
            {t("verdict.see_why")}
          </button>
        </>
      ) : (
        <p class="quiet">{t("verdict.coming")}</p>
      )}
    </div>
  );
}
