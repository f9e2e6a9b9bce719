"""The feed: from a run's trace to the browsers that watch it.

`FeedHub` has one `Feed` per watched run and one `Session` per websocket. A feed works once per tick, however many
clients watch it, and only while one does: a worker thread reads what is new (`reading.py`), which goes into logs
(`logs.py`) of bounded size; then the sessions are woken. A session takes from the logs what its client lacks and has
credit for, so a slow client costs a few integers and never a queue. Frames are encoded once for all clients that are at
the same place.

A replay is a feed of its own, whose reader has a `now` that moves.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

import numpy as np
from starlette.websockets import WebSocket

from app.logs import RollupLog, SpanLog, StepLog
from app.memory import process_memory
from app.problems import RequestError
from app.reading import LiveReader, Reader, Reading, ReplayReader
from app.session import Session
from app.wire import (
    AccessRole,
    ProcessMemory,
    RunsChanged,
    RunSummary,
    Series,
    Status,
    Subscribe,
)
from loader_core.diagnose.metrics import measure
from loader_core.errors import TraceError
from loader_core.trace.control import Control
from loader_core.trace.trace import ROW_DTYPE, Trace

TICK_S = 0.1
"""How often a live run is read."""
STATUS_S = 0.25
"""How often its numbers are told, at most."""
MEMORY_S = 1.0
"""How often its processes are measured, at most."""
LAST_WORDS_S = 1.0
"""How often a run is read that says it is over while its process lives: its workers may still have to say so."""

log = logging.getLogger(__name__)


class Store(Protocol):
    """What a feed needs of the runs. `reading` is called from worker threads, all else from the event loop."""

    boot: int
    version: int

    def summaries(self) -> list[RunSummary]:
        """All runs."""

    def summary(self, run_id: str) -> RunSummary:
        """One run. Raises NotFoundError."""

    def reading(self, run_id: str) -> AbstractContextManager[Trace]:
        """The run's trace for the calling thread alone. Raises NotFoundError, TraceError."""

    def control(self, run_id: str) -> Control:
        """The page by which to talk to a live run. Raises NotFoundError, ConflictError."""

    async def changed(self, seen: int) -> int:
        """Waits until `version` is another than `seen`, and returns it."""


class Feed:
    """One run, or one replay, while somebody watches it. Belongs to the event loop."""

    def __init__(
        self, run_id: str, store: Store, reader: Reader, *, recognise: Callable[[weakref.ref[Trace]], bool]
    ) -> None:
        """`recognise` says whether the positions in a trace are those that clients of an earlier feed may hold."""
        self.run_id = run_id
        self._store = store
        self._reader = reader
        self._recognise = recognise
        self._listeners: set[Callable[[], None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._pids: dict[int, str] = {}
        self._memory: list[ProcessMemory] = []
        self._memory_due_s = 0.0
        self._status_due_s = 0.0
        self._summary_version = -1
        self.problem: RequestError | TraceError | None = None
        """Why there is nothing (more) to be seen. The feed has ended."""
        self.summary: RunSummary | None = None
        """As of the newest tick; None until the first."""
        self.reading: Reading | None = None
        """The newest; None until the run has begun to record."""
        self.generation = 0
        """Grows when all that clients hold is to be forgotten."""
        self.resumable = False
        """Positions of an earlier feed of this run are positions in this one."""
        self.status: Status | None = None
        self.status_number = 0
        self._status_messages: dict[bool, str] = {}
        self._forget()

    @property
    def streams(self) -> tuple[SpanLog, StepLog, StepLog, StepLog, RollupLog]:
        """All logs; their order is that of a client's positions."""
        return self.spans, self.ready, self.in_flight, self.loss, self.rollup

    def _forget(self) -> None:
        self.spans = SpanLog()
        self.ready = StepLog(Series.READY)
        self.in_flight = StepLog(Series.IN_FLIGHT)
        self.loss = StepLog(Series.LOSS)
        self.rollup = RollupLog()
        self.generation += 1

    # --- listeners ----------------------------------------------------------------------------------------------------

    @property
    def watched(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each tick from now on. The first listener starts the feed."""
        self._listeners.add(wake)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"feed of {self.run_id}")

    async def ignore(self, wake: Callable[[], None]) -> None:
        """No longer call `wake`. When nobody listens any more the feed ends."""
        self._listeners.discard(wake)
        if not self._listeners and self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.wait([task])

    # --- ticks --------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                began_s, version = loop.time(), self._store.version
                over = await self._tick(began_s)
                self._wake_all()
                try:
                    async with asyncio.timeout_at(self._next_tick_s(began_s, over=over)):
                        await self._store.changed(version)
                except TimeoutError:
                    continue
        except (RequestError, TraceError) as error:
            self.problem = error
        except Exception:
            log.exception("the feed of run %s failed", self.run_id)
            self.problem = TraceError(f"run {self.run_id} cannot be shown; the server's terminal says why")
        self._wake_all()

    def _next_tick_s(self, began_s: float, *, over: bool) -> float | None:
        """When to look again if the runs do not change before; None: a recording changes only with them."""
        if not over:
            return began_s + TICK_S
        process_lives = self.summary is not None and self.summary.live
        return began_s + LAST_WORDS_S if process_lives else None

    def _wake_all(self) -> None:
        for wake in tuple(self._listeners):
            wake()

    async def _tick(self, now_s: float) -> bool:
        """Reads what is new; whether nothing will come any more."""
        due = now_s >= self._status_due_s or self._store.version != self._summary_version
        summary = self._look() if due or self.summary is None else self.summary
        try:
            reading = await asyncio.to_thread(self._reader.read, live=summary.live)
        except TraceError:
            if summary.live and summary.state == "starting":  # its header is written when torch is imported
                if due:
                    self._tell(now_s)
                return False
            raise
        self._take(reading)
        await self._measure(None if reading.over else reading, now_s)
        if due or reading.fresh or reading.over:
            self._look()  # the state may have changed while the thread read
            self._tell(now_s)
        return reading.over

    def _look(self) -> RunSummary:
        """The run as the store knows it now. It asks the system after the process: not at each tick."""
        self._summary_version = self._store.version
        self.summary = self._store.summary(self.run_id)
        return self.summary

    def _take(self, reading: Reading) -> None:
        if reading.fresh:
            if self.reading is not None or self.status is not None:
                self._forget()
            self.resumable = reading.source is not None and self._recognise(reading.source)
        self.reading = reading
        self.spans.append(reading.rows, end=reading.end)
        self.ready.append(reading.ready)
        self.in_flight.append(reading.in_flight)
        self.loss.append(reading.loss)
        self.rollup.update(reading.rollup)

    async def _measure(self, reading: Reading | None, now_s: float) -> None:
        if reading is None:
            self._memory = []
        elif now_s >= self._memory_due_s:
            self._memory_due_s = now_s + MEMORY_S
            self._memory = await asyncio.to_thread(process_memory, reading.pids)

    def _tell(self, now_s: float) -> None:
        """Makes the status, if it says something new."""
        assert self.summary is not None
        self._status_due_s = now_s + STATUS_S
        status = status_of(self.summary, self.reading, self._memory)
        if status != self.status:
            self.status = status
            self.status_number += 1
            self._status_messages.clear()

    def status_message(self, *, with_preview: bool) -> str:
        """The status as JSON, made once for all clients."""
        assert self.status is not None
        if with_preview not in self._status_messages:
            status = self.status if with_preview else self.status.model_copy(update={"preview": None})
            self._status_messages[with_preview] = status.model_dump_json()
        return self._status_messages[with_preview]


def status_of(summary: RunSummary, reading: Reading | None, memory: list[ProcessMemory]) -> Status:
    """The run's numbers as a message. Without a reading nothing was measured yet."""
    if reading is None:
        nothing = measure(np.empty(0, ROW_DTYPE), start_ns=0, end_ns=0)
        numbers: dict[str, Any] = {"now_ns": 0, "recent": nothing, "total": nothing, "preview": None}
        numbers |= {"lost_events": 0, "cursor": 0, "lanes": [], "stages": [], "changes": []}
    else:
        numbers = {
            "now_ns": reading.now_ns,
            "recent": reading.recent,
            "total": reading.total,
            "preview": reading.preview,
            "lost_events": reading.lost,
            "cursor": reading.end,
            "lanes": reading.lanes,
            "stages": reading.stages,
            "changes": reading.changes,
        }
    return Status(
        run=summary.id,
        # The store looks once a second; that there is something to read says earlier that the run has begun.
        state="running" if reading and summary.state == "starting" else summary.state,
        reason=summary.reason,
        truncated=reading.truncated if reading else summary.truncated,
        memory=memory,
        **numbers,
    )


class FeedHub:
    """All feeds and all sessions of a server. Belongs to the event loop."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._feeds: dict[str, Feed] = {}
        self._sources: dict[str, weakref.ref[Trace]] = {}
        """The trace that each run's last feed read: positions in it are known to clients."""
        self._runs_message = (-1, "")

    async def serve(self, socket: WebSocket, role: AccessRole) -> None:
        """Speaks with one client until it goes, or the server does. Raises WebSocketDisconnect."""
        await Session(self, socket, role).run()

    @property
    def watched(self) -> list[str]:
        """The runs that somebody watches live."""
        return list(self._feeds)

    def runs_message(self) -> str:
        """The list of runs as JSON, made once for each change of it."""
        version, message = self._runs_message
        if version != self.store.version:
            version = self.store.version
            message = RunsChanged(runs=self.store.summaries()).model_dump_json()
            self._runs_message = version, message
        return message

    def join(self, wanted: Subscribe, wake: Callable[[], None]) -> Feed:
        """The feed that a client asks for, which calls `wake` after each tick from now on."""
        open_trace = partial(self.store.reading, wanted.run)
        if wanted.replay_from_ns is not None:
            replay = ReplayReader(
                open_trace, from_ns=wanted.replay_from_ns, speed=wanted.speed, clock=time.perf_counter_ns
            )
            feed = Feed(wanted.run, self.store, replay, recognise=lambda source: False)
        else:
            existing = self._feeds.get(wanted.run)
            if existing is None or existing.problem is not None:
                recognise = partial(self._recognise, wanted.run)
                existing = Feed(wanted.run, self.store, LiveReader(open_trace), recognise=recognise)
                self._feeds[wanted.run] = existing
            feed = existing
        feed.listen(wake)
        return feed

    async def leave(self, feed: Feed, wake: Callable[[], None]) -> None:
        """The client no longer watches `feed`, which ends if nobody else does."""
        await feed.ignore(wake)
        if not feed.watched and self._feeds.get(feed.run_id) is feed:
            del self._feeds[feed.run_id]

    def _recognise(self, run_id: str, source: weakref.ref[Trace]) -> bool:
        known = self._sources.get(run_id) == source
        self._sources = {run: kept for run, kept in self._sources.items() if kept() is not None} | {run_id: source}
        return known
