/** The one connection of the page, and where its messages go. */
import { signal } from "@preact/signals";
import { ApiError, getCapabilities, getPreviews, socketUrl } from "../api";
import { Connection, type Link } from "../socket/connection";
import { afterFrame, request } from "../timeline/frames";
import type { ServerMessage } from "../wire";
import { say } from "./messages";
import { kinds, take } from "./recording";
import { forgetRun, openRunId, replay, runs, runsKnown, takeOpened, takePreviews, takeStatus, type Replay } from "./run";
import { clearSelection } from "./selection";
import { entry } from "./session";
import { adopt } from "./settings";
import { fitRun, following, resetWindow } from "./window";
import { tOr } from "../i18n";

export const link = signal<Link>({ phase: "connecting" });

let connection: Connection | null = null;

export function connect(): void {
  connection = new Connection(socketUrl(), {
    onLink: (next) => {
      link.value = next;
      if (next.phase === "waiting" && next.attempt === 1) void askWhetherRefused();
    },
    onMessage: receive,
    onFrame: (frame) => {
      take(frame);
      request();
    },
  });
  afterFrame(() => connection?.drawn());
  document.addEventListener("visibilitychange", () => connection?.setVisible(!document.hidden));
  addEventListener("online", () => link.value.phase === "waiting" && connection?.retry());
  if (openRunId.value) connection.watch(openRunId.value);
  connection.open();
}

/** Tries to connect again, at once. */
export function reconnect(): void {
  connection?.retry();
}

export function watch(id: string, played: Replay | null = null): void {
  forgetRun();
  clearSelection();
  resetWindow();
  openRunId.value = id;
  replay.value = played;
  connection?.watch(id, played ?? undefined);
}

export function unwatch(): void {
  forgetRun();
  clearSelection();
  openRunId.value = "";
  replay.value = null;
  connection?.unwatch();
}

export function wantPreview(): void {
  connection?.wantPreview();
}

function receive(message: ServerMessage): void {
  switch (message.type) {
    case "hello":
      return kinds.learn(message.kinds);
    case "runs":
      runs.value = message.runs;
      runsKnown.value = true;
      return;
    case "opened":
      openRunId.value = message.run.id;
      takeOpened(message);
      // The form shows what is in force, so that a change of it is a change of the run.
      if (message.run.live && message.run.settings) adopt(message.run.settings);
      if (!message.run.live) void loadPreviews(message.run.id);
      if (!message.run.live && replay.value === null && following.value) fitRun();
      return;
    case "status":
      return takeStatus(message);
    case "failed":
      say(tOr(`problem.${message.code}`, message.message), { tone: "problem" });
      if (message.code === "not_found" || message.code === "unknown_run") unwatch();
  }
}

/** A recording's status brings its newest preview only. */
async function loadPreviews(id: string): Promise<void> {
  try {
    takePreviews(id, await getPreviews(id));
  } catch {
    // The newest one is shown all the same.
  }
}

/** A browser does not tell a page why a handshake was refused; a plain request does. */
async function askWhetherRefused(): Promise<void> {
  try {
    await getCapabilities();
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 401 && error.status !== 403)) return;
    connection?.close();
    link.value = { phase: "refused" };
    entry.value = "no_token";
  }
}
