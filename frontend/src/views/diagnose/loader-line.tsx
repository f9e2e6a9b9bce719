/** Whose loader this is: the call that made it, where it stands, and the command that started the script. */
import { t } from "../../i18n";
import { run } from "../../store/run";
import { commandOf } from "./groups";
import { loaderCode } from "./loader-code";

export function LoaderLine() {
  const summary = run.value;
  const code = summary ? loaderCode(summary) : "";
  if (!summary || code === "") return null;
  const { script } = summary;
  return (
    <div class="loader-line pane" role="group" aria-label={t("loader.title")}>
      {script && <span class="place mono">{script.site}</span>}
      <code>{code}</code>
      {script && (
        <span class="command quiet small" title={t("loader.command")}>
          $ python {commandOf(summary)}
        </span>
      )}
    </div>
  );
}
