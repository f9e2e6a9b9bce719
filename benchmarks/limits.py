"""What no loader can exceed on this machine: independent processes that make batches and deliver them to nobody.

Each process writes samples into one batch of memory that it uses again and again. For bulk samples that is the
bandwidth of copying, for pictures the rate of decoding, for rows of a table that of calling the data set.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import numpy as np

from benchmarks.photographs import Floats
from benchmarks.workloads import Work

LIMITS = {"limit": 2, "limit-of-one": 1}
"""Names among the engines, and how many processes."""


def rate(work: Work, *, processes: int, seconds: float) -> dict[str, float]:
    """Samples and bytes per second of all processes together, measured while all of them work."""
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(processes)
    ends = [context.Pipe(duplex=False) for _ in range(processes)]
    workers = [
        context.Process(target=_work, args=(work, number, processes, seconds, ready, theirs))
        for number, (_, theirs) in enumerate(ends)
    ]
    for worker in workers:
        worker.start()
    for _, theirs in ends:
        theirs.close()
    samples_per_s = sum(float(ours.recv()) for ours, _ in ends)
    for worker in workers:
        worker.join()
    return {
        "samples_per_s": samples_per_s,
        "gb_per_s": samples_per_s * 4 * math.prod(work.dataset.shape) / 1e9,
    }


def _work(work: Work, number: int, of: int, seconds: float, ready: Barrier, answer: Connection) -> None:
    """Every `of`-th batch from `number` on: once to warm up, then until the time is over."""
    features = np.empty((work.batch_size, *work.dataset.shape), np.float32)
    labels = np.empty(work.batch_size, np.int64)
    batches = list(work.index_batches())[number::of] or [[0]]
    _epoch(work, batches, features, labels, math.inf)
    ready.wait()
    started = time.perf_counter()
    until, made = started + seconds, 0
    while time.perf_counter() < until:
        made += _epoch(work, batches, features, labels, until)
    answer.send(made / (time.perf_counter() - started))


def _epoch(work: Work, batches: list[list[int]], features: Floats, labels: Any, until: float) -> int:
    into, made = work.dataset.into, 0
    for indices in batches:
        for place, index in enumerate(indices):
            labels[place] = into(index, features[place])
        made += len(indices)
        if time.perf_counter() >= until:
            break
    return made
