/** One websocket, from opening to closing. It knows no run, no retry and no message's meaning. */
import { PROTOCOL, type ClientMessage, type ServerMessage } from "../wire";
import { ProtocolError } from "./errors";
import { decodeFrame, type Frame } from "./frames";

export interface SocketListener {
  readonly onMessage: (message: ServerMessage) => void;
  readonly onFrame: (frame: Frame) => void;
  /** What came was not of this protocol. The socket is closed after this. */
  readonly onProtocolError: (error: ProtocolError) => void;
  readonly onClose: (code: number, reason: string) => void;
}

export interface Socket {
  readonly send: (message: ClientMessage) => void;
  /** Closes without a call of `onClose`. */
  readonly close: () => void;
}

/** The protocol's own close code for a client that the server will not talk to: no valid session. */
export const CLOSED_UNAUTHORIZED = 4401;

export function openSocket(url: string, listener: SocketListener): Socket {
  const socket = new WebSocket(url, PROTOCOL);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
    try {
      if (typeof data === "string") listener.onMessage(parseMessage(data));
      else listener.onFrame(decodeFrame(data));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      listener.onProtocolError(error);
      socket.close();
    }
  };
  socket.onclose = ({ code, reason }) => listener.onClose(code, reason);
  return {
    send: (message) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
    },
    close: () => {
      socket.onclose = null;
      socket.onmessage = null;
      socket.close();
    },
  };
}

function parseMessage(text: string): ServerMessage {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    throw new ProtocolError(`a text message of ${text.length} characters is not JSON`);
  }
  if (typeof message !== "object" || message === null || !("type" in message)) {
    throw new ProtocolError("a text message has no type");
  }
  return message as ServerMessage;
}
