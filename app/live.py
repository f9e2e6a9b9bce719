"""The websocket route: who may connect, how many, how much and how fast. What is said on it is feed.py's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, MutableMapping
from typing import Any, cast

from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.feed import FeedHub
from app.problems import RequestError
from app.security import refuse
from app.settings import Settings
from app.wire import PROTOCOL, Failed

LIVE_PATH = "/api/live"
ABORT = "loaderscope.abort"
"""Key in the scope's `state`: a function that drops the connection at once, put there by app/server.py."""

SEND_TIMEOUT_S = 3.0
"""A client that takes nothing for this long is dropped. Pings do not find it: they wait in the same queue."""

ACK_COST = 0.1
"""What an acknowledgement counts as a message: a client sends one for each frame, at most four of them unasked."""
MAX_ACK_BYTES = 64
"""A longer message is none."""

CLOSED_TOO_FAST = 1008
CLOSED_FULL = 1013

log = logging.getLogger(__name__)


class Live:
    """The ASGI app of the websocket. Belongs to the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Called for each websocket that the guard has let through."""
        if PROTOCOL not in scope["subprotocols"]:
            wanted = RequestError(f"ask for the sub-protocol {PROTOCOL}", status=400, code="protocol_missing")
            await refuse(scope, send, wanted)
            return
        socket = BoundedSocket(scope, receive, send, settings=self._settings)
        await socket.accept(subprotocol=PROTOCOL)
        if self._open >= self._settings.max_browsers:
            await socket.fail(
                CLOSED_FULL,
                "too_many_browsers",
                f"{self._open} browsers watch already, the most that this server serves: close one, then reload",
            )
            return
        self._open += 1
        try:
            hub: FeedHub = scope["app"].state.feed
            await hub.serve(socket, scope["state"]["role"])
        except WebSocketDisconnect:
            return
        except Exception:  # whatever it was, it must end in the log and close this socket only
            log.exception("a websocket failed")
            await socket.fail(1011, "internal", "the server failed; its terminal shows why")
        finally:
            self._open -= 1


class BoundedSocket(WebSocket):
    """A websocket on which a client cannot take the server's time or memory.

    Received messages are bounded in size by uvicorn (`ws_max_size`, close code 1009) and here in rate: a token bucket,
    at whose end the socket is closed. A send that hangs drops the connection. Either ends in WebSocketDisconnect.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, settings: Settings) -> None:
        super().__init__(scope, receive, send)
        self._settings = settings
        self._allowance = float(settings.message_burst)
        self._counted_at = time.monotonic()

    async def receive(self) -> Message:
        """The next message; a disconnect after a client that sends too fast."""
        message = await super().receive()
        if message["type"] == "websocket.receive" and not self._take_allowance(_cost(message)):
            await self.fail(
                CLOSED_TOO_FAST,
                "too_fast",
                f"more than {self._settings.messages_per_s:g} messages a second "
                f"(with bursts of {self._settings.message_burst})",
            )
            return {"type": "websocket.disconnect", "code": CLOSED_TOO_FAST}
        return message

    async def send(self, message: Message) -> None:
        """Sends, or drops the connection of a client that takes nothing."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await super().send(message)
        except TimeoutError:
            self._abort()
            raise WebSocketDisconnect(1006, "the client takes nothing") from None

    async def fail(self, code: int, problem: str, message: str) -> None:
        """Says why, then closes. Never raises for a client that has gone."""
        try:
            await self.send_text(Failed(code=problem, message=message, fatal=True).model_dump_json())
            await self.close(code, problem)
        except (WebSocketDisconnect, RuntimeError):  # RuntimeError: closed already
            return

    def _take_allowance(self, cost: float) -> bool:
        settings, now = self._settings, time.monotonic()
        earned = (now - self._counted_at) * settings.messages_per_s
        self._allowance = min(settings.message_burst, self._allowance + earned)
        self._counted_at = now
        if self._allowance < cost:
            return False
        self._allowance -= cost
        return True

    def _abort(self) -> None:
        state = cast(MutableMapping[str, Any], self.scope.get("state", {}))
        abort: Callable[[], None] | None = state.get(ABORT)
        if abort is not None:
            abort()


def _cost(message: Message) -> float:
    text = message.get("text") or ""
    return ACK_COST if len(text) <= MAX_ACK_BYTES and '"ack"' in text else 1.0
