"""The queues of a torch worker, seen from the worker: how long it waits for tasks, and how long sending a batch takes.

`multiprocessing.Queue.put` only lays a batch aside; a thread of the queue's own then pickles it (which moves tensors to
shared memory) and writes it to a pipe. That is what SEND measures: from when the thread takes the batch until the pipe
has all of it.
"""

from __future__ import annotations

from collections import deque
from multiprocessing.queues import Queue
from typing import Any

from loader_core.observe.progress import Row
from loader_core.observe.quiet import quietly
from loader_core.start import unseen
from loader_core.trace import NOT_MEASURED, Flag, Kind, Recorder, RecordingShare, Role, now


class SendWatch:
    """Records SEND, and counts what was sent. `put_begins` belongs to the worker's thread, the rest to the queue's."""

    def __init__(self, share: RecordingShare, worker: int, row: Row) -> None:
        self.broken = False
        self._share = share
        self._worker = worker
        self._row = row
        self._recorder: Recorder = share.recorder(Role.WORKER, worker)
        self._laid_aside: dict[int, tuple[int, int]] = {}
        self._number = NOT_MEASURED
        self._start = 0

    def attach(self, queue: Any) -> bool:
        """Watch the thread of a queue that has not sent anything yet. False where its parts are not what we know."""
        known = type(queue) is Queue and type(getattr(queue, "_buffer", None)) is deque
        if not known or getattr(queue, "_thread", True) is not None or not hasattr(queue, "_send_bytes"):
            return False
        queue._buffer = _Outbox(self)
        queue._send_bytes = _Pipe(queue._send_bytes, self)
        return True

    def put_begins(self, number: int, epoch: int, nbytes: int) -> None:
        """A batch is laid aside."""
        self._laid_aside[number] = (epoch, nbytes)

    @quietly
    def taken(self, item: Any) -> None:
        """The queue's thread has taken an item and begins to pickle it."""
        self._start = now()
        self._number = item[0] if isinstance(item, tuple) and type(item[0]) is int else NOT_MEASURED

    @quietly
    def sent(self, nbytes: int) -> None:
        """It is in the pipe."""
        self._row.sent()
        self.add(self._number, self._start, nbytes)
        self._number = NOT_MEASURED

    def add(self, number: int, start: int, nbytes: int, flags: Flag = Flag.NONE) -> None:
        """Record the SEND of batch `number`, if one of that number was laid aside. `nbytes` went through the pipe."""
        known = self._laid_aside.pop(number, None)
        if known is not None:
            self._recorder.epoch, tensor_bytes = known
            value = max(tensor_bytes, 0) + nbytes
            self._recorder.add(Kind.SEND, number, start, value=value, flags=flags)

    def close(self) -> None:
        """Record no more."""
        self._recorder.close()


class _Outbox(deque[Any]):
    """The queue's buffer, which tells when something is taken out of it."""

    def __init__(self, watch: SendWatch) -> None:
        super().__init__()
        self._watch = watch

    def popleft(self) -> Any:
        item = super().popleft()
        self._watch.taken(item)
        return item


class _Pipe:
    """The pipe's `send_bytes`, which tells when all is sent."""

    def __init__(self, send_bytes: Any, watch: SendWatch) -> None:
        self._send_bytes = send_bytes
        self._watch = watch

    def __call__(self, packed: Any) -> None:
        try:
            self._send_bytes(packed)
        except BaseException as error:
            unseen(error)
            raise
        self._watch.sent(len(packed))


class ResultQueue:
    """The queue that batches are put into, in the place where torch's worker loop sees it."""

    def __init__(self, queue: Any, watch: SendWatch, row: Row) -> None:
        self._queue = queue
        self._watch = watch
        self._row = row
        self._measured = watch.attach(queue)
        self.batch: tuple[int, int, int] | None = None
        """Number, epoch and bytes of the batch that is put next, if it is one."""

    def put(self, item: Any) -> None:
        """As the queue's own."""
        batch, self.batch = self.batch, None
        if batch is not None:
            self._watch.put_begins(*batch)
        start = now()
        self._queue.put(item)
        if not self._measured:
            self._row.sent()
            if batch is not None:
                self._watch.add(batch[0], start, 0, Flag.INFERRED)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)
