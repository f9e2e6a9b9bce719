"""The pin thread of torch's DataLoader: how long each batch takes to be copied to page-locked memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loader_core.observe.leaves import contents
from loader_core.observe.quiet import quietly
from loader_core.start import unseen
from loader_core.trace import Kind, Recording, Role, now


class PinLoop:
    """torch's loop of the pin thread, and what is recorded around it: the target of that thread."""

    def __init__(self, loop: Callable[..., None], run: Recording) -> None:
        self._loop = loop
        self._run = run
        self.epoch = 0
        """Of the iterator; its walk sets it."""
        self.result_queue: Any = None
        """Of the iterator, once it is made. A thread that another iterator started meanwhile has another one."""

    def __call__(self, in_queue: Any, out_queue: Any, *arguments: Any, **keywords: Any) -> None:
        """In the pin thread: torch's loop, until it ends."""
        watch = _PinWatch(in_queue, self._run, self)
        try:
            self._loop(_PinSource(in_queue, watch), _PinTarget(out_queue, watch), *arguments, **keywords)
        except BaseException as error:
            unseen(error)
            raise
        finally:
            watch.close()


class _PinWatch:
    """Records PIN. Used in the pin thread."""

    def __init__(self, queue: Any, run: Recording, loop: PinLoop) -> None:
        self.broken = False
        self._queue = queue
        self._loop = loop
        self._start = 0
        self._recorder = run.share().recorder(Role.PIN)

    @quietly
    def begins(self) -> None:
        self._start = now()

    @quietly
    def ends(self, item: Any) -> None:
        number, batch = item
        if type(number) is int and self._queue is self._loop.result_queue and self._start:
            self._recorder.epoch = self._loop.epoch
            self._recorder.add(Kind.PIN, number, self._start, value=contents(batch).nbytes)
        self._start = 0

    @quietly
    def close(self) -> None:
        self._recorder.close()


class _PinSource:
    def __init__(self, queue: Any, watch: _PinWatch) -> None:
        self._queue = queue
        self._watch = watch

    def get(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            item = self._queue.get(*arguments, **keywords)
        except BaseException as error:
            unseen(error)
            raise
        self._watch.begins()
        return item


class _PinTarget:
    def __init__(self, queue: Any, watch: _PinWatch) -> None:
        self._queue = queue
        self._watch = watch

    def put(self, item: Any, *arguments: Any, **keywords: Any) -> None:
        self._watch.ends(item)
        self._queue.put(item, *arguments, **keywords)
