"""What faults are made of: datasets that really read, decode and compute, steps, and how long things take here."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.scenarios import photographs
from loader_core.scenarios.dials import Dials
from loader_core.scenarios.images import ImageFiles, Transform
from loader_core.trace.stage import stage

ENDLESS = 1_000_000
"""Samples of a dataset that is to outlast a run."""

# --- time -------------------------------------------------------------------------------------------------------------


def took(action: Callable[[int], object], count: int) -> float:
    """Seconds that `action` takes for each of the numbers up to `count`, in the mean.

    Measured in five parts; the quickest counts twice, and the slowest two not at all: others use this host, too.
    """
    action(0)
    parts = sorted(_mean([number for number in range(count) if number % 5 == part], action) for part in range(5))
    return (2 * parts[0] + parts[1] + parts[2]) / 4


def _mean(numbers: Sequence[int], action: Callable[[int], object]) -> float:
    start = time.perf_counter()
    for number in numbers:
        action(number)
    return (time.perf_counter() - start) / len(numbers)


def step_for(made_s: float, share: float) -> float:
    """Seconds that a step lasts so that its loop waits for this share of its time, if a batch comes each `made_s`."""
    return made_s * (1 - share)


class Waits:
    """A step that waits: for a device that works, and leaves the CPU alone. A real wait, of real time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, batch: Any) -> None:
        time.sleep(self.seconds)


class Computes:
    """A step that computes: real products of matrices on one core, as many as take about `seconds` on an idle one."""

    SIDE = 192

    def __init__(self, seconds: float) -> None:
        self.left = torch.rand(self.SIDE, self.SIDE)
        self.right = torch.rand(self.SIDE, self.SIDE)
        each = min(took(lambda _: torch.mm(self.left, self.right), 50) for _ in range(5))
        self.products = max(1, round(seconds / each))

    def __call__(self, batch: Any) -> None:
        for _ in range(self.products):
            torch.mm(self.left, self.right)


# --- samples ----------------------------------------------------------------------------------------------------------


class Repeated(Dataset[Any]):
    """A dataset over and over again, so that an epoch does not end before the run."""

    def __init__(self, dataset: Any, length: int = ENDLESS) -> None:
        self.dataset = dataset
        self.count = len(dataset)
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index % self.count]


def pictures(size: int = 224, *, augment: bool = True) -> ImageFiles:
    """The photographs' crops: read, decoded and resized, for real."""
    folder, crops = photographs.crops()
    return ImageFiles(
        [folder / crop.file for crop in crops],
        [crop.label for crop in crops],
        transform=Transform(size, augment),
        dials=Dials(),
    )


class Rows(Dataset[Tensor]):
    """Rows of numbers that lie in memory: next to nothing to load."""

    def __init__(self, length: int = ENDLESS, features: int = 64) -> None:
        self.rows = torch.rand(1024, features)
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        if index >= self.length:
            raise IndexError(index)
        return self.rows[index % 1024]


# --- storage ----------------------------------------------------------------------------------------------------------

STORED_BYTES = 128 << 20
ALIGNMENT = 4096


class Store:
    """A real file of random bytes, read past the page cache (O_DIRECT): what is read comes from storage each time.

    Where the file system has no O_DIRECT (a tmpfs), pages are dropped with posix_fadvise before each read instead. A
    host's own disk may be too fast to be a fault, and too uneven to be a known one: `bytes_per_s` is what each reader
    gets at most or, with `shared`, all of them together, as from storage behind a network.
    Copied by a fork, it opens the file again in the child. Belongs to one thread.
    """

    def __init__(self, folder: Path, bytes_per_s: float, *, shared: bool = False, nbytes: int = STORED_BYTES) -> None:
        self.path = folder / f"stored-{nbytes}"
        self.nbytes = nbytes
        self.bytes_per_s = bytes_per_s
        self._free_at: Any = get_context("fork").Value("d", 0.0) if shared else None
        self._own_free_at = 0.0
        self._descriptor = -1
        self._pid = 0
        self._buffer: mmap.mmap | None = None
        if not self.path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = self.path.with_suffix(f".{os.getpid()}")
            block = os.urandom(1 << 20)
            with unfinished.open("wb") as file:
                for _ in range(nbytes >> 20):
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)

    def read(self, offset: int, nbytes: int, block: int = 1 << 16) -> memoryview:
        """The last block of `nbytes` from `offset` on (taken modulo the file's size), read block by block."""
        buffer = self._open(block)
        for at in range(offset, offset + nbytes, block):
            place = at % (self.nbytes - block) // ALIGNMENT * ALIGNMENT
            if not self._direct:
                os.posix_fadvise(self._descriptor, place, block, os.POSIX_FADV_DONTNEED)
            until = self._turn(block)
            os.preadv(self._descriptor, [buffer], place)
            time.sleep(max(0.0, until - time.monotonic()))
        return buffer

    def _turn(self, nbytes: int) -> float:
        """When a read of so many bytes may be over, at the earliest."""
        took = nbytes / self.bytes_per_s
        if self._free_at is None:
            self._own_free_at = max(time.monotonic(), self._own_free_at) + took
            return self._own_free_at
        with self._free_at.get_lock():
            self._free_at.value = max(time.monotonic(), self._free_at.value) + took
            until: float = self._free_at.value
        return until

    def _open(self, block: int) -> memoryview:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            try:
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
                self._direct = True
            except OSError:
                self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                self._direct = False
            self._buffer = mmap.mmap(-1, 4 << 20)
        assert self._buffer is not None
        return memoryview(self._buffer)[:block]


class Stored(Dataset[Tensor]):
    """Samples of `nbytes` each, read from storage; one in `slow_every` is `slow_bytes` large.

    What is given on is 4 kB of it: to read is all the work.
    """

    def __init__(self, store: Store, nbytes: int, *, slow_every: int = 0, slow_bytes: int = 0) -> None:
        self.store = store
        self.nbytes = nbytes
        self.slow_every = slow_every
        self.slow_bytes = slow_bytes

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Tensor:
        slow = self.slow_every and index % self.slow_every == self.slow_every - 1
        nbytes = self.slow_bytes if slow else self.nbytes
        with stage("read"):
            read = self.store.read(index * self.nbytes, nbytes, 1 << 20 if slow else 1 << 17)
        return torch.from_numpy(np.frombuffer(read[:4096], np.uint8).copy())


def as_is(samples: Sequence[Any]) -> Any:
    """A collate function that has nothing to do: samples stay what they are."""
    return samples


def first_of(samples: Sequence[Any]) -> Any:
    """A collate function for a dataset whose samples are batches."""
    return samples[0]
