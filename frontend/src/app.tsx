/** The page: header, connection, and one of three views. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Banner } from "./banner";
import { Header } from "./header";
import { Help } from "./help";
import { Toasts } from "./parts/toasts";
import { entry } from "./store/session";
import { presenting } from "./store/lesson-address";
import { view } from "./store/url";
import { isTyping, pageKey } from "./timeline/keyboard";
import { Diagnose } from "./views/diagnose/diagnose";
import { Explore } from "./views/explore/explore";
import { LearnDoor } from "./views/learn-door";
import { Door } from "./views/plain";

const VIEWS = { explore: Explore, learn: LearnDoor, diagnose: Diagnose } as const;

export function App() {
  const helping = useSignal(false);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (entry.value !== "in" || event.defaultPrevented || isTyping(event) || helping.value) return;
      // Learn has keys of its own; how to find them is the same everywhere.
      if (view.value === "learn" && event.key !== "?") return;
      if (pageKey(event, () => (helping.value = true))) event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
  const state = entry.value;
  const Current = VIEWS[view.value];
  return (
    <>
      {view.value === "learn" && presenting.value ? <div hidden /> : <Header onHelp={() => (helping.value = true)} />}
      {state === "in" ? <Banner /> : <div hidden />}
      {state === "in" && <Current />}
      {state !== "in" && state !== "asking" && <Door entry={state} />}
      <Toasts />
      <Help open={helping.value} onClose={() => (helping.value = false)} />
    </>
  );
}
