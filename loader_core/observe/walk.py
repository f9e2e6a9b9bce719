"""One iterator of an observed loader, seen from the main process: indices drawn, tasks given, batches received, held,
waited for and worked on.

A Walk never holds the iterator, nor anything of the user's that could, so that the iterator goes when the user lets go
of it, as it would without us.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from torch._utils import ExceptionWrapper
from torch.utils.data import IterableDataset

from loader_core.observe import device_copies
from loader_core.observe.failures import Task, killed_by, tell_failure
from loader_core.observe.leaves import contents
from loader_core.observe.linting import IndexTally, drawer, length_of, loader_facts
from loader_core.observe.progress import Progress, Row
from loader_core.observe.quiet import quietly
from loader_core.observe.torch_private import is_batch
from loader_core.trace import (
    NO_BATCH,
    NOT_MEASURED,
    NULL_RECORDER,
    Delivery,
    Flag,
    Kind,
    Recorder,
    Recording,
    Role,
    current_recorder,
    now,
    set_current,
)
from loader_core.trace.facts import append_fact

STUCK_NS = 10_000_000_000
"""Who interrupts a wait of so long, which a verdict calls a hang, is told which worker it was for."""


class Walk:
    """Records what one iterator does. Used by whichever thread asks the iterator, one at a time.

    Attributes:
        received_ns: when the bytes of the batch that is being unpickled were there; 0: not known.
        progress: what its workers are at; None without workers.
        draws_indices: its sampler gives indices, and not only the beat for a stream.
        is_idle: its epoch is over, and no other has begun.
    """

    def __init__(self, loader: Any, run: Recording, *, obeys: bool) -> None:
        self.broken = False
        self.run = run
        self._obeys = obeys
        self.own_row: Row | None = None
        """What this process is at, where it fetches by itself."""
        self.received_ns = 0
        self.progress = Progress.create(run.directory, loader.num_workers) if loader.num_workers else None
        self._in_order = bool(getattr(loader, "in_order", True))
        self._auto_collation = loader.batch_sampler is not None
        self.draws_indices = not isinstance(loader.dataset, IterableDataset)
        self._length = length_of(loader)
        self._sampler = _weakly(drawer(loader))
        self._sampler_epoch: int | None = None
        self._workers: list[Any] = []
        self._previous: Recorder = NULL_RECORDER
        self._is_current = False
        self._is_over = False
        self.is_idle = False
        _walks.setdefault(run, weakref.WeakSet()).add(self)
        self._pid, self._thread = os.getpid(), threading.get_ident()
        self._taken = 0
        self._reset()
        if self.epoch == 0:
            for fact in loader_facts(loader):
                append_fact(run.directory, fact)

    def _reset(self) -> None:
        """As at the beginning of an epoch."""
        self.epoch = self.run.begin_epoch()
        self.is_idle = False
        if self.progress is not None:
            self.progress.epoch = self.epoch
        self._tally = IndexTally(self._length) if self.draws_indices else None
        self._tasks: dict[int, Task] = {}
        self._drawn: Any = None
        self._held: dict[int, int] = {}
        self._failures: set[int] = set()
        self._is_first_draw = True
        self.next_number = 0
        """Of the batch that is asked for next, where batches come in order."""
        self.newest = NOT_MEASURED
        """Of the batch that came last from a worker."""
        self._asked_ns = 0
        self._ready = NOT_MEASURED
        self._step: tuple[int, int, int, int] | None = None

    @property
    def _main(self) -> Recorder:
        """The calling thread's recorder of the main lane; walks of one run share it."""
        recorder = self.run.own_recorder(Role.MAIN)
        recorder.epoch = self.epoch
        return recorder

    @property
    def _consumer(self) -> Recorder:
        recorder = self.run.consumer
        recorder.epoch = self.epoch
        return recorder

    def works_with(self, workers: Any) -> None:
        """The worker processes of the iterator, by number, once they are started."""
        self._workers = list(workers or ())

    # --- indices and tasks --------------------------------------------------------------------------------------------

    @quietly
    def begin_epoch(self) -> None:
        """A persistent iterator begins anew."""
        self._tell_epoch(complete=False)
        self._end_unsaid_step(0)  # whatever came between two epochs is no part of it
        self._reset()

    @quietly
    def drew(self, number: int, indices: Any, start: int) -> None:
        """The sampler has given the indices of batch `number`."""
        count = len(indices) if self._auto_collation and hasattr(indices, "__len__") else 1
        self._main.add(Kind.DRAW, number, start, value=count)
        self._drawn = indices
        if self._tally is not None:
            if self._is_first_draw:
                self._is_first_draw = False
                self._look_at_sampler()
            self._tally.add(indices)

    def _look_at_sampler(self) -> None:
        """Whether `set_epoch` was called since the last epoch: the sampler then has another one."""
        sampler = self._sampler()
        epoch = getattr(sampler, "__dict__", {}).get("epoch")
        if type(epoch) is int and callable(getattr(sampler, "set_epoch", None)) and epoch != self._sampler_epoch:
            if self._sampler_epoch is not None or epoch != 0:
                append_fact(self.run.directory, {"kind": "set_epoch", "epoch": epoch})
            self._sampler_epoch = epoch

    @quietly
    def dispatched(self, number: int, worker: int, in_flight: int) -> None:
        """Batch `number` was given to a worker."""
        self._tasks[number] = Task(worker, self._drawn)
        self._main.mark(Kind.DISPATCH, number, value=in_flight)

    # --- from the workers ---------------------------------------------------------------------------------------------

    @quietly
    def arrived(self, number: Any, item: Any, its_turn: int) -> None:
        """Something came from a worker: batch `number`, if it is one. `its_turn` is that of the next to hand over."""
        self._taken += 1
        start, self.received_ns = self.received_ns, 0
        if type(number) is not int:
            return
        if is_batch(item):
            end = now()
            flags = Flag.NONE if start else Flag.INFERRED
            self._main.add(Kind.RECEIVE, number, start or end, end, contents(item).nbytes, flags=flags)
        elif isinstance(item, ExceptionWrapper):
            self._failures.add(number)
        else:
            self._tasks.pop(number, None)  # the worker's stream has ended
            return
        self.newest = number
        if self._in_order and number != its_turn:
            self._held[number] = now()

    def ready(self, waiting: int | None) -> int:
        """Batches that are ready now. `waiting`: those that the pin thread is done with, where there is one."""
        if self.progress is None:
            return NOT_MEASURED
        if waiting is None:
            waiting = max(0, self.progress.sent - self._taken)
        return len(self._held) + waiting

    # --- the consumer -------------------------------------------------------------------------------------------------

    @quietly
    def asked(self, waiting: int | None = None) -> None:
        """The training loop asks for a batch: its step is over."""
        recorder = self._consumer
        self._thread = threading.get_ident()
        self._end_step(recorder)
        if self._obeys:
            self.run.may_go_on()
        self.run.meter.look(recorder)
        self._ready = self.ready(waiting)
        self._asked_ns = now()

    @quietly
    def end_step(self) -> None:
        """The loop asks for a batch that the loader does not make, so it does not wait."""
        recorder = self._consumer
        self._end_step(recorder)
        recorder.mark(Kind.WAIT_BATCH)

    @quietly
    def paused(self, since_ns: int) -> None:
        """From then to now the loop went on without the loader."""
        self._consumer.add(Kind.PAUSE, NO_BATCH, since_ns)

    def _end_step(self, recorder: Recorder) -> None:
        step, self._step = self._step, None
        if step is not None:
            number, start, cpu, samples = step
            recorder.batch = NO_BATCH
            recorder.add(Kind.STEP, number, start, value=samples)
            recorder.mark(Kind.CPU, number, value=time.process_time_ns() - cpu)

    def _end_unsaid_step(self, latest: int) -> None:
        """Record a step whose end nobody told us of, because the loop was left without asking for another batch, as
        Lightning leaves it: up to the last of its parts that was seen, and up to `latest` where there was none. That
        nobody waits since is told as `Recording.deliver` does: by a WAIT_BATCH of no batch and no length.
        """
        step, self._step = self._step, None
        if step is not None:
            number, start, _, samples = step
            recorder = self._consumer
            recorder.batch = NO_BATCH
            parts_end = recorder.last_ns
            end = parts_end if parts_end > start else max(start, latest)
            recorder.add(Kind.STEP, number, start, end, samples, flags=Flag.INFERRED)
            recorder.add(Kind.WAIT_BATCH, NO_BATCH, end, end, flags=Flag.INFERRED)

    @quietly
    def delivered(self, number: int, batch: Any) -> None:
        """It gets batch `number`."""
        end = now()
        recorder = self._consumer
        recorder.add(Kind.WAIT_BATCH, number, self._asked_ns, end, self._ready)
        self._end_hold(number + 1, end)
        task = self._tasks.pop(number, None)
        self.next_number = number + 1
        held = contents(batch)
        samples = self._samples(task, held.samples)
        indices = task.indices if task is not None else None
        self.run.preview(Delivery(batch, number, self.epoch, _listed(indices), samples, held.nbytes, self._ready))
        device_copies.delivered(device_copies.Delivered(self.run, self.epoch, number, held.nbytes))
        self._become_current(recorder)
        recorder.batch, recorder.sample = number, NOT_MEASURED
        self._step = (number, now(), time.process_time_ns(), samples)

    def _end_hold(self, number: int, end: int) -> None:
        since = self._held.pop(number, None)
        if since is not None:
            self._main.add(Kind.HOLD, number, since, end)

    def _samples(self, task: Task | None, counted: int) -> int:
        if not self._auto_collation:
            return 1
        if self.draws_indices and task is not None and hasattr(task.indices, "__len__"):
            return len(task.indices)
        return counted

    def fetches(self, number: int) -> None:
        """The main process fetches batch `number` by itself."""
        self._tasks[number] = Task(-1, self._drawn)

    def failing(self, number: int) -> int:
        """Of which batch the exception is, when `number` was handed over last: that one, or the one waited for."""
        return number if number in self._failures else number + 1

    # --- the end ------------------------------------------------------------------------------------------------------

    @quietly
    def failed(self, error: BaseException, number: int, workers: Any) -> None:
        """The iterator raised in the place of batch `number`; StopIteration: the epoch is over."""
        recorder = self._consumer
        recorder.add(Kind.WAIT_BATCH, NO_BATCH, self._asked_ns)
        if isinstance(error, StopIteration):
            self.is_idle = True
            self._tell_epoch(complete=True)
            self._leave()
            return
        if isinstance(error, Exception):
            self._tell_failure(error, number, workers)
            self._tasks.pop(number, None)
        elif now() - self._asked_ns >= STUCK_NS:  # Ctrl-C: what a user does who has waited too long
            tell_failure(self.run, self._main, error, number, self._tasks, workers, self._row_of)
        self._end_hold(number + 1, now())
        self.next_number = number + 1

    def _tell_failure(self, error: BaseException, number: int, workers: Any) -> None:
        self._main.mark(Kind.ERROR, number)
        tell_failure(self.run, self._main, error, number, self._tasks, workers, self._row_of)

    def _tell_death(self) -> None:
        """A worker died while the loop was at its own work: torch raises there, from a signal's handler."""
        error, workers = getattr(sys, "last_value", None), self._workers
        if type(error) is RuntimeError and not self.run.failure and killed_by(error, workers):
            self._tell_failure(error, self.next_number, workers)

    def _row_of(self, worker: int) -> Row | None:
        return self.own_row if self.progress is None or worker < 0 else self.progress.row(worker)

    def _tell_epoch(self, *, complete: bool) -> None:
        tally, self._tally = self._tally, None
        fact = tally.fact(self.epoch, complete=complete) if tally is not None else None
        if fact is not None:
            append_fact(self.run.directory, fact)

    def _become_current(self, recorder: Recorder) -> None:
        """Parts of the step are recorded here from now on, and after this epoch where they were before."""
        if not self._is_current:
            self._is_current, self._previous = True, current_recorder()
        set_current(recorder)

    def _leave(self) -> None:
        device_copies.delivered(None)
        if self._is_current:
            self._is_current = False
            if current_recorder() is self.run.consumer:
                set_current(self._previous)
            self._previous = NULL_RECORDER

    def close(self) -> None:
        """The iterator is gone, or the interpreter ends. Idempotent; nothing in a forked child."""
        if self._is_over or os.getpid() != self._pid:
            return
        self._is_over = self.is_idle = True
        self._let_go()
        if self.progress is not None:
            self.progress.close()

    @quietly
    def _let_go(self) -> None:
        """Record a step that the iterator's end cut off, if the thread that took the batch let go."""
        if threading.get_ident() == self._thread:
            self._end_unsaid_step(now())
            self._tell_death()
        self._workers = []
        self._tell_epoch(complete=False)
        self._leave()


_walks: weakref.WeakKeyDictionary[Recording, weakref.WeakSet[Walk]] = weakref.WeakKeyDictionary()


def is_walked(run: Recording) -> bool:
    """Whether somebody iterates over a loader of this run just now."""
    return any(not walk.is_idle for walk in _walks.get(run, ()))


def _weakly(thing: Any) -> Callable[[], Any]:
    """A weak reference; to None where there is none to be had."""
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: None


def _listed(indices: Any) -> list[Any] | None:
    return list(indices) if isinstance(indices, list | tuple) else None
