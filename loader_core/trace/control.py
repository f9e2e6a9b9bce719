"""The control page: the one way by which a viewer talks to a run.

A file of 128 bytes that both map. The viewer writes a field, the run reads it when it comes by: one byte per batch,
no message, no lock, no answer. Each field is naturally aligned and stored at once, so it is never seen half written.

The page, little-endian like every machine that we run on (offsets in bytes)::

    0 magic (8s) | 8 stop (u8) | 9 pause (u8) | 10 detail (u8) | 12 generation (u32)
    16 step ns | 24 preview until ns | 32 storage latency ns | 40 storage bytes/s | 48 cpu ns | 56 slow every
    64 slow ns (i64 each) | 72..127 zero
"""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

from loader_core.errors import RecordingError, TraceError

FILENAME = "control"
MAGIC = b"LSCTRL01"
PAGE_BYTES = 128

_STOP, _PAUSE, _DETAIL = 8, 9, 10
_GENERATION = 12 // 4
_MOST_DETAIL = 2


class _Integer:
    """A 64-bit field of the page, by its offset."""

    def __init__(self, offset: int, doc: str) -> None:
        self._index = offset // 8
        self.__doc__ = doc

    def __get__(self, control: Control, owner: type[Control]) -> int:
        return control._integers[self._index]

    def __set__(self, control: Control, value: int) -> None:
        control._integers[self._index] = value


class Control:
    """A run's control page, mapped.

    Any thread and any number of processes may hold one. It travels to another process by its path. After `close` it
    still answers with the values of that moment, so a thread that is late does not fail; writing raises TypeError.
    """

    step_ns = _Integer(16, "Length of the step when the consumer is a stand-in.")
    preview_until_ns = _Integer(24, "A viewer wants previews until this time of `perf_counter_ns`.")
    storage_latency_ns = _Integer(32, "Added before each read of a sample.")
    storage_bytes_per_s = _Integer(40, "Bandwidth of storage per worker; 0: as it is.")
    cpu_ns = _Integer(48, "CPU time burnt per sample.")
    slow_every = _Integer(56, "One sample in this many is slow; 0: none.")
    slow_ns = _Integer(64, "How much longer a slow sample takes.")

    def __init__(self, directory: Path) -> None:
        """Map the page of an existing run directory: `Control.open`."""
        self._directory = directory
        path = directory / FILENAME
        with path.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if size != PAGE_BYTES or file.read(len(MAGIC)) != MAGIC:
                raise TraceError(f"{path} is no control page of this version ({size} bytes, expected {PAGE_BYTES})")
            self._map = mmap.mmap(file.fileno(), PAGE_BYTES)
        self._page = memoryview(self._map)
        self._integers = self._page.cast("q")
        self._words = self._page.cast("I")

    @classmethod
    def create(cls, directory: Path) -> Control:
        """Make the page of a new run: everything off, the most detail. Raises RecordingError if there is one."""
        path = directory / FILENAME
        if path.exists():
            raise RecordingError(f"{path} exists already: a run directory has one control page for its whole life")
        if sys.byteorder != "little":
            raise RecordingError("recordings are little-endian, and this machine is not")
        page = bytearray(PAGE_BYTES)
        page[: len(MAGIC)] = MAGIC
        page[_DETAIL] = _MOST_DETAIL
        unfinished = directory / (FILENAME + ".new")
        unfinished.write_bytes(page)
        unfinished.replace(path)
        return cls(directory)

    @classmethod
    def open(cls, directory: Path) -> Control:
        """The page of an existing run. Raises FileNotFoundError, and TraceError when it is of another version."""
        return cls(directory)

    def __reduce__(self) -> tuple[type[Control], tuple[Path]]:
        return type(self), (self._directory,)

    @property
    def stop(self) -> bool:
        """The run shall end after this batch."""
        return self._page[_STOP] != 0

    @stop.setter
    def stop(self, value: bool) -> None:
        self._page[_STOP] = value

    @property
    def pause(self) -> bool:
        """The run shall rest between two batches."""
        return self._page[_PAUSE] != 0

    @pause.setter
    def pause(self, value: bool) -> None:
        self._page[_PAUSE] = value

    @property
    def detail(self) -> int:
        """How much is recorded: a `Detail` by its number."""
        return self._page[_DETAIL]

    @detail.setter
    def detail(self, value: int) -> None:
        if not 0 <= value <= _MOST_DETAIL:
            raise ValueError(f"detail is {value}, it goes from 0 (batch) to {_MOST_DETAIL} (stage)")
        self._page[_DETAIL] = value

    @property
    def generation(self) -> int:
        """Counts how often settings.json was replaced: the run reads it again when this changes."""
        return self._words[_GENERATION]

    @generation.setter
    def generation(self, value: int) -> None:
        self._words[_GENERATION] = value

    def apply_dials(
        self,
        *,
        storage_latency_ms: float,
        storage_mb_per_s: float,
        cpu_ms: float,
        slow_every: int,
        slow_ms: float,
    ) -> None:
        """Set what makes the pipeline slower. Names and units are those of the run settings' `dials`; MB is 10^6."""
        self.storage_latency_ns = round(storage_latency_ms * 1e6)
        self.storage_bytes_per_s = round(storage_mb_per_s * 1e6)
        self.cpu_ns = round(cpu_ms * 1e6)
        self.slow_ns = round(slow_ms * 1e6)
        self.slow_every = slow_every

    def close(self) -> None:
        """Give the mapping back. Idempotent."""
        if self._map.closed:
            return
        views = self._integers, self._words, self._page
        last = memoryview(bytes(self._page))
        self._page, self._integers, self._words = last, last.cast("q"), last.cast("I")
        for view in views:
            view.release()
        self._map.close()
