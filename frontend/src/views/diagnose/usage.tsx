/** No run is open: the two lines by which a run of one's own comes here. */
import { t } from "../../i18n";
import { Icon } from "../../parts/icon";
import { say } from "../../store/messages";
import { runs } from "../../store/run";

const COMMAND = "loaderscope run train.py";
const CALL = `from loader_core.observe import observe
loader = observe(loader)`;

export function Usage() {
  return (
    <section class="pane usage" aria-label={t("diagnose.title")}>
      <h1>{t("usage.title")}</h1>
      <p>{t("usage.about")}</p>
      <Snippet about={t("usage.command")} code={COMMAND} prompt />
      <Snippet about={t("usage.call")} code={CALL} />
      <p class="small">{t(runs.value.length > 0 ? "usage.or_open" : "usage.here")}</p>
    </section>
  );
}

function Snippet({ about, code, prompt = false }: { readonly about: string; readonly code: string; readonly prompt?: boolean }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code);
      say(t("usage.copied"));
    } catch {
      say(t("usage.cannot_copy"));
    }
  };
  return (
    <figure class="snippet">
      <figcaption>{about}</figcaption>
      <div class="snippet-code">
        <pre class={prompt ? "prompt" : ""}>{code}</pre>
        <button type="button" class="button bare compact icon" aria-label={t("usage.copy", { code })} title={t("usage.copy_short")} onClick={() => void copy()}>
          <Icon name="copy" />
        </button>
      </div>
    </figure>
  );
}
