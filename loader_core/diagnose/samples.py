"""The slowest samples, and the parts of samples: what the workers' FETCH is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loader_core.diagnose.excerpt import Excerpt, PartsOfFetch, with_batch
from loader_core.diagnose.nesting import own_times
from loader_core.diagnose.rows import Rows, Times
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, Kind, Role


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long one named part took."""

    name: str
    ns: int


@dataclass(frozen=True, slots=True)
class SlowSample:
    """One of the slowest samples of the window."""

    sample: int
    """Its index in the dataset."""
    count: int
    """How often it was read."""
    median_ns: int
    worst_ns: int
    worst_start_ns: int
    """When its slowest reading began."""
    epoch: int
    batch: int | None
    worker: int
    lane: int
    """Of its slowest reading."""
    nbytes: int | None
    stages: list[StageTime]
    """Of its slowest reading, longest first; empty where no stages were recorded."""


@dataclass(frozen=True, slots=True)
class SampleTimes:
    """How long samples took to read."""

    measured: int
    """Readings of samples in the window."""
    distinct: int | None
    """How many samples these were; None where they have no index."""
    p50_ns: int
    p95_ns: int
    p99_ns: int
    worst_ns: int
    slowest_hundredth: float
    """Share of all reading time that the slowest 1 % of the readings took: 0.01 if all are alike."""
    slowest: list[SlowSample]
    """By median, the slowest first."""


@dataclass(frozen=True, slots=True)
class StageShare:
    """One named part of the samples, over the window."""

    name: str
    count: int
    total_ns: int
    """From beginning to end, stages inside it included."""
    self_ns: int
    """Without the stages inside it."""
    share: float
    """Of FETCH, 0..1, without the stages inside it: shares of all stages add up to at most 1."""
    median_ns: int
    p95_ns: int


MAX_SAMPLES = 50
"""Slowest samples that are listed."""
MAX_STAGES = 50
"""Stages that are listed: those that took most."""


def sample_times(excerpt: Excerpt) -> SampleTimes | None:
    """How long samples took to read, and which are the slowest; None if no samples were recorded in the window."""
    items = excerpt.ended(Kind.ITEM)
    if not len(items):
        return None
    lengths = items["end"] - items["start"]
    p50, p95, p99, worst = np.quantile(lengths, (0.5, 0.95, 0.99, 1.0), method="inverted_cdf")
    hundredth = np.sort(lengths)[-max(1, len(lengths) // 100) :]
    known = items["sample"] != NOT_MEASURED
    distinct, slowest = _slowest(excerpt, items[known], lengths[known]) if known.any() else (None, [])
    return SampleTimes(
        measured=len(items),
        distinct=distinct,
        p50_ns=int(p50),
        p95_ns=int(p95),
        p99_ns=int(p99),
        worst_ns=int(worst),
        slowest_hundredth=int(hundredth.sum()) / max(1, int(lengths.sum())),
        slowest=slowest,
    )


def _slowest(excerpt: Excerpt, items: Rows, lengths: Times) -> tuple[int, list[SlowSample]]:
    """The number of distinct samples, and the slowest of them by median."""
    order = np.lexsort((lengths, items["sample"]))
    samples, first, counts = np.unique(items["sample"][order], return_index=True, return_counts=True)
    medians = lengths[order[first + (counts - 1) // 2]]
    worst = order[first + counts - 1]
    chosen = np.lexsort((-lengths[worst], -medians))[:MAX_SAMPLES]
    parts = PartsOfFetch(excerpt)
    return len(samples), [
        _slow_sample(
            excerpt,
            parts,
            items[worst[place]],
            count=int(counts[place]),
            median_ns=int(medians[place]),
        )
        for place in chosen
    ]


def _slow_sample(excerpt: Excerpt, parts: PartsOfFetch, worst: Any, *, count: int, median_ns: int) -> SlowSample:
    lane = int(worst["lane"])
    worker = excerpt.worker(lane)
    stages: dict[str, int] = {}
    for stage in parts.inside(Kind.STAGE, worst):
        name = excerpt.stage_name(int(stage["value"]))
        stages[name] = stages.get(name, 0) + int(stage["end"] - stage["start"])
    return SlowSample(
        sample=int(worst["sample"]),
        count=count,
        median_ns=median_ns,
        worst_ns=int(worst["end"] - worst["start"]),
        worst_start_ns=int(worst["start"]),
        epoch=int(worst["epoch"]),
        batch=None if worst["batch"] == NO_BATCH else int(worst["batch"]),
        worker=-1 if worker is None else worker,
        lane=lane,
        nbytes=None if worst["value"] == NOT_MEASURED else int(worst["value"]),
        stages=[StageTime(name, ns) for name, ns in sorted(stages.items(), key=lambda stage: -stage[1])],
    )


def stage_shares(excerpt: Excerpt) -> list[StageShare]:
    """The named parts of samples in the window, most first; empty if none were recorded."""
    marks = with_batch(excerpt.on(excerpt.ended(Kind.STAGE), Role.WORKER))  # of no batch: the start of a worker
    fetches = excerpt.ended(Kind.FETCH)
    fetches = fetches[fetches["start"] >= excerpt.details_from_ns]
    fetched_ns = int((fetches["end"] - fetches["start"]).sum())
    own = np.zeros(len(marks), np.int64)
    for lane in np.unique(marks["lane"]):
        on_lane = marks["lane"] == lane
        own[on_lane] = own_times(marks["start"][on_lane].astype(np.int64), marks["end"][on_lane].astype(np.int64))
    lengths = marks["end"] - marks["start"]
    found = []
    for value in np.unique(marks["value"]).tolist():
        chosen = marks["value"] == value
        median, p95 = np.quantile(lengths[chosen], (0.5, 0.95), method="inverted_cdf")
        self_ns = int(own[chosen].sum())
        found.append(
            StageShare(
                name=excerpt.stage_name(value),
                count=int(chosen.sum()),
                total_ns=int(lengths[chosen].sum()),
                self_ns=self_ns,
                share=min(1.0, self_ns / fetched_ns) if fetched_ns else 0.0,
                median_ns=int(median),
                p95_ns=int(p95),
            )
        )
    return sorted(found, key=lambda stage: -stage.self_ns)[:MAX_STAGES]
