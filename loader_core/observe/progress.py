"""What each worker is at just now, in memory that it shares with the main process: it outlives a worker that is killed.

A page of 64-bit words, one file per iterator, which is removed when the iterator is let go::

    0 epoch | 1..7 unused | worker 0: batch, sample, since ns, sent, failed batch, its sample, 2 unused
    | worker 1: ...

Its space is reserved when it is made, so a full disk is an error there and no signal later.
"""

from __future__ import annotations

import itertools
import mmap
import os
from array import array
from contextlib import suppress
from pathlib import Path

from loader_core.trace import NOT_MEASURED
from loader_core.trace.segment import reserve

_ROW = 8
_BATCH, SAMPLE, _SINCE, _SENT, _FAILED_BATCH, _FAILED_SAMPLE = range(6)
_pages = itertools.count()


class Progress:
    """The page of one iterator. Travels to a worker by its path."""

    def __init__(self, path: Path, workers: int) -> None:
        """Map the page of that many workers. Where there is none (any more), what is written stays in this process."""
        self._path = path
        self.workers = workers
        self.closed = False
        size = (1 + workers) * _ROW * 8
        try:
            with path.open("r+b") as file:
                self._map: mmap.mmap | None = mmap.mmap(file.fileno(), size)
            self.words = memoryview(self._map).cast("q")
        except (OSError, ValueError):
            self._map = None
            self.words = memoryview(array("q", bytes(size)))

    @classmethod
    def create(cls, directory: Path, workers: int) -> Progress:
        """A new page in the run directory: nobody does anything. Without disk space it is this process's own."""
        path = directory / f"progress-{os.getpid()}-{next(_pages)}"
        handle = -1
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            reserve(handle, (1 + workers) * _ROW * 8)
        if handle >= 0:
            os.close(handle)
        progress = cls(path, workers)
        for worker in range(workers):
            progress.row(worker).clear()
        return progress

    def __reduce__(self) -> tuple[type[Progress], tuple[Path, int]]:
        return type(self), (self._path, self.workers)

    @property
    def epoch(self) -> int:
        """The epoch that the main process is in."""
        return self.words[0]

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self.words[0] = epoch

    def row(self, worker: int) -> Row:
        """What worker number `worker` is at."""
        first = (1 + worker) * _ROW
        return Row(self.words[first : first + _ROW])

    @property
    def sent(self) -> int:
        """What all workers have sent so far, altogether."""
        return sum(self.words[(1 + worker) * _ROW + _SENT] for worker in range(self.workers))

    def close(self) -> None:
        """Remove the page. What it said last can still be read. Idempotent."""
        if self.closed:
            return
        self.closed = True
        last = memoryview(array("q", self.words.tobytes()))
        self.words.release()
        self.words = last
        if self._map is not None:
            with suppress(BufferError):  # a row of it is still held: the mapping goes with it
                self._map.close()
            with suppress(OSError):
                self._path.unlink()


class Row:
    """What one worker is at: batch, sample (NOT_MEASURED: none, or unknown) and since when.

    `words[SAMPLE]` is set directly when a sample is begun: a call would cost more than the rest of it.
    """

    __slots__ = ("words",)

    @classmethod
    def private(cls) -> Row:
        """For a process that fetches by itself: nobody else looks."""
        row = cls(memoryview(array("q", bytes(_ROW * 8))))
        row.clear()
        return row

    def clear(self) -> None:
        """Nothing has been done yet."""
        self.rest()
        self.fail(NOT_MEASURED, NOT_MEASURED)

    def __init__(self, words: memoryview[int]) -> None:
        self.words = words

    def begin(self, batch: int, at_ns: int) -> None:
        """A batch is begun."""
        words = self.words
        words[_BATCH], words[SAMPLE], words[_SINCE] = batch, NOT_MEASURED, at_ns

    def rest(self) -> None:
        """No batch is being made."""
        self.words[_BATCH] = self.words[SAMPLE] = NOT_MEASURED

    def fail(self, batch: int, sample: int) -> None:
        """A batch could not be made; NOT_MEASURED: which sample is to blame is not known, or none is."""
        words = self.words
        words[_FAILED_BATCH], words[_FAILED_SAMPLE] = batch, sample

    def blamed(self, batch: int) -> int:
        """The sample for which `batch` could not be made, if that is the batch that failed last; else NOT_MEASURED."""
        return self.words[_FAILED_SAMPLE] if self.words[_FAILED_BATCH] == batch else NOT_MEASURED

    def sent(self) -> None:
        """Something has been sent to the main process. Called by one thread only."""
        self.words[_SENT] += 1

    @property
    def batch(self) -> int:
        """The batch being made."""
        return self.words[_BATCH]

    @property
    def sample(self) -> int:
        """The sample being fetched."""
        return self.words[SAMPLE]

    @property
    def since_ns(self) -> int:
        """When the batch was begun, by `now()`."""
        return self.words[_SINCE]
