/**
 * A connection that survives its sockets: it reconnects with back-off, resumes the run that is watched from its
 * cursor, and pays back the server's credits.
 */
import { PROTOCOL, type ServerMessage } from "../wire";
import { waitBefore } from "./backoff";
import type { Frame } from "./frames";
import { CLOSED_UNAUTHORIZED, openSocket, type Socket } from "./socket";

export type Link =
  | { readonly phase: "connecting" }
  | { readonly phase: "open" }
  /** Lost; the next attempt is made at `retryAt` (ms since the epoch). */
  | { readonly phase: "waiting"; readonly attempt: number; readonly retryAt: number }
  /** No attempt will be made unless `retry()` is called. */
  | { readonly phase: "gave_up"; readonly reason: string }
  | { readonly phase: "refused" };

export interface ConnectionListener {
  readonly onLink: (link: Link) => void;
  readonly onMessage: (message: ServerMessage) => void;
  readonly onFrame: (frame: Frame) => void;
}

interface Watched {
  readonly run: string;
  readonly replayFromNs: number | null;
  readonly speed: number;
  cursor: number;
  boot: number;
}

/** The server takes 20 messages a second from a browser; acknowledgements keep well below that. */
const MIN_ACK_INTERVAL_MS = 66;

export class Connection {
  private socket: Socket | null = null;
  private attempt = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private ackTimer: ReturnType<typeof setTimeout> | null = null;
  private watched: Watched | null = null;
  private boot = 0;
  private receivedSeq = -1;
  private ackedSeq = -1;
  private ackedAt = 0;
  private visible = true;

  constructor(
    private readonly url: string,
    private readonly listener: ConnectionListener,
  ) {}

  open(): void {
    this.listener.onLink({ phase: "connecting" });
    this.receivedSeq = -1;
    this.ackedSeq = -1;
    this.socket = openSocket(this.url, {
      onMessage: (message) => this.receive(message),
      onFrame: (frame) => this.receiveFrame(frame),
      onProtocolError: (error) => this.giveUp(error.message),
      onClose: (code) => this.lost(code),
    });
  }

  /** Tries again now, whatever the back-off says. */
  retry(): void {
    this.stopTimers();
    this.socket?.close();
    this.attempt = 0;
    this.open();
  }

  close(): void {
    this.stopTimers();
    this.socket?.close();
    this.socket = null;
  }

  watch(run: string, replay?: { readonly fromNs: number; readonly speed: number }): void {
    this.watched = { run, replayFromNs: replay?.fromNs ?? null, speed: replay?.speed ?? 1, cursor: 0, boot: 0 };
    this.subscribe();
  }

  unwatch(): void {
    this.watched = null;
    this.socket?.send({ type: "unsubscribe" });
  }

  wantPreview(): void {
    this.socket?.send({ type: "want_preview" });
  }

  setVisible(visible: boolean): void {
    if (visible === this.visible) return;
    this.visible = visible;
    this.socket?.send({ type: "visibility", visible });
  }

  /** Called after each drawn picture: what was received is now on the screen, so the server may send more. */
  drawn(): void {
    if (this.receivedSeq === this.ackedSeq || this.ackTimer !== null) return;
    const wait = MIN_ACK_INTERVAL_MS - (performance.now() - this.ackedAt);
    if (wait <= 0) this.ack();
    else this.ackTimer = setTimeout(() => this.ack(), wait);
  }

  private ack(): void {
    this.ackTimer = null;
    this.ackedAt = performance.now();
    this.ackedSeq = this.receivedSeq;
    this.socket?.send({ type: "ack", seq: this.ackedSeq });
  }

  private receive(message: ServerMessage): void {
    if (message.type === "hello") {
      if (message.protocol !== PROTOCOL) return this.giveUp(`${message.protocol} is not ${PROTOCOL}`);
      this.boot = message.boot;
      this.attempt = 0;
      this.listener.onLink({ phase: "open" });
      this.listener.onMessage(message);
      if (!this.visible) this.socket?.send({ type: "visibility", visible: false });
      this.subscribe();
      return;
    }
    if (message.type === "opened" && this.watched) {
      this.watched.cursor = message.cursor;
      this.watched.boot = this.boot;
    }
    this.listener.onMessage(message);
    if (message.type === "failed" && message.fatal) this.giveUp(message.message);
  }

  private receiveFrame(frame: Frame): void {
    this.receivedSeq = frame.header.seq;
    if (frame.type === "spans" && this.watched) this.watched.cursor = frame.header.cursor;
    this.listener.onFrame(frame);
  }

  private subscribe(): void {
    if (!this.watched) return;
    const { run, cursor, boot, replayFromNs, speed } = this.watched;
    // A replay is played from its beginning again: its cursor belongs to a clock that the server no longer has.
    const resume = replayFromNs === null && boot === this.boot;
    this.socket?.send({
      type: "subscribe",
      run,
      boot: resume ? boot : 0,
      cursor: resume ? cursor : 0,
      replay_from_ns: replayFromNs,
      speed,
    });
  }

  private lost(code: number): void {
    this.socket = null;
    if (code === CLOSED_UNAUTHORIZED) return this.listener.onLink({ phase: "refused" });
    this.attempt += 1;
    const wait = waitBefore(this.attempt, Math.random());
    if (wait === null) return this.giveUp("");
    this.listener.onLink({ phase: "waiting", attempt: this.attempt, retryAt: Date.now() + wait });
    this.timer = setTimeout(() => this.open(), wait);
  }

  private giveUp(reason: string): void {
    this.close();
    this.listener.onLink({ phase: "gave_up", reason });
  }

  private stopTimers(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.ackTimer !== null) clearTimeout(this.ackTimer);
    this.timer = null;
    this.ackTimer = null;
  }
}
