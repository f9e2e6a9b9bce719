"""The journey of a batch: indices -> task -> worker -> slot -> tensors -> device -> you.

Read `Journey` from `_dispatch` on: its methods stand in the order in which a batch passes through them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any, Literal

import numpy as np
import torch
from torch._utils import ExceptionWrapper
from torch.utils.data._utils.pin_memory import pin_memory

from loader_core.engine.collate import Plan
from loader_core.engine.death import certificate
from loader_core.engine.device import Simulated, as_iterator, carry, open_copier
from loader_core.engine.limits import oom_kills
from loader_core.engine.pool import open_pool
from loader_core.engine.position import Position
from loader_core.engine.quarantine import Quarantine
from loader_core.engine.task import Job, Made, Notes, Outcome, Resume, StreamState, Task
from loader_core.engine.transport import Slots
from loader_core.engine.window import PrefetchWindow
from loader_core.engine.worker import nbytes, received
from loader_core.errors import WorkerTimeout
from loader_core.trace import NOT_MEASURED, NULL_RECORDER, Delivery, Kind, Recorder, Recording, Role, now
from loader_core.trace.process_meter import ProcessMeter

MOST_DEATHS = 3
"""Workers that may die of the same batch before it is taken for the cause."""


@dataclass(frozen=True, slots=True)
class Way:
    """How batches travel: the loader's arguments that are not the job's."""

    method: Literal["process", "thread"]
    context: BaseContext
    prefetch_factor: int
    in_order: bool
    timeout_s: float | None
    pin_device: str | None
    device: torch.device | str | Simulated | None
    restarts: bool
    recording: Recording | None


@dataclass(slots=True)
class _Arrival:
    """A batch that is here, and what is needed to read it. `held_since` is 0 if it was its turn when it came."""

    made: Made
    plans: dict[int, Plan]
    held_since: int


class Journey:
    """Iterates over the batches of an epoch; `begin` starts the next one with the same workers.

    `_dispatch` gives indices to a worker, `_collect` notes what workers have made, `_take` picks the batch whose turn
    it is, `_hand_over` makes tensors of it, and `_path` is the way from there to you.

    All methods belong to the thread that iterates.
    """

    def __init__(self, job: Job, way: Way, quarantine: Quarantine) -> None:
        self._job = job
        self._way = way
        self._quarantine = quarantine
        self._position = Position()
        self._epoch = 0
        self._window = self._new_window(0)
        self._tasks: dict[int, Task] = {}
        self._arrivals: dict[int, _Arrival] = {}
        self._taken: deque[tuple[int, int, Notes]] = deque()
        self._deaths: Counter[int] = Counter()
        self._resuming: Counter[int] = Counter()  # by worker: new epochs that it was asked for and has not begun
        self._indices: Iterator[Any] = iter(())
        self.ended = False
        """The epoch has ended: without a batch that is left, or because a viewer stopped it."""
        self._begun = self._drained = self._raised_stop = False
        self._oom_kills = oom_kills() if job.num_workers > 0 and way.method == "process" else None
        self._meter = ProcessMeter() if way.recording is None else way.recording.meter
        with ExitStack() as resources:
            self._main: Recorder = NULL_RECORDER
            share = None
            if way.recording is not None:
                self._main = way.recording.recorder(Role.MAIN)
                share = way.recording.share()
                resources.callback(self._main.close)
            # One more than the window: a slot is taken for a new task before the batch just handed over is lent.
            shared = job.num_workers > 0 and way.method == "process"
            self._slots = Slots(
                self._window.capacity + 1, shared=shared, workers=job.num_workers, page_lock=way.pin_device == "cuda"
            )
            resources.callback(self._slots.close)
            self._pool = open_pool(job, method=way.method, slots=self._slots, context=way.context, share=share)
            resources.callback(self._pool.close)
            self._copier = open_copier(way.device, way.recording)
            if self._copier is not None:
                resources.callback(self._copier.close)
            self._resources = resources.pop_all()
        self._path = self._new_path()

    def _new_window(self, first: int) -> PrefetchWindow:
        workers = max(1, self._job.num_workers)
        return PrefetchWindow(workers, self._way.prefetch_factor, self._way.in_order, first)

    # --- epochs ---

    def begin(self, indices: Iterator[Any], *, epoch: int, shared_seed: int | None, start: Position) -> None:
        """Begin an epoch; an unfinished one is thrown away.

        `indices` is the sampler's iterator, advanced to batch `start.done`.
        """
        if self._begun:
            self._abandon()
        if self._begun or start.streams:
            self._resume(shared_seed, start)
        self._begun, self._drained, self.ended = True, False, False
        self._indices = indices
        self._epoch = self._main.epoch = epoch
        self._window = self._new_window(start.done)
        self._deaths.clear()
        self._position = start
        self._path = self._new_path()
        if self._job.num_workers > 0:
            self._fill()

    def _abandon(self) -> None:
        self._path.close()
        while self._copier is not None and self._copier.pending:
            self._copier.finish()
        self._arrivals.clear()
        self._taken.clear()

    def _resume(self, shared_seed: int | None, start: Position) -> None:
        """Let workers finish the tasks that they have, as torch's do, and then begin anew."""

        def ask(worker: int) -> None:
            self._resuming[worker] += self._job.num_workers > 0  # else it is done at once
            self._pool.submit(worker, Resume(shared_seed, start.streams.get(worker, StreamState())))

        for worker in range(max(1, self._job.num_workers)):
            ask(worker)
        while self._resuming.total() > 0:
            made = self._receive(self._way.timeout_s)
            if made is None:
                raise self._timed_out()
            if made.outcome is Outcome.RESUMED:
                self._resuming[made.worker] -= 1
            elif made.outcome is Outcome.DIED and self._resuming.pop(made.worker, 0) > 0:
                ask(made.worker)  # what was asked of it died with it
        self._free(list(self._tasks))

    # --- the journey of a batch ---

    def _fill(self) -> None:
        """Dispatch as many batches as the window has room for."""
        while (worker := self._window.offer()) is not None:
            if not self._dispatch(worker):
                return

    def _dispatch(self, worker: int) -> bool:
        """Give the sampler's next indices to `worker`. False if the sampler has none left."""
        start = now()
        try:
            indices = next(self._indices)
        except StopIteration:
            return False
        number = self._window.dispatched(worker)
        self._main.add(Kind.DRAW, number, start, value=len(indices) if self._job.auto_collation else 1)
        task = self._tasks[number] = Task(self._epoch, number, self._slots.take(), indices)
        if number in self._position.beyond:
            # Delivered before the checkpoint: it is here at once, and passed over when its turn comes.
            self._arrivals[number] = _Arrival(Made(worker, Outcome.EMPTY, number, task.slot), {}, 0)
            self._window.arrived(number)
            return True
        self._pool.submit(worker, task)
        self._main.mark(Kind.DISPATCH, number, value=self._window.in_flight)
        return True

    def _collect(self, timeout_s: float | None) -> bool:
        """Note one thing that a worker has made. False if none came within `timeout_s`."""
        made = self._receive(timeout_s)
        if made is None:
            return False
        if made.outcome is Outcome.EXHAUSTED:
            lost = self._window.worker_done(made.worker)
            self._free(lost)
            for number in lost:
                self._position.delivered(number)
            self._fill()
        elif made.outcome is not Outcome.DIED:
            held = not self._window.is_next(made.number)
            plans = self._pool.plans(made.worker)
            self._arrivals[made.number] = _Arrival(made, plans, now() if held else 0)
            self._window.arrived(made.number)
        return True

    def _receive(self, timeout_s: float | None) -> Made | None:
        made = self._pool.receive(timeout_s)
        if made is not None and made.outcome is Outcome.DIED:
            self._bury(made)
        return made

    def _take(self, wait: bool) -> Delivery | None:
        """The next batch on the host. None if none is ready and we shall not `wait`.

        Raises StopIteration at the end of the epoch, and what the dataset raised.
        """
        ready = None
        while True:
            if self._job.num_workers == 0:
                self._fill()
            elif self._main.enabled or not self._window.is_ready:  # a recording says how many were ready
                while self._collect(0):
                    pass
            ready = self._window.ready if ready is None else ready
            number = self._window.next_ready()
            if number is not None:
                if self._job.num_workers > 0:
                    self._fill()
                delivery = self._hand_over(number, ready)
                if delivery is not None:
                    return delivery
            elif self._window.in_flight == 0:
                self._drained = True
                raise StopIteration
            elif not wait:
                return None
            elif not self._collect(self._way.timeout_s):
                raise self._timed_out()

    def _timed_out(self) -> WorkerTimeout:
        return WorkerTimeout(f"DataLoader timed out after {self._way.timeout_s} seconds")

    def _hand_over(self, number: int, ready: int) -> Delivery | None:
        """The batch as tensors; None if there is no such batch, after all. Raises what the dataset raised."""
        arrival, indices = self._arrivals.pop(number), self._tasks.pop(number).indices
        self._meter.look(self._main)
        made, start = arrival.made, now()
        follower = self._arrivals.get(number + 1)
        if follower is not None and follower.held_since:  # from now on it is its turn, and it waits for the consumer
            self._main.add(Kind.HOLD, number + 1, follower.held_since, start)
        batch = received(made, arrival.plans, self._slots)
        size = nbytes(batch) if self._main.enabled else NOT_MEASURED
        self._main.add(Kind.RECEIVE, number, start, value=size)
        if made.outcome in (Outcome.ERROR, Outcome.EMPTY):
            self._position.delivered(number)
        for bad in made.notes.bad:
            self._quarantine.add(bad)
        if made.outcome is Outcome.ERROR:
            kind = batch.exc_type if isinstance(batch, ExceptionWrapper) else type(batch)
            self._raised_stop = issubclass(kind, StopIteration)  # an error like others, not the end of the epoch
            if isinstance(batch, ExceptionWrapper):
                batch.reraise()
            raise batch
        if made.outcome is Outcome.EMPTY:
            return None
        if self._way.pin_device is not None:
            batch = pin_memory(batch, self._way.pin_device)
        self._taken.append((number, made.worker, made.notes))
        return Delivery(
            batch=batch,
            number=number,
            epoch=self._epoch,
            indices=_shown(indices, self._job.auto_collation) if self._main.enabled else None,
            samples=made.samples,
            nbytes=size,
            ready=ready,
        )

    def _new_path(self) -> Generator[Any, None, None]:
        """Batches -> on the device -> you."""
        deliveries = as_iterator(self._take) if self._copier is None else carry(self._take, self._copier)
        if self._way.recording is not None:
            yield from self._way.recording.deliver(deliveries)
        else:
            yield from map(_taken_out, deliveries)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            batch = next(self._path)
        except BaseException as error:
            self.ended = isinstance(error, StopIteration) and not self._raised_stop
            if self.ended:
                self._position.over = self._drained
            else:  # a generator that has raised is over, but torch's loader goes on with the batch after the error
                self._path = self._new_path()
            self._raised_stop = False
            raise
        number, worker, notes = self._taken.popleft()
        self._position.delivered(number)
        if self._job.iterable:
            self._position.stream_delivered(worker, notes)
        return batch

    # --- the end ---

    def pids(self) -> list[int]:
        """The processes that the workers run in, by worker."""
        return self._pool.pids()

    def workers(self) -> Sequence[BaseProcess | Thread]:
        """The workers themselves, also when they have ended."""
        return self._pool.workers()

    def close(self) -> None:
        """End workers and threads, and let go of the slots. Idempotent."""
        self._path.close()
        self._resources.close()

    def _free(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            task = self._tasks.pop(number, None)
            if task is not None:
                self._slots.give_back(task.slot)

    def _bury(self, made: Made) -> None:
        """A worker is gone. Put another in its place, with the same tasks, or raise its death certificate."""
        worker = made.worker
        tasks = [self._tasks[number] for number in self._window.outstanding(worker)]
        self._main.mark(Kind.DIED, tasks[0].number if tasks else 0, value=made.exitcode)
        if tasks:
            self._deaths[tasks[0].number] += 1
        deaths = self._deaths[tasks[0].number] if tasks else 1
        if not self._way.restarts or self._job.iterable or deaths >= MOST_DEATHS:
            raise certificate(
                worker=worker,
                pid=self._pool.pids()[worker],
                exitcode=made.exitcode,
                batch=tasks[0].number if tasks else None,
                indices=(_shown(tasks[0].indices, self._job.auto_collation) or ()) if tasks else (),
                deaths=deaths,
                held_bytes=made.content,
                starved=None if self._oom_kills is None else (oom_kills() or 0) > self._oom_kills,
            )
        self._pool.restart(worker)
        for task in tasks:
            self._pool.submit(worker, task)


def _taken_out(delivery: Delivery) -> Any:
    """The batch of `delivery`, which then holds it no longer: you alone decide how long its memory is lent."""
    batch, delivery.batch = delivery.batch, None
    return batch


def _shown(indices: Any, auto_collation: bool) -> Sequence[Any] | None:
    """The indices of a batch as a sequence; None where an iterable dataset has none."""
    if indices is None:
        return None
    if not auto_collation:
        return [indices]
    shown: list[Any] = indices.tolist() if isinstance(indices, np.ndarray) else list(indices)
    return None if shown and shown[0] is None else shown
