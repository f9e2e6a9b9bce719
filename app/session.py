"""A session: one websocket, what its client watches, how far it is, and what credit it has.

Two loops, raced: one receives and only notes what the client asks for, one sends. The first to end ends the other, so
that a socket is never held by a client that has gone or by a server that shuts down.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, assert_never

from pydantic import TypeAdapter, ValidationError
from starlette.websockets import WebSocket

from app.problems import RequestError
from app.wire import (
    MAX_FRAMES_IN_FLIGHT,
    AccessRole,
    Ack,
    ClientMessage,
    Failed,
    Hello,
    KindInfo,
    Opened,
    RunSummary,
    Subscribe,
    Unsubscribe,
    Visibility,
    WantPreview,
    with_seq,
)
from loader_core.trace.event import kind_table

if TYPE_CHECKING:
    from app.feed import Feed, FeedHub

PREVIEW_NS = 5_000_000_000
"""For how long one request keeps previews coming."""

MAX_REPLIES = 16
"""Complaints to a client that wait to be sent. Past it the oldest are left out: the client does not read them."""

SPANS, STREAMS = 0, 5
"""Place of the spans in `Feed.streams`, and their number."""

_CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)


class Session:
    """One websocket. Belongs to the event loop."""

    def __init__(self, hub: FeedHub, socket: WebSocket, role: AccessRole) -> None:
        self._hub = hub
        self._socket = socket
        self._role = role
        self._wake = asyncio.Event()
        self._replies: deque[Failed] = deque(maxlen=MAX_REPLIES)
        self._runs_version = -1
        self._visible = True
        self._wanted: Subscribe | None = None
        self._switching = False
        self._feed: Feed | None = None
        self._generation = 0
        self._positions = [0] * STREAMS
        self._turn = 0
        self._snapshot_end = 0
        """Position up to which the client gets all spans that are kept, however many it is behind."""
        self._status_number = 0
        self._preview_number = 0
        self._seq = 0
        self._unacknowledged: deque[int] = deque()

    async def run(self) -> None:
        """Until the client goes. Raises WebSocketDisconnect when it goes while something is sent."""
        kinds = [KindInfo(**row) for row in kind_table()]
        await self._socket.send_text(Hello(boot=self._hub.store.boot, kinds=kinds).model_dump_json())
        tasks = [asyncio.create_task(loop()) for loop in (self._receive, self._send, self._follow_runs)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._leave()

    # --- receiving ----------------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                self._take(_CLIENT_MESSAGE.validate_json(message.get("text") or ""))
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                place = ".".join(str(part) for part in first["loc"])
                self._complain("invalid", f"not a message of this protocol: {place or 'text'}: {first['msg']}")
            except RequestError as error:
                self._complain(error.code, str(error))
            self._wake.set()

    def _take(self, message: ClientMessage) -> None:
        match message:
            case Subscribe():
                self._wanted, self._switching = message, True
            case Unsubscribe():
                self._wanted, self._switching = None, True
            case Ack():
                self._acknowledge(message.seq)
            case Visibility():
                self._visible = message.visible
            case WantPreview():
                self._ask_for_previews()
            case _:
                assert_never(message)

    def _acknowledge(self, seq: int) -> None:
        if seq in self._unacknowledged:
            while self._unacknowledged.popleft() != seq:
                pass

    def _ask_for_previews(self) -> None:
        if self._wanted is None:
            self._complain("not_subscribed", "watch a run before you ask for previews of its batches")
        elif self._role == "viewer":
            self._complain("viewer", "previews cost the run some time, so only an operator may ask for them")
        else:
            control = self._hub.store.control(self._wanted.run)
            control.preview_until_ns = time.perf_counter_ns() + PREVIEW_NS

    def _complain(self, code: str, message: str) -> None:
        self._replies.append(Failed(code=code, message=message))

    async def _follow_runs(self) -> None:
        store = self._hub.store
        version = store.version
        while True:
            version = await store.changed(version)
            self._wake.set()

    # --- sending ------------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._switching:
                await self._switch()
            while not self._switching and (message := self._next()) is not None:
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._socket.send_text(message)

    async def _switch(self) -> None:
        self._switching = False
        wanted = self._wanted
        await self._leave()
        if wanted is not None:
            self._generation = 0
            self._feed = self._hub.join(wanted, self._wake.set)

    async def _leave(self) -> None:
        if self._feed is not None:
            feed, self._feed = self._feed, None
            await self._hub.leave(feed, self._wake.set)

    def _next(self) -> str | bytes | None:
        """What the client lacks most and may have, or None."""
        if self._replies:
            return self._replies.popleft().model_dump_json()
        if self._runs_version != self._hub.store.version:
            self._runs_version = self._hub.store.version
            return self._hub.runs_message()
        feed = self._feed
        if feed is None:
            return None
        if feed.problem is not None:
            self._wanted, self._switching = None, True
            self._wake.set()
            code = feed.problem.code if isinstance(feed.problem, RequestError) else "trace"
            return Failed(code=code, message=str(feed.problem)).model_dump_json()
        if feed.summary is None or feed.status is None:
            return None  # its first tick is not over
        if self._generation != feed.generation:
            return self._open(feed, feed.summary)
        return self._status(feed) or self._frame(feed)

    def _open(self, feed: Feed, summary: RunSummary) -> str:
        """Begins at the client's own place if that is known here, else at the oldest that is kept."""
        assert self._wanted is not None
        cursor = self._wanted.cursor
        resumed = (
            feed.resumable
            and self._generation == 0
            and self._wanted.boot == self._hub.store.boot
            and 0 < cursor <= feed.spans.end
        )
        self._generation = feed.generation
        self._positions = [cursor if resumed else 0] + [0] * (STREAMS - 1)
        self._snapshot_end = 0 if resumed else feed.spans.end
        self._status_number = 0
        reading = feed.reading
        return Opened(
            run=summary,
            lanes=reading.lanes if reading else [],
            stages=reading.stages if reading else [],
            classes=reading.classes if reading else [],
            changes=reading.changes if reading else [],
            cursor=self._positions[SPANS],
            resumed=resumed,
        ).model_dump_json()

    def _status(self, feed: Feed) -> str | None:
        status = feed.status
        if status is None or self._status_number == feed.status_number:
            return None
        self._status_number = feed.status_number
        preview = status.preview
        wanted = preview is not None and preview.number != self._preview_number and self._visible
        if preview is not None and wanted:
            self._preview_number = preview.number
        return feed.status_message(with_preview=wanted)

    def _frame(self, feed: Feed) -> bytes | None:
        """The next frame, the streams taking turns, if the client has credit for one."""
        if not self._visible or len(self._unacknowledged) >= MAX_FRAMES_IN_FLIGHT:
            return None
        streams = feed.streams
        for _ in streams:
            turn, self._turn = self._turn, (self._turn + 1) % len(streams)
            position = self._positions[turn]
            found = streams[turn].frame_after(position, all_kept=turn == SPANS and position < self._snapshot_end)
            if found is not None:
                self._positions[turn] = found.position
                self._seq = (self._seq + 1) & 0xFFFF_FFFF
                self._unacknowledged.append(self._seq)
                return with_seq(found.frame, self._seq)
        return None
