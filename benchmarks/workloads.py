"""What the engines are measured on: data sets of numpy arrays, and how batches are to be made of them.

The data sets import no torch, so that each engine can have them. Each also has `into`, which writes a sample into
given memory: what a loader could reach that adds nothing of its own (`benchmarks.limits`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks import photographs
from benchmarks.photographs import Floats, Operation
from loader_core.engine.packed import PackedList

WORKERS = 2
STEP_NS = 5_000_000
"""How long the slow consumer works on a batch."""

Sample = tuple[Floats, int]


class Samples(Protocol):
    """A map-style data set of `(features, label)`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample's features, which are float32."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Sample: ...
    def into(self, index: int, out: Floats) -> int:
        """Write the features of a sample into `out`; returns the label."""


class Table:
    """Rows of 64 numbers that lie in memory: the loader's own work per sample is all there is."""

    shape = (64,)

    def __init__(self, samples: int) -> None:
        self.features = np.random.default_rng(0).random((samples, *self.shape), np.float32)
        self.labels = [index % 10 for index in range(samples)]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        return self.features[index], self.labels[index]

    def into(self, index: int, out: Floats) -> int:
        out[:] = self.features[index]
        return self.labels[index]


class ListedTable(Table):
    """The same through `__getitems__`, which torch calls once per batch for a list of samples."""

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        features, labels = self.features, self.labels
        return [(features[index], labels[index]) for index in indices]


class ArrayTable(Table):
    """The same as whole batches: `__getitems__` gives two arrays, and nothing is left to collate."""

    def __init__(self, samples: int) -> None:
        super().__init__(samples)
        self.column = np.array(self.labels)

    def __getitems__(self, indices: Sequence[int]) -> tuple[Any, Any]:
        import torch

        return torch.from_numpy(self.features.take(indices, 0)), torch.from_numpy(self.column.take(indices))


class Pictures:
    """JPEG files, from the page cache after the first epoch."""

    shape = photographs.SHAPE

    def __init__(self, samples: int, operation: Operation) -> None:
        self.paths: list[Path] = photographs.jpegs(samples)
        self.operation = operation

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        out: Floats = np.empty(self.shape, np.float32)
        return self.operation(self.paths[index].read_bytes(), out), photographs.label(index)

    def into(self, index: int, out: Floats) -> int:
        image = self.operation(self.paths[index].read_bytes(), out)
        if image is not out:
            out[:] = image
        return photographs.label(index)


class Bulk:
    """602 kB per sample, out of 154 MB of memory: to copy them is all the work."""

    shape = photographs.SHAPE
    STORED = 256

    def __init__(self, samples: int) -> None:
        self.features = np.random.default_rng(0).random((min(samples, self.STORED), *self.shape), np.float32)
        self.samples = samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Sample:
        return self.features[index % self.STORED], index % 10

    def into(self, index: int, out: Floats) -> int:
        np.copyto(out, self.features[index % self.STORED])
        return index % 10


class Laborious:
    """16 numbers for 156 us of computing in Python, GIL held: a batch of 32 costs 5 ms of one core."""

    shape = (16,)
    COST_NS = 156_250

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.features: Floats = np.ones(self.shape, np.float32)

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Sample:
        until = time.thread_time_ns() + self.COST_NS
        while time.thread_time_ns() < until:
            pass
        return self.features, index % 10

    def into(self, index: int, out: Floats) -> int:
        out[:], label = self[index]
        return label


class Records:
    """Many small dicts, as of an annotation file; `packed` keeps them in a PackedList."""

    shape = (4,)

    def __init__(self, samples: int, *, packed: bool) -> None:
        records = (self._record(index) for index in range(samples))
        self.records: Sequence[dict[str, Any]] = PackedList(records) if packed else list(records)

    @staticmethod
    def _record(index: int) -> dict[str, Any]:
        return {
            "file": f"train/{index:09}.jpg",
            "label": index % 1000,
            "box": [index + 0.25, index + 0.5, index + 0.75, index + 1.5],
        }

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        record = self.records[index]
        return np.array(record["box"], np.float32), record["label"]

    def into(self, index: int, out: Floats) -> int:
        out[:], label = self[index]
        return label


# --- workloads --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workload:
    """What is loaded, how much of it, and what is measured meanwhile (`benchmarks.measures`)."""

    name: str
    title: str
    dataset: Callable[[int], Samples]
    samples: int
    """Of an epoch."""
    batch_size: int
    measure: str = "throughput"
    whole_batches: bool = False
    """The data set gives whole batches: the collate function has nothing to do."""
    shuffle: bool = False
    needs: tuple[str, ...] = ()
    """Modules that the data set needs beside ours."""

    @property
    def installed(self) -> bool:
        """Whether the packages it needs are there."""
        return all(found(module) for module in self.needs)


def found(module: str) -> bool:
    """Whether a module could be imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("W1", "tiny: 64 float32 and a label, batch 256", Table, 200_000, 256),
        Workload("W1-listed", "tiny, `__getitems__` gives a list", ListedTable, 200_000, 256),
        Workload("W1-arrays", "tiny, `__getitems__` gives whole batches", ArrayTable, 200_000, 256, whole_batches=True),
        Workload("W2", "JPEG to 224x224, Pillow, batch 64", lambda n: Pictures(n, photographs.pillow), 1024, 64),
        Workload(
            "W2-fused",
            "JPEG to 224x224, Pillow, normalised in place",
            lambda n: Pictures(n, photographs.pillow_fused),
            1024,
            64,
        ),
        Workload(
            "W2-turbo",
            "JPEG to 224x224, simplejpeg and OpenCV, normalised in place",
            lambda n: Pictures(n, photographs.simplejpeg_cv2),
            1024,
            64,
            needs=("simplejpeg", "cv2"),
        ),
        Workload("W3", "bulk: 602 kB per sample, batch 64", Bulk, 2048, 64),
        Workload("slow", "a consumer of 5 ms per batch, a loader of 2.5 ms", Laborious, 320 * 32, 32, "waiting"),
        Workload("start", "from construction to the first batch", Table, 50_000, 256, "start"),
        Workload("epoch", "from `iter(loader)` to the first batch, same workers", Table, 20 * 256, 256, "epoch"),
        Workload(
            "memory",
            "memory of all processes over an epoch: a list of dicts",
            lambda n: Records(n, packed=False),
            1_000_000,
            256,
            "memory",
            shuffle=True,
        ),
        Workload(
            "memory-packed",
            "memory of all processes over an epoch: a PackedList of dicts",
            lambda n: Records(n, packed=True),
            1_000_000,
            256,
            "memory",
            shuffle=True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Work:
    """A workload made ready: what an engine is given."""

    dataset: Samples
    batch_size: int
    whole_batches: bool = False
    shuffle: bool = False
    workers: int = WORKERS

    def index_batches(self) -> Iterator[list[int]]:
        """The indices of each batch of an epoch, in order."""
        for start in range(0, len(self.dataset), self.batch_size):
            yield list(range(start, min(len(self.dataset), start + self.batch_size)))

    def collate(self, samples: Any) -> Any:
        """Samples -> a batch: torch's default, or nothing where they are a batch already."""
        from torch.utils.data import default_collate

        return samples if self.whole_batches else default_collate(samples)

    def make(self, indices: list[int]) -> Any:
        """The batch of `indices`, as torch's loader makes it."""
        several = getattr(self.dataset, "__getitems__", None)
        return self.collate(several(indices) if several else [self.dataset[index] for index in indices])
