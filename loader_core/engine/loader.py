"""DataLoader: torch's, with our iteration.

A subclass of `torch.utils.data.DataLoader`: every argument, check and attribute that programs rely on is torch's own.
What differs is how a batch gets from the dataset to you, which is what the rest of this package is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from typing import Any, Literal, TypeVar

import torch
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data._utils.pin_memory import pin_memory
from torch.utils.data.dataloader import _BaseDataLoaderIter

from loader_core.engine.death import certificate
from loader_core.engine.device import Simulated, as_iterator, carry, open_copier
from loader_core.engine.pool import InlinePool, Pool, ProcessPool, ThreadPool
from loader_core.engine.transport import Slots
from loader_core.engine.window import PrefetchWindow
from loader_core.engine.worker import Job, Made, Outcome, Resume, Task, nbytes, received
from loader_core.errors import SettingsError, WorkerTimeout
from loader_core.trace import NOT_MEASURED, NULL_RECORDER, Delivery, Kind, Recorder, Recording, Role, now

T_co = TypeVar("T_co", covariant=True)


class DataLoader(TorchDataLoader[T_co]):
    """`torch.utils.data.DataLoader` with slots instead of queues, and every stage recorded.

    All arguments are torch's and mean the same, and these are added:

    worker_method: "process" (torch's way) or "thread". Threads share the dataset, the GIL and the random state; they
        pay where `__getitem__` lets go of the GIL (reading, decoding, numpy).
    device: where batches shall be: a `torch.device` or its name, "accelerator" for the one that torch finds, or
        "simulated" (see `Simulated`). None leaves batches in the host's memory.
    recording: the run that events are recorded into. None records nothing.

    Batches are views of memory that is used again once you let go of them. Keep as many as you like: past the first
    two, you are given copies.

    Raises: what torch's raises, and SettingsError for arguments that contradict each other or this host.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        *args: Any,
        worker_method: Literal["process", "thread"] = "process",
        device: torch.device | str | Simulated | None = None,
        recording: Recording | None = None,
        **kwargs: Any,
    ) -> None:
        if worker_method not in ("process", "thread"):
            raise SettingsError(f"worker_method must be 'process' or 'thread', not {worker_method!r}")
        self.worker_method = worker_method
        self.device = device
        self.recording = recording
        self.epoch = 0
        super().__init__(dataset, batch_size, *args, **kwargs)
        if worker_method == "process" and self.num_workers > 0 and sys.platform == "win32":
            raise SettingsError("process workers need POSIX pipes; on Windows use worker_method='thread'")

    def _get_iterator(self) -> _BaseDataLoaderIter:
        if self.num_workers > 0:
            self.check_worker_number_rationality()
        return LoaderIterator(self)


class LoaderIterator(_BaseDataLoaderIter):
    """The batches of one epoch, and of later ones where workers persist. Belongs to the thread that iterates.

    The journey of a batch, in the order of this class: `_dispatch` gives indices to a worker, `_collect` notes what
    workers have made, `_take` picks the batch whose turn it is, `_hand_over` makes tensors of it, and `_journey` is the
    path from there to you.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._loader = loader
        self._resources = ExitStack()
        self._owner = os.getpid()
        self._main: Recorder = NULL_RECORDER
        if loader.recording is not None:
            self._main = loader.recording.recorder(Role.MAIN)
            self._resources.callback(self._main.close)
        in_processes = self._num_workers > 0 and loader.worker_method == "process"
        # Beside the window: a slot is taken for a new task before the batch just handed over is lent.
        self._slots = Slots(self._new_window().capacity + 1, shared=in_processes)
        self._resources.callback(self._slots.close)
        self._pool = self._open_pool()
        self._resources.callback(self._pool.close)
        self._copier = open_copier(loader.device, loader.recording)
        if self._copier is not None:
            self._resources.callback(self._copier.close)
        self._begin_epoch()
        # Closed first: a step that is broken off is recorded now, and not when this iterator is collected.
        self._resources.callback(lambda: self._stream.close())
        if self._num_workers > 0:
            self._reset(loader, first_iter=True)

    def _open_pool(self) -> Pool:
        loader = self._loader
        share = None if loader.recording is None else loader.recording.share()
        job = Job(
            dataset=self._dataset,
            collate_fn=self._collate_fn,
            auto_collation=self._auto_collation,
            drop_last=self._drop_last,
            batch_size=loader.batch_size or 1,
            num_workers=self._num_workers,
            base_seed=self._base_seed,
            shared_seed=self._shared_seed,
            worker_init_fn=loader.worker_init_fn if self._num_workers else None,
        )
        if self._num_workers == 0:
            return InlinePool(job, slots=self._slots, share=share)
        if loader.worker_method == "thread":
            return ThreadPool(job, slots=self._slots, share=share)
        context = loader.multiprocessing_context or torch.multiprocessing.get_context()
        return ProcessPool(job, slots=self._slots, context=context, share=share)

    def _new_window(self) -> PrefetchWindow:
        return PrefetchWindow(max(1, self._num_workers), self._loader.prefetch_factor or 1, self._loader.in_order)

    # --- epochs ---

    def _begin_epoch(self) -> None:
        self._epoch = self._loader.epoch
        self._loader.epoch += 1
        self._main.epoch = self._epoch
        self._window = self._new_window()
        self._tasks: dict[int, Task] = {}
        self._made: dict[int, tuple[Made, int]] = {}
        self._stream = self._journey()

    def _reset(self, loader: Any, first_iter: bool = False) -> None:
        """Begin an epoch with the workers that are there. The sampler is opened as often as torch opens it."""
        super()._reset(loader, first_iter)
        if not first_iter:
            self._end_epoch()
            self._begin_epoch()
        self._fill()

    def _end_epoch(self) -> None:
        """Throw away what is left of this epoch. Workers finish the tasks that they have, as torch's do."""
        self._stream.close()
        while self._copier is not None and self._copier.pending:
            self._copier.finish()
        for made, _ in self._made.values():
            self._slots.give_back(made.slot)
        resumed = 0
        for worker in range(self._num_workers):
            self._pool.submit(worker, Resume(self._shared_seed))
        while resumed < self._num_workers:
            made = self._receive(self._patience)
            if made is None:
                continue
            if made.outcome is Outcome.RESUMED:
                resumed += 1
            elif made.number in self._tasks:
                self._slots.give_back(made.slot)
                del self._tasks[made.number]
        # Tasks of a worker that ran out of samples are never answered.
        self._free(list(self._tasks))
        self._tasks.clear()

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
            indices = self._next_index()
        except StopIteration:
            return False
        number = self._window.dispatched(worker)
        self._main.add(Kind.DRAW, number, start, value=len(indices) if self._auto_collation else 1)
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
        if self._num_workers == 0:
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
            if not self._collect(self._patience):
                raise WorkerTimeout(f"DataLoader timed out after {self._timeout} seconds")
        if self._num_workers > 0:
            self._fill()
        return self._hand_over(number, ready)

    @property
    def _patience(self) -> float | None:
        return self._timeout if self._timeout > 0 else None

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
        if self._pin_memory:
            batch = pin_memory(batch, self._pin_memory_device)
        return Delivery(
            batch=batch,
            number=number,
            epoch=self._epoch,
            indices=_shown(indices, self._auto_collation),
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

    def _journey(self) -> Generator[Any, None, None]:
        """Indices -> tasks -> batches -> on the device -> you."""
        deliveries = as_iterator(self._take) if self._copier is None else carry(self._take, self._copier)
        if self._loader.recording is not None:
            yield from self._loader.recording.deliver(deliveries)
        else:
            yield from map(_taken_out, deliveries)

    def _next_data(self) -> Any:
        try:
            return next(self._stream)
        except StopIteration:
            if not self._persistent_workers:
                self._shutdown_workers()
            raise
        except BaseException:
            # A generator that has raised is over, but torch's loader goes on with the batch after the error.
            self._stream = self._journey()
            raise

    # --- the end ---

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
            indices=_shown(indices, self._auto_collation) or (),
        )

    def _shutdown_workers(self) -> None:
        """End workers and threads, and let go of the slots. Idempotent. (The name is the one that Lightning calls.)"""
        self._resources.close()

    def __del__(self) -> None:
        # Not at the interpreter's end, when modules are gone already; and not in a process that was forked while we
        # iterate, whose copy of this iterator has no workers.
        if not sys.is_finalizing() and getattr(self, "_owner", None) == os.getpid():
            self._shutdown_workers()


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
