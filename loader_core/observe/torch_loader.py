"""torch's own DataLoader, seen into while it works: sampler, workers, queues, reorder buffer, pin thread, consumer.

torch's iterators stay torch's own. Before one of an observed loader is initialised it is given attributes that stand
before its methods, and while it starts its workers, something stands before their loop. What the user made (dataset,
transforms, collate function, samplers) stays as it is, and so do the order of batches, random states, exceptions with
their tracebacks, and warnings.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from queue import Queue
from typing import Any

from torch.utils.data import DataLoader, get_worker_info

from loader_core.observe import torch_private
from loader_core.observe.fetching import FetchWatch
from loader_core.observe.headroom import NONE, Headroom, asked_steps
from loader_core.observe.linting import SampleFacts
from loader_core.observe.pinning import PinLoop
from loader_core.observe.progress import Row
from loader_core.observe.quiet import or_else
from loader_core.observe.torch_private import attribute
from loader_core.observe.torch_worker import ObservedWorker
from loader_core.observe.walk import Walk
from loader_core.start import swallow, unseen
from loader_core.trace import NULL_RECORDER, Recording, Role, now

RunOf = Callable[[DataLoader[Any]], Recording | None]
"""Gives the run that a loader's next iterator is recorded into; None: it is not recorded."""


def watch(loader: DataLoader[Any], run_of: RunOf, *, obeys: bool = False) -> bool:
    """Record what `loader` does, from its next iterator on, into the run that `run_of` gives when that is made.

    `obeys`: a viewer can pause it between two batches, as a run of ours. The loader stays the object that it is, and is
    not kept alive. False where it cannot be seen into: its class makes its own iterators, or this torch is not as we
    know it.
    """
    if not torch_private.makes_torchs_iterators(loader):
        return False
    _patch()
    key = id(loader)
    _watched[key] = weakref.ref(loader, lambda _: _watched.pop(key, None)), run_of, obeys
    return True


def is_watched(loader: Any) -> bool:
    """Whether `watch` was called for it."""
    found = _watched.get(id(loader))
    return found is not None and found[0]() is loader


_watched: dict[int, tuple[weakref.ref[Any], RunOf, bool]] = {}
_patching = threading.Lock()
_patched: set[type] = set()


def _patch() -> None:
    """Stand before `__init__` of torch's iterators, once per process."""
    with _patching:
        for cls, attach in zip(torch_private.iterator_classes(), (_Alone, _WithWorkers), strict=True):
            if cls not in _patched:
                _patched.add(cls)
                _stand_before_init(cls, attach)


def _stand_before_init(cls: Any, attach: Callable[[Any, Any, Walk], _Attached]) -> None:
    initialise = cls.__init__

    @wraps(initialise)
    def __init__(self: Any, loader: Any, *arguments: Any, **keywords: Any) -> None:  # noqa: N807 - takes its place
        attached = _begin(self, loader, attach)
        try:
            with attached.starting() if attached is not None else nullcontext():
                initialise(self, loader, *arguments, **keywords)
        except BaseException as error:
            if attached is not None:
                attached.walk.failed(error, 0, attribute(self, "workers"))
                attached.walk.close()
            unseen(error)
            raise
        if attached is not None:
            _go_on(self, attached)

    cls.__init__ = __init__


def _begin(iterator: Any, loader: Any, attach: Callable[[Any, Any, Walk], _Attached]) -> _Attached | None:
    if not is_watched(loader) or get_worker_info() is not None:
        return None
    try:
        _, run_of, obeys = _watched[id(loader)]
        run = run_of(loader)
        if run is None:
            return None
        attached = attach(iterator, loader, Walk(loader, run, obeys=obeys))
        if attached.walk.epoch == 0 and (missing := torch_private.absent()):
            run.update(absent=missing)
    except Exception:  # noqa: BLE001 - whatever it is, the loader works without us
        swallow("observing a DataLoader")
        return None
    vars(iterator).update(attached.methods())
    return attached


def _go_on(iterator: Any, attached: _Attached) -> None:
    weakref.finalize(iterator, attached.walk.close)
    try:
        attached.started(iterator)
    except Exception:  # noqa: BLE001 - as above
        swallow("observing a DataLoader")


class _Attached:
    """What stands before the methods of one iterator. Holds no iterator, so that it goes when it is let go of."""

    def __init__(self, iterator: Any, loader: Any, walk: Walk) -> None:
        self.walk = walk
        steps = asked_steps() if walk.epoch == 0 else 0  # once per run
        self._headroom = Headroom(loader, steps, walk.run.directory) if steps else None
        self._this = weakref.ref(iterator)
        self._class = type(iterator)
        self._absent = torch_private.absent()

    def methods(self) -> dict[str, Any]:
        """The attributes that the iterator is given, by name."""
        names = torch_private.NAMES
        found = {names.next_batch: self._next_batch}
        if "DRAW" not in self._absent:
            found[names.next_index] = self._next_index
        return found

    def starting(self) -> AbstractContextManager[None]:
        """Entered while the iterator is initialised."""
        return nullcontext()

    def started(self, iterator: Any) -> None:
        """The iterator is initialised."""

    def _own(self, field: str) -> tuple[Any, Callable[..., Any]]:
        """The iterator, and its class's method of that meaning."""
        return self._this(), getattr(self._class, getattr(torch_private.NAMES, field))

    def _next_batch(self) -> Any:
        iterator, method = self._own("next_batch")
        if self._headroom is not None and (again := self._headroom.again(self.walk)) is not NONE:
            return again
        self.walk.asked(self._waiting(iterator))
        try:
            batch = method(iterator)
        except BaseException as error:
            self.walk.failed(error, self._failing(iterator), attribute(iterator, "workers"))
            unseen(error)
            raise
        self.walk.delivered(self._delivered(iterator), batch)
        if self._headroom is not None:
            self._headroom.look_at(batch)
        return batch

    def _next_index(self) -> Any:
        iterator, method = self._own("next_index")
        start = now()
        try:
            indices = method(iterator)
        except BaseException as error:
            unseen(error)
            raise
        self.walk.drew(self._next_to_draw(iterator), indices, start)
        self._prepare()
        return indices

    def _prepare(self) -> None:
        """The indices of a batch are drawn."""

    def _waiting(self, iterator: Any) -> int | None:
        return None

    def _next_to_draw(self, iterator: Any) -> int:
        raise NotImplementedError

    def _delivered(self, iterator: Any) -> int:
        raise NotImplementedError

    def _failing(self, iterator: Any) -> int:
        raise NotImplementedError


class _Alone(_Attached):
    """`num_workers=0`: the main process fetches by itself."""

    def __init__(self, iterator: Any, loader: Any, walk: Walk) -> None:
        super().__init__(iterator, loader, walk)
        iterable = not walk.draws_indices
        self._facts = SampleFacts(walk.run.directory, -1, loader.dataset, iterable=iterable)
        self._fetch: FetchWatch | None = None

    def started(self, iterator: Any) -> None:
        fetcher = attribute(iterator, "fetcher")
        if fetcher is None or "FETCH" in self._absent:
            return
        self.walk.own_row = row = Row.private()
        self._fetch = FetchWatch(NULL_RECORDER, row, self._facts, own_copy=False)
        self._fetch.attach(fetcher)

    @or_else(None)
    def _prepare(self) -> None:
        """The fetcher is about to make their batch."""
        number = self.walk.next_number
        self.walk.fetches(number)
        if self._fetch is not None:
            self._fetch.number = number
            self._fetch.recorder = self.walk.run.own_recorder(Role.WORKER)
            self._fetch.recorder.epoch = self.walk.epoch

    def _next_to_draw(self, iterator: Any) -> int:
        return self.walk.next_number

    def _delivered(self, iterator: Any) -> int:
        return self.walk.next_number

    def _failing(self, iterator: Any) -> int:
        return self.walk.next_number


class _WithWorkers(_Attached):
    """Worker processes, and the queues between them and the main process."""

    def __init__(self, iterator: Any, loader: Any, walk: Walk) -> None:
        super().__init__(iterator, loader, walk)
        self._in_order = bool(getattr(loader, "in_order", True))
        self._pin: PinLoop | None = None

    def methods(self) -> dict[str, Any]:
        names = torch_private.NAMES
        found = super().methods()
        if "DISPATCH" not in self._absent:
            found[names.put_index] = self._put_index
        if "RECEIVE" not in self._absent:
            found[names.get_batch] = self._get_batch
        if hasattr(self._class, names.reset):
            found[names.reset] = self._reset
        return found

    def starting(self) -> AbstractContextManager[None]:
        worker, run = None, self.walk.run
        if "FETCH" not in self._absent and self.walk.progress is not None:
            worker = ObservedWorker(run.share(), self.walk.progress)
        if "PIN" not in self._absent:
            self._pin = PinLoop(torch_private.pin_loop(), run)
            self._pin.epoch = self.walk.epoch
        return torch_private.in_place_of_loops(worker, self._pin)

    def started(self, iterator: Any) -> None:
        self.walk.works_with(attribute(iterator, "workers"))
        queue = attribute(iterator, "result_queue")
        if self._pin is not None:
            self._pin.result_queue = queue
        name = torch_private.NAMES.receive_bytes
        receive = getattr(queue, name, None)
        if receive is None or attribute(iterator, "ready_queue") is not queue:
            return
        walk = self.walk

        def receive_bytes(*arguments: Any, **keywords: Any) -> Any:
            walk.received_ns = now()
            return receive(*arguments, **keywords)

        setattr(queue, name, receive_bytes)

    def _reset(self, loader: Any, first_iter: bool = False) -> Any:
        iterator, method = self._own("reset")
        if not first_iter:
            self.walk.begin_epoch()
            if self._pin is not None:
                self._pin.epoch = self.walk.epoch
        try:
            return method(iterator, loader, first_iter)
        except BaseException as error:
            unseen(error)
            raise

    def _put_index(self) -> None:
        iterator, method = self._own("put_index")
        number = attribute(iterator, "next_to_send")
        try:
            method(iterator)
        except BaseException as error:
            unseen(error)
            raise
        self._look_at_task(iterator, number)

    @or_else(None)
    def _look_at_task(self, iterator: Any, number: Any) -> None:
        task = attribute(iterator, "tasks").get(number)
        if task is not None:
            self.walk.dispatched(number, task[0], attribute(iterator, "outstanding"))

    def _get_batch(self, *arguments: Any, **keywords: Any) -> Any:
        iterator, method = self._own("get_batch")
        try:
            found = method(iterator, *arguments, **keywords)
        except BaseException as error:
            unseen(error)
            raise
        self._look_at(iterator, found)
        return found

    @or_else(None)
    def _look_at(self, iterator: Any, found: Any) -> None:
        if found[0]:
            number, batch = found[1]
            self.walk.arrived(number, batch, attribute(iterator, "next_to_hand_over", number))

    def _waiting(self, iterator: Any) -> int | None:
        """Batches that the pin thread is done with; None without one."""
        queue = attribute(iterator, "ready_queue")
        return queue.qsize() if isinstance(queue, Queue) else None

    @or_else(0)
    def _next_to_draw(self, iterator: Any) -> int:
        number: int = attribute(iterator, "next_to_send", self.walk.next_number)
        return number

    @or_else(0)
    def _delivered(self, iterator: Any) -> int:
        if not self._in_order and self.walk.newest >= 0:
            return self.walk.newest
        number: int = attribute(iterator, "next_to_hand_over", self.walk.next_number + 1) - 1
        return number

    def _failing(self, iterator: Any) -> int:
        return self.walk.failing(self._delivered(iterator))


def _forget() -> None:
    """In a forked child: locks may have been held. What is watched stays so, and gets runs of its own."""
    global _patching
    _patching = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget)
