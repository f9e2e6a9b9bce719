/** The program that the controls stand for, always in sight: the line that was changed last is lit. */
import { useSignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { t } from "../i18n";
import { datasets } from "../store/session";
import { pointed, settings, touched } from "../store/settings";
import type { SettingName } from "../store/settings-table";
import { codeLines, tokens } from "./code";

export function CodePanel() {
  const box = useRef<HTMLPreElement>(null);
  const everTouched = useSignal<ReadonlySet<SettingName>>(new Set());
  useSignalEffect(() => {
    const change = touched.value;
    if (!change) return;
    if (!everTouched.peek().has(change.name)) everTouched.value = new Set([...everTouched.peek(), change.name]);
    // After the line was drawn: bring it into the panel, and move nothing else on the page.
    queueMicrotask(() => {
      const line = box.current?.querySelector<HTMLElement>(".touched");
      if (line && box.current) box.current.scrollTop = line.offsetTop - box.current.clientHeight / 2;
    });
  });
  const dataset = datasets.value.find(({ id }) => id === settings.value.dataset);
  const lines = codeLines(settings.value, dataset).filter(
    ({ quiet, setting }) => !quiet || (setting !== null && (everTouched.value.has(setting) || pointed.value === setting)),
  );
  return (
    <details class="code-panel" open>
      <summary>{t("code.title")}</summary>
      <pre ref={box} tabIndex={0} aria-label={t("code.title")}>
        {lines.map(({ text, setting }, index) => {
          const isTouched = setting !== null && touched.value?.name === setting;
          return (
            <code
              // A new key starts the light anew when the same line is changed again.
              key={isTouched ? `t${touched.value?.count}-${index}` : `${setting}-${index}`}
              class={`code-line${setting ? " known" : ""}${isTouched ? " touched" : ""}${setting && pointed.value === setting ? " pointed" : ""}`}
              onPointerEnter={() => (pointed.value = setting)}
              onPointerLeave={() => (pointed.value = null)}
              onClick={() => setting && document.getElementById(`setting-${setting}`)?.focus()}
            >
              {text === "" ? " " : tokens(text).map((token, at) => (token.kind ? <span key={at} class={token.kind}>{token.text}</span> : token.text))}
            </code>
          );
        })}
      </pre>
    </details>
  );
}
