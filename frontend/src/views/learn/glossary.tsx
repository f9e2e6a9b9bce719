/** The words of the trade, one key away. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { isLesson } from "../../lesson/ids";
import { openLesson } from "../../store/lesson";
import { glossary } from "./glossary-state";
import { Rich } from "./rich";
import { terms, tl, proseOf } from "./words";

const plain = (text: string) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

export function Glossary() {
  const dialog = useRef<HTMLDialogElement>(null);
  const wanted = useSignal("");
  const opened = glossary.value;
  useEffect(() => {
    if (!opened) return dialog.current?.close();
    wanted.value = "";
    dialog.current?.showModal();
    requestAnimationFrame(() => {
      const entry = opened.term ? document.getElementById(`term-${opened.term}`) : null;
      if (entry) entry.scrollIntoView({ block: "center" });
      entry?.focus();
    });
  }, [opened]);
  const shown = terms().filter(({ name, text }) => plain(`${name} ${text}`).includes(plain(wanted.value.trim())));
  return (
    <dialog
      class="glossary floating"
      ref={dialog}
      aria-labelledby="glossary-title"
      onClose={() => (glossary.value = null)}
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
    >
      <header>
        <h2 id="glossary-title">{tl("glossary.title")}</h2>
        <input
          // No type "search": there the first Escape would clear the field, and only the second one close the dialog.
          type="text"
          role="searchbox"
          class="field"
          value={wanted.value}
          placeholder={tl("glossary.search")}
          aria-label={tl("glossary.search")}
          onInput={(event) => (wanted.value = event.currentTarget.value)}
        />
        <form method="dialog">
          <button class="button compact">{tl("close")}</button>
        </form>
      </header>
      {opened && shown.length === 0 && <p class="quiet none">{tl("glossary.none")}</p>}
      {opened && shown.length > 0 && (
        <dl tabIndex={0} aria-label={tl("glossary.title")}>
          {shown.map(({ id, name, text, lesson }) => (
            <div key={id} id={`term-${id}`} tabIndex={-1} class={id === opened.term ? "wanted" : ""}>
              <dt>{name}</dt>
              <dd>
                <Rich text={text} />{" "}
                {isLesson(lesson) && (
                  <button
                    type="button"
                    class="term"
                    onClick={() => {
                      dialog.current?.close();
                      openLesson(lesson);
                    }}
                  >
                    {tl("glossary.lesson", { title: proseOf(lesson)?.title ?? lesson })}
                  </button>
                )}
              </dd>
            </div>
          ))}
        </dl>
      )}
    </dialog>
  );
}
