"""How the loader scales: workers, batch size, size of a sample, size of the data set. Ours against torch's.

    python -m benchmarks.scale                 # a few points of each: about 2 minutes
    python -m benchmarks.scale --full --rounds 3
    python -m benchmarks.scale --only dataset

Each point is measured in a fresh process, and each round measures ours and torch's side by side. "dataset" shuffles:
torch's RandomSampler draws a permutation of all indices, ours is PermutationSampler, which computes them. So the time
to the first batch and the memory must not grow with ours; torch's is measured as far as it takes seconds, not minutes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from benchmarks import table
from benchmarks.photographs import Floats
from benchmarks.table import Spread

LOADERS = ("torch", "ours")
WORKERS = 2
BATCH_SIZE = 256
MOST_BATCH_BYTES = 64 << 20
TORCHS_LARGEST = 10**7
"""The largest data set that torch's RandomSampler is measured on: ten times as many take 20 s and 4 GB."""

FEW = {
    "workers": (0, 1, 2, 4, 8),
    "batch": (1, 16, 256, 1024),
    "sample": (64, 4 << 10, 256 << 10, 4 << 20, 64 << 20),
    "dataset": (10**3, 10**6, 10**9),
}
ALL = {
    "workers": tuple(range(9)),
    "batch": tuple(2**power for power in range(11)),
    "sample": tuple(64 << power for power in range(0, 21, 2)),
    "dataset": tuple(10**power for power in range(3, 10)),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """A data set of any length: rows of `sample_bytes`, one of 16 that are kept, and their number."""

    samples: int
    sample_bytes: int
    stored: Floats

    @classmethod
    def of(cls, samples: int, sample_bytes: int) -> Rows:
        """Filled, so that its pages are there before the time runs."""
        kept = min(16, max(1, MOST_BATCH_BYTES // sample_bytes))
        return cls(samples, sample_bytes, np.ones((kept, sample_bytes // 4), np.float32))

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Floats, int]:
        return self.stored[index % len(self.stored)], index


def measure(axis: str, point: int, loader: str, seconds: float) -> dict[str, float]:
    """One point, in the process that calls this."""
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # more workers than cores: that is asked
    if axis == "dataset":
        return _start(point, loader)
    sample_bytes = point if axis == "sample" else 256
    batch_size = point if axis == "batch" else BATCH_SIZE
    batch_size = min(batch_size, max(1, MOST_BATCH_BYTES // sample_bytes))
    samples = batch_size * max(8, min(2000, (1 << 30) // (batch_size * sample_bytes), 100_000 // batch_size))
    return _rate(Rows.of(samples, sample_bytes), loader, batch_size, point if axis == "workers" else WORKERS, seconds)


def _rate(dataset: Rows, loader: str, batch_size: int, workers: int, seconds: float) -> dict[str, float]:
    batches = _loader(loader, dataset, batch_size=batch_size, num_workers=workers, persistent_workers=workers > 0)
    for _ in batches:
        pass
    started, samples, elapsed = time.perf_counter(), 0, 0.0
    while elapsed < seconds:
        for _, numbers in batches:
            samples += len(numbers)
        elapsed = time.perf_counter() - started
    return {"samples_per_s": samples / elapsed, "gb_per_s": samples * dataset.sample_bytes / elapsed / 1e9}


def _start(samples: int, loader: str) -> dict[str, float]:
    """Time to the first batch of a shuffled epoch, and what the process has grown by then."""
    from loader_core.engine import PermutationSampler

    for _ in _loader(loader, Rows.of(1024, 256), batch_size=BATCH_SIZE, num_workers=WORKERS):
        pass  # what a process does once
    dataset, process = Rows.of(samples, 256), psutil.Process()
    before = process.memory_info().rss
    started = time.perf_counter()
    order: dict[str, Any] = {"shuffle": True} if loader == "torch" else {"sampler": PermutationSampler(samples)}
    batches = iter(_loader(loader, dataset, batch_size=BATCH_SIZE, num_workers=WORKERS, **order))
    next(batches)
    elapsed = time.perf_counter() - started
    return {"first_batch_ms": 1000 * elapsed, "growth_mb": (process.memory_info().rss - before) / 1e6}


def _loader(loader: str, dataset: Rows, **arguments: Any) -> Any:
    from torch.utils.data import DataLoader as TorchDataLoader

    from loader_core.engine import DataLoader

    if arguments["num_workers"] > 0:
        arguments["multiprocessing_context"] = "fork"  # this process was spawned, and would spawn its workers
    return (DataLoader if loader == "ours" else TorchDataLoader)(dataset, **arguments)  # type: ignore[arg-type]  # has the two methods


def measure_apart(axis: str, point: int, loader: str, seconds: float) -> dict[str, float]:
    """The same in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(measure, axis, point, loader, seconds).result()


def compare(axis: str, point: int, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Both loaders on one point, in turn."""
    loaders = ("ours",) if axis == "dataset" and point > TORCHS_LARGEST else LOADERS
    measured: dict[str, list[dict[str, float]]] = {loader: [] for loader in loaders}
    for number in range(rounds):
        for loader in sorted(loaders, reverse=number % 2 == 1):
            measured[loader].append(measure_apart(axis, point, loader, seconds))
            print(f"{axis} {point}, round {number + 1} of {rounds}, {loader}: {measured[loader][-1]}", flush=True)
    entry: dict[str, Any] = {"axis": axis, "point": point}
    for loader, each in measured.items():
        entry[loader] = {key: Spread.of([numbers[key] for numbers in each]) for key in each[0]}
    if len(loaders) == 2:
        key = next(iter(measured["ours"][0]))
        ours, torchs = ([numbers[key] for numbers in measured[loader]] for loader in ("ours", "torch"))
        entry["times_torch"] = table.ratios(torchs, ours) if axis == "dataset" else table.ratios(ours, torchs)
    return entry


def show(axis: str, entries: Sequence[dict[str, Any]], *, rounds: int, where: dict[str, Any]) -> None:
    """Print one axis."""
    keys = list(entries[0]["ours"])
    columns = [axis, *(f"{loader} {key}" for loader in LOADERS for key in keys), "times torch"]
    rows = [
        [
            f"{entry['point']:,}",
            *(str(entry[loader][key]) if loader in entry else "" for loader in LOADERS for key in keys),
            str(entry.get("times_torch", "")),
        ]
        for entry in entries
    ]
    table.show(f"Scale: {axis}. Median (lowest .. highest) of {rounds} rounds", columns, rows, where)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write benchmarks/results/scale.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all points")
    parser.add_argument("--only", choices=list(ALL), nargs="+", default=list(ALL))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long a rate is measured at least")
    chosen = parser.parse_args(arguments)

    where = table.machine()
    results: list[dict[str, Any]] = []
    for axis in chosen.only:
        points = (ALL if chosen.full else FEW)[axis]
        entries = [compare(axis, point, rounds=chosen.rounds, seconds=chosen.seconds) for point in points]
        show(axis, entries, rounds=chosen.rounds, where=where)
        results += entries
    print(table.write("scale", {"machine": where, "rounds": chosen.rounds, "results": results}))


if __name__ == "__main__":
    main()
