/** Asks for pictures of batches while the element that shows them is in sight. */
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { wantPreview } from "../store/live";
import { isLive, openRunId, run } from "../store/run";
import { mayOperate } from "../store/session";
import { frozen } from "../store/window";
import { sweepOf } from "../sweep/grid";
import { useVisible } from "./visible";

/** The server makes previews for a few seconds after each wish. */
const WISH_EVERY_MS = 2_000;

/**
 * A preview costs the run time: none is asked for that is not looked at, none by who may only look, none of a cell of a
 * sweep, whose time is measured.
 */
export function useLooking(element: RefObject<Element | null>): void {
  const seen = useVisible(element).value;
  const live = isLive.value && !frozen.value && seen && mayOperate.value && sweepOf(run.value?.name ?? "") === null;
  useEffect(() => {
    if (!live) return;
    const wish = () => document.hidden || wantPreview();
    wish();
    const timer = setInterval(wish, WISH_EVERY_MS);
    return () => clearInterval(timer);
  }, [live, openRunId.value]);
}
