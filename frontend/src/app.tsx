/** The page: header, connection, and one of three views. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Banner } from "./banner";
import { Header } from "./header";
import { Help } from "./help";
import { Toasts } from "./parts/toasts";
import { entry } from "./store/session";
import { view } from "./store/url";
import { isTyping, pageKey } from "./timeline/keyboard";
import { Explore } from "./views/explore/explore";
import { Diagnose, Door, Learn } from "./views/plain";

const VIEWS = { explore: Explore, learn: Learn, diagnose: Diagnose } as const;

export function App() {
  const helping = useSignal(false);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (entry.value !== "in" || event.defaultPrevented || isTyping(event) || helping.value) return;
      if (pageKey(event, () => (helping.value = true))) event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  const state = entry.value;
  const Current = VIEWS[view.value];
  return (
    <>
      <Header onHelp={() => (helping.value = true)} />
      {state === "in" ? <Banner /> : <div hidden />}
      {state === "in" && <Current />}
      {state !== "in" && state !== "asking" && <Door entry={state} />}
      <Toasts />
      <Help open={helping.value} onClose={() => (helping.value = false)} />
    </>
  );
}
