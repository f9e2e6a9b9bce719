"""One measurement, in a process of its own: `python -m benchmarks.measures` is what `benchmarks.engines` starts.

It reads an `Order` as JSON from standard input and writes a `Measured` into the file that the order names.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import limits
from benchmarks.peers import ENGINES, Engine
from benchmarks.workloads import STEP_NS, WORKLOADS, Work

ASIDE = 10
"""Batches of a slow consumer that are not counted: the first find an empty window."""

STARTS = 5
"""Constructions that are timed, behind one that also pays for what a process does once."""

EPOCHS = 20
"""Beginnings of an epoch that are timed, behind two that are not."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure."""

    workload: str
    engine: str
    """A key of ENGINES, or of `limits.LIMITS`."""
    samples: int
    seconds: float
    """How long a rate is measured at least, in whole epochs."""
    workers: int
    result: str
    """The file to write."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What came out of an epoch: engines that do the same work give the same."""

    samples: int
    labels: int
    """Their sum."""
    features: float
    """Their sum."""
    shape: tuple[int, ...]
    """Of the first batch's features."""
    dtype: str

    @classmethod
    def of(cls, loader: Iterable[Any]) -> Epoch:
        """Go through an epoch and look at every number of it."""
        samples, labels, total = 0, 0, 0.0
        shape: tuple[int, ...] = ()
        dtype = ""
        for features, classes in loader:
            values = np.asarray(features)
            samples += len(values)
            labels += int(np.asarray(classes).sum())
            total += float(values.sum(dtype=np.float64))
            if not shape:
                shape, dtype = values.shape, str(values.dtype)
        return cls(samples, labels, total, shape, dtype)

    def differs_from(self, other: Epoch, *, pixels: bool) -> str:
        """What is not as in `other`, or "". Sums of features count only where `pixels` shall be the same."""
        if (self.samples, self.labels) != (other.samples, other.labels):
            return f"{self.samples} samples with labels of {self.labels}, not {other.samples} with {other.labels}"
        if (self.shape, self.dtype) != (other.shape, other.dtype):
            return f"batches of {self.shape} {self.dtype}, not {other.shape} {other.dtype}"
        if pixels and not math.isclose(self.features, other.features, rel_tol=1e-6):
            return f"features that add up to {self.features}, not {other.features}"
        return ""


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers of one measurement; the first is the one that engines are compared by."""

    numbers: dict[str, float]
    epoch: Epoch | None = None


def throughput(engine: Engine, work: Work, seconds: float) -> Measured:
    """Samples and bytes per second of whole epochs, behind one that is checked."""
    with engine.open(work) as loader:
        checked = Epoch.of(loader)
        sample_bytes = 4 * math.prod(work.dataset.shape)
        started, samples, elapsed = time.perf_counter(), 0, 0.0
        while elapsed < seconds:
            for _, labels in loader:
                samples += len(labels)
            elapsed = time.perf_counter() - started
    rate = samples / elapsed
    return Measured({"samples_per_s": rate, "gb_per_s": rate * sample_bytes / 1e9}, checked)


def waiting(engine: Engine, work: Work, _: float) -> Measured:
    """How much of its time a consumer waits that works for STEP_NS on each batch."""
    with engine.open(work) as loader:
        waits = []
        began = 0
        asked = time.perf_counter_ns()
        for _batch in loader:
            got = time.perf_counter_ns()
            waits.append(got - asked)
            if len(waits) == ASIDE:
                began = got
            time.sleep(STEP_NS / 1e9)
            asked = time.perf_counter_ns()
        counted = np.array(waits[ASIDE:])
        return Measured(
            {
                "waiting_share": float(counted.sum()) / (asked - began),
                "wait_p99_ms": float(np.quantile(counted, 0.99)) / 1e6,
            }
        )


def start(engine: Engine, work: Work, _: float) -> Measured:
    """From construction to the first batch, and what the very first construction of the process takes."""
    took = []
    for _attempt in range(1 + STARTS):
        started = time.perf_counter_ns()
        with engine.open(work) as loader:
            batches = iter(loader)
            next(batches)
            took.append((time.perf_counter_ns() - started) / 1e6)
            del batches
        del loader
    return Measured({"first_batch_ms": float(np.median(took[1:])), "first_ever_ms": took[0]})


def epoch(engine: Engine, work: Work, _: float) -> Measured:
    """From `iter(loader)` to the first batch, with the workers of the epoch before."""
    took = []
    with engine.open(work) as loader:
        for _epoch in range(2 + EPOCHS):
            started = time.perf_counter_ns()
            batches = iter(loader)
            next(batches)
            took.append((time.perf_counter_ns() - started) / 1e6)
            for _batch in batches:
                pass
            del batches
    return Measured({"first_batch_ms": float(np.median(took[2:]))})


def memory(engine: Engine, work: Work, _: float) -> Measured:
    """Memory of the process and its workers, shared pages counted once, at the first batch and at the epoch's end."""
    with engine.open(work) as loader:
        batches = iter(loader)
        next(batches)
        first = _proportional_bytes()
        for _batch in batches:
            pass
        end = _proportional_bytes()
        del batches  # the workers live as long as their iterator
    return Measured({"growth_mb": (end - first) / 1e6, "first_mb": first / 1e6, "end_mb": end / 1e6})


def _proportional_bytes() -> int:
    """PSS of this process and all below it. A page that n processes share counts 1/n for each."""
    own = psutil.Process()
    total = 0
    for process in (own, *own.children(recursive=True)):
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


MEASURES: dict[str, Callable[[Engine, Work, float], Measured]] = {
    "throughput": throughput,
    "waiting": waiting,
    "start": start,
    "epoch": epoch,
    "memory": memory,
}


def carry_out(order: Order) -> Measured:
    """Make the data set, open the engine, measure."""
    import torch  # noqa: F401 - a program that loads batches has it already; its import is not the engine's start

    workload = WORKLOADS[order.workload]
    work = Work(
        workload.dataset(order.samples),
        workload.batch_size,
        whole_batches=workload.whole_batches,
        shuffle=workload.shuffle,
        workers=order.workers,
    )
    if order.engine in limits.LIMITS:
        return Measured(limits.rate(work, processes=limits.LIMITS[order.engine], seconds=order.seconds))
    return MEASURES[workload.measure](ENGINES[order.engine], work, order.seconds)


def main() -> None:
    """Carry out the order on standard input."""
    order = Order(**json.load(sys.stdin))
    Path(order.result).write_text(json.dumps(asdict(carry_out(order))), encoding="utf-8")


if __name__ == "__main__":
    main()
