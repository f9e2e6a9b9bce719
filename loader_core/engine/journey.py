"""The journey of a batch: indices -> task -> worker -> slot -> tensors -> device -> you.

Read `Journey` from `_dispatch` on: its methods stand in the order in which a batch passes through them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.context import BaseContext
from typing import Any, Literal

import torch
from torch._utils import ExceptionWrapper
from torch.utils.data._utils.pin_memory import pin_memory

from loader_core.engine.death import certificate
from loader_core.engine.device import Simulated, as_iterator, carry, open_copier
from loader_core.engine.pool import open_pool
from loader_core.engine.transport import Slots
from loader_core.engine.window import PrefetchWindow
from loader_core.engine.worker import Job, Made, Outcome, Resume, Task, nbytes, received
from loader_core.errors import WorkerTimeout
from loader_core.trace import NOT_MEASURED, NULL_RECORDER, Delivery, Kind, Recorder, Recording, Role, now


class Journey:
    """Iterates over the batches of an epoch; `begin` starts the next one with the same workers.

    `_dispatch` gives indices to a worker, `_collect` notes what workers have made, `_take` picks the batch whose turn
    it is, `_hand_over` makes tensors of it, and `_path` is the way from there to you.

    All methods belong to the thread that iterates.
    """

    def __init__(
        self,
        job: Job,
        *,
        method: Literal["process", "thread"],
        context: BaseContext,
        prefetch_factor: int,
        in_order: bool,
        timeout_s: float | None,
        pin_device: str | None,
        device: torch.device | str | Simulated | None,
        recording: Recording | None,
    ) -> None:
        self._job = job
        self._shape = (max(1, job.num_workers), prefetch_factor, in_order)
        self._window = PrefetchWindow(*self._shape)
        self._timeout_s = timeout_s
        self._pin_device = pin_device
        self._recording = recording
        self._epoch = 0
        self._tasks: dict[int, Task] = {}
        self._made: dict[int, tuple[Made, int]] = {}
        self._indices: Iterator[Any] = iter(())
        self._begun = False
        with ExitStack() as resources:
            self._main: Recorder = NULL_RECORDER
            if recording is not None:
                self._main = recording.recorder(Role.MAIN)
                resources.callback(self._main.close)
            # One more than the window: a slot is taken for a new task before the batch just handed over is lent.
            shared = job.num_workers > 0 and method == "process"
            self._slots = Slots(self._window.capacity + 1, shared=shared)
            resources.callback(self._slots.close)
            share = None if recording is None else recording.share()
            self._pool = open_pool(job, method=method, slots=self._slots, context=context, share=share)
            resources.callback(self._pool.close)
            self._copier = open_copier(device, recording)
            if self._copier is not None:
                resources.callback(self._copier.close)
            self._resources = resources.pop_all()
        self._path = self._new_path()

    # --- epochs ---

    def begin(self, indices: Iterator[Any], *, epoch: int, shared_seed: int | None) -> None:
        """Begin an epoch over what the sampler's iterator `indices` draws. An unfinished epoch is thrown away."""
        if self._begun:
            self._abandon(shared_seed)
        self._begun = True
        self._indices = indices
        self._epoch = self._main.epoch = epoch
        self._window = PrefetchWindow(*self._shape)
        self._path = self._new_path()
        if self._job.num_workers > 0:
            self._fill()

    def _abandon(self, shared_seed: int | None) -> None:
        """Let workers finish the tasks that they have, as torch's do, and then begin anew."""
        self._path.close()
        while self._copier is not None and self._copier.pending:
            self._copier.finish()
        self._made.clear()
        for worker in range(self._job.num_workers):
            self._pool.submit(worker, Resume(shared_seed))
        resumed = 0
        while resumed < self._job.num_workers:
            made = self._receive(None)
            if made is not None and made.outcome is Outcome.RESUMED:
                resumed += 1
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
        self._pool.submit(worker, task)
        self._main.mark(Kind.DISPATCH, number, value=self._window.in_flight)
        return True

    def _collect(self, timeout_s: float | None) -> bool:
        """Note one thing that a worker has made. False if none came within `timeout_s`."""
        made = self._receive(timeout_s)
        if made is None:
            return False
        if made.outcome is Outcome.EXHAUSTED:
            self._free(self._window.worker_done(made.worker))
            self._fill()
            return True
        held = not self._window.is_next(made.number)
        self._made[made.number] = (made, now() if held else 0)
        self._window.arrived(made.number)
        return True

    def _receive(self, timeout_s: float | None) -> Made | None:
        made = self._pool.receive(timeout_s)
        if made is not None and made.outcome is Outcome.DIED:
            raise self._death(made)
        return made

    def _take(self, wait: bool) -> Delivery | None:
        """The next batch on the host. None if none is ready and we shall not `wait`.

        Raises StopIteration at the end of the epoch, and what the dataset raised.
        """
        if self._job.num_workers == 0:
            self._fill()
        else:
            while self._collect(0):
                pass
        ready = self._window.ready
        while (number := self._window.next_ready()) is None:
            if self._window.in_flight == 0:
                raise StopIteration
            if not wait:
                return None
            if not self._collect(self._timeout_s):
                raise WorkerTimeout(f"DataLoader timed out after {self._timeout_s} seconds")
        if self._job.num_workers > 0:
            self._fill()
        return self._hand_over(number, ready)

    def _hand_over(self, number: int, ready: int) -> Delivery:
        made, held_since = self._made.pop(number)
        indices = self._tasks.pop(number).indices
        start = now()
        if held_since:
            self._main.add(Kind.HOLD, number, held_since, start)
        batch = self._batch(made)
        size = nbytes(batch) if self._main.enabled else NOT_MEASURED
        self._main.add(Kind.RECEIVE, number, start, value=size)
        if made.outcome is Outcome.ERROR:
            if isinstance(batch, ExceptionWrapper):
                batch.reraise()
            raise batch
        if self._pin_device is not None:
            batch = pin_memory(batch, self._pin_device)
        return Delivery(
            batch=batch,
            number=number,
            epoch=self._epoch,
            indices=_shown(indices, self._job.auto_collation),
            samples=made.samples,
            nbytes=size,
            ready=ready,
        )

    def _batch(self, made: Made) -> Any:
        if made.content is not None and made.outcome is not Outcome.FIELDS:
            self._slots.give_back(made.slot)
            return made.content
        memory = self._slots.lend(made.slot, made.used)
        return received(made, self._pool.plans(made.worker), memory)

    def _new_path(self) -> Generator[Any, None, None]:
        """Batches -> on the device -> you."""
        deliveries = as_iterator(self._take) if self._copier is None else carry(self._take, self._copier)
        if self._recording is not None:
            yield from self._recording.deliver(deliveries)
        else:
            yield from map(_taken_out, deliveries)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._path)
        except StopIteration:
            raise
        except BaseException:
            # A generator that has raised is over, but torch's loader goes on with the batch after the error.
            self._path = self._new_path()
            raise

    # --- the end ---

    def pids(self) -> list[int]:
        """The processes that the workers run in, by worker."""
        return self._pool.pids()

    def close(self) -> None:
        """End workers and threads, and let go of the slots. Idempotent."""
        self._path.close()
        self._resources.close()

    def _free(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            task = self._tasks.pop(number, None)
            if task is not None:
                self._slots.give_back(task.slot)

    def _death(self, made: Made) -> Exception:
        doing = self._window.outstanding(made.worker)
        indices = self._tasks[doing[0]].indices if doing else None
        return certificate(
            worker=made.worker,
            pid=self._pool.pids()[made.worker],
            exitcode=made.exitcode,
            batch=doing[0] if doing else None,
            indices=_shown(indices, self._job.auto_collation) or (),
        )


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
    return None if len(indices) > 0 and indices[0] is None else indices
