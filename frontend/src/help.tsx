/** The keys, and how the page itself is doing. */
import { useEffect, useRef } from "preact/hooks";
import { t } from "./i18n";
import { number } from "./i18n/format";
import { spans } from "./store/recording";
import { capabilities } from "./store/session";
import { view } from "./store/url";
import { drawCost } from "./timeline/frames";

const KEYS: readonly [keys: readonly string[], text: string][] = [
  [["Space"], "freeze"],
  [["←", "→"], "step"],
  [["↑", "↓"], "lane"],
  [["Shift ←", "Shift →"], "batch"],
  [["Home", "End"], "ends"],
  [["W", "S"], "zoom"],
  [["A", "D"], "pan"],
  [["F"], "follow"],
  [["0"], "fit"],
  [["Ctrl"], "wheel"],
  [["Esc"], "clear"],
  [["?"], "help"],
];

const LEARN_KEYS: typeof KEYS = [
  [["→", "←"], "learn.step"],
  [["Shift →", "Shift ←"], "learn.run"],
  [["Home", "End"], "learn.ends"],
  [["Space"], "learn.play"],
  [["↑", "↓"], "learn.within"],
  [["Enter"], "learn.breakpoint"],
  [["X"], "learn.clear"],
  [["N", "B"], "learn.turn"],
  [["C"], "learn.contents"],
  [["G"], "learn.glossary"],
  [["P"], "learn.present"],
  [["?"], "help"],
];

export function Help({ open, onClose }: { readonly open: boolean; readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  const host = capabilities.value;
  return (
    <dialog class="help" ref={dialog} aria-labelledby="help-title" onClose={onClose} onClick={(event) => event.target === dialog.current && onClose()}>
      <h2 id="help-title">{t("help.title")}</h2>
      <dl>
        {(view.value === "learn" ? LEARN_KEYS : KEYS).map(([keys, text]) => (
          <>
            <dt key={`${text}-keys`}>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd key={text}>{t(`key.${text}` as Parameters<typeof t>[0])}</dd>
          </>
        ))}
      </dl>
      {open && (
        <p class="small quiet">
          {t("help.cost", { newest: number(drawCost.newestMs, 1), slowest: number(drawCost.slowestMs, 1), spans: number(spans.size) })}
        </p>
      )}
      {host && (
        <p class="small quiet">
          Loaderscope {host.version} · torch {host.torch} · Python {host.python} · {host.platform}
        </p>
      )}
      <form method="dialog">
        <button class="button">{t("help.close")}</button>
      </form>
    </dialog>
  );
}
