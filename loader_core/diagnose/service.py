"""Service times: what each batch of an observed run cost, apart from all waiting for others.

Extracted from the rows of one rank of a trace: what a worker did for a batch (FETCH, COLLATE, SEND), what the training
loop did with it (RECEIVE, STEP), and what lies between (waking, dispatch, the beginning of an epoch). CPU and waiting
are told apart where the trace does: FETCH says its thread's CPU time, CPU says that of a step. What is left of a FETCH
is waiting for storage, for a core or for the GIL: which of them, `loader_core.diagnose.predict` finds out by replaying.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from loader_core.diagnose.rates import epoch_ends, steady_rate
from loader_core.diagnose.rows import Numbers, Rows, by_end, of_kinds
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, Kind

SERVICE_KINDS = frozenset(
    {
        Kind.DRAW,
        Kind.DISPATCH,
        Kind.FETCH,
        Kind.COLLATE,
        Kind.SEND,
        Kind.STAGE,
        Kind.RECEIVE,
        Kind.COPY,
        Kind.WAIT_BATCH,
        Kind.STEP,
        Kind.CPU,
        Kind.PAUSE,
        Kind.PREVIEW,
        Kind.START,
    }
)
"""The kinds that `service_of` reads."""

MIN_BATCHES = 8
"""Batches after the first of each worker that must have been seen to predict anything."""

USUAL_WAKE_NS = 50_000.0
"""From being told to running, where it was not seen: two switches of context and a write to a pipe on Linux."""
USUAL_SPAWN_NS = 12_000_000.0
"""To fork a worker and have it begin, where it was not seen: torch is imported already, its pages are copied."""
USUAL_SEND_NS = 60_000.0
"""To send a batch through shared memory and to receive it, each, where there were no workers to see it."""
USUAL_RESUME_NS = 1_000_000.0
"""From the end of an epoch until workers that are kept fetch for the next one, where it was not seen."""
LONGEST_GAP_NS = 50_000_000
"""Between a step and the next question for a batch; what is longer is the script's own business between two epochs."""

READ_STAGES = ("read", "load", "open", "download", "io")
"""Stages of these names wait for storage first, and compute second."""


class TooFewBatches(ValueError):
    """The trace says too little to predict anything from it; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Service:
    """Service times in nanoseconds, an entry per observed batch; `(n,)` of workers, `(m,)` of the training loop."""

    fetch_cpu: Numbers
    fetch_wait: Numbers
    """Storage, but also cores and GIL that others had."""
    collate: Numbers
    send: Numbers
    samples: Numbers
    """`(n,)`: samples of each batch made; all 1 where they were not counted."""
    step_cpu: Numbers
    step_wait: Numbers
    step_samples: Numbers
    stages: dict[str, Numbers]
    """`(n,)` of each named part of fetching."""
    team: float
    """Threads that a step computes with, 1.0 or more."""
    hand_over_ns: float
    """Of a batch that was ready: the sampler's draw for another one, and taking it."""
    wake_loop_ns: float
    wake_worker_ns: float
    copy_ns: float
    """To the device, per batch; 0 where there was no copy."""
    begin_ns: float
    """Between two epochs, with the workers that there are: from the last batch until they fetch again."""
    spawn_ns: float
    """Per worker that is started."""
    cold_ns: float
    """How much longer than its others the first batch of a worker takes that was just started."""
    epoch_batches: int | None
    """Batches of an epoch; None where none was seen to its end."""
    step_cpu_known: bool
    batches_per_s: float
    samples_per_s: float
    made_ns: float
    """How long a worker took for a batch, in the mean."""
    workers_seen: int
    assumptions: tuple[str, ...] = field(default=())
    """Codes of what was not seen in this run."""


def service_of(
    rows: Rows,
    *,
    workers: int,
    worker_method: Literal["process", "thread"] = "process",
    stages: Mapping[int, str] | None = None,
) -> Service:
    """The service times in `rows`, `(n,) ROW_DTYPE` of one rank, recorded with one setting throughout.

    `workers`: the loader's num_workers. `stages`: names of stages by the value of their rows. Raises TooFewBatches.
    """
    fetched, cold = _told_from_first(rows)
    fetches = fetched[~cold] if (~cold).sum() > MIN_BATCHES else fetched
    steps = by_end(of_kinds(rows, Kind.STEP))
    if len(fetches) < MIN_BATCHES or len(steps) < MIN_BATCHES:
        raise TooFewBatches(
            f"{len(fetches)} batches made and {len(steps)} steps were recorded after the first of each worker, and a "
            f"prediction needs {MIN_BATCHES} of both: let the run go on for longer"
        )
    assumptions: list[str] = []
    durations = _durations(fetches)
    cpu = np.where(fetches["value"] == NOT_MEASURED, durations, np.clip(fetches["value"], 0, durations))
    if (fetches["value"] == NOT_MEASURED).any():
        assumptions.append("fetch_all_cpu")
    waits = by_end(of_kinds(rows, Kind.WAIT_BATCH))
    stepped, step_cpu, known = _steps(rows, steps, waits, fetches if worker_method == "thread" else fetches[:0])
    if not known:
        assumptions.append("step_all_cpu")
    ratio = step_cpu / np.maximum(stepped, 1.0)
    team = max(1.0, float(np.quantile(ratio, 0.9))) if known else 1.0
    team = team if team > 1.1 else 1.0
    rate = steady_rate(rows)
    if rate is None:
        raise TooFewBatches("no batch was taken at a steady pace, and a prediction needs that: let the run go on")
    if not workers:
        assumptions.append("no_workers_seen")
    samples = _samples_of(rows, fetches, steps)
    sends = _joined(of_kinds(rows, Kind.SEND), fetches)
    collate = _joined(of_kinds(rows, Kind.COLLATE), fetches)
    if worker_method == "thread":  # its CPU time is not told, and most of what is longer waits for the GIL
        collate = np.minimum(collate, np.quantile(collate, 0.1))
    wake_worker = _wake_worker(rows) if workers else USUAL_WAKE_NS
    hand_over = _hand_over(rows, waits, workers)
    return Service(
        fetch_cpu=cpu.astype(np.float64),
        fetch_wait=(durations - cpu).astype(np.float64),
        collate=collate,
        send=sends if workers else np.full(len(fetches), USUAL_SEND_NS),
        samples=samples,
        step_cpu=np.minimum(step_cpu, stepped * team),
        step_wait=np.maximum(stepped - step_cpu / team, 0.0),
        step_samples=np.maximum(steps["value"].astype(np.float64), 1.0),
        stages=_stages(of_kinds(rows, Kind.STAGE), fetches, stages or {}),
        team=team,
        hand_over_ns=hand_over,
        wake_loop_ns=_wake_loop(rows, waits, hand_over) if workers else USUAL_WAKE_NS,
        wake_worker_ns=wake_worker,
        copy_ns=_mean_duration(of_kinds(rows, Kind.COPY)),
        begin_ns=_begin(waits, fetched, wake_worker),
        spawn_ns=_spawn(rows, workers) if workers and worker_method == "process" else USUAL_SPAWN_NS,
        cold_ns=_cold(rows, fetched, cold),
        epoch_batches=_epoch_batches(waits, steps),
        step_cpu_known=known,
        batches_per_s=rate.batches_per_s,
        samples_per_s=rate.samples_per_s,
        made_ns=float(durations.mean()) + _mean_duration(of_kinds(rows, Kind.COLLATE)),
        workers_seen=workers,
        assumptions=tuple(assumptions),
    )


# --- what a worker does -----------------------------------------------------------------------------------------------


def _told_from_first(rows: Rows) -> tuple[Rows, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """All fetches, and which of them were the first of a worker, in which it opens and imports what it needs.

    A lane whose process is started anew has a START for each; the first fetch of a lane counts in any case.
    """
    fetches, starts = by_end(of_kinds(rows, Kind.FETCH)), of_kinds(rows, Kind.START)
    cold = np.zeros(len(fetches), np.bool_)
    for lane in np.unique(fetches["lane"]):
        own = np.flatnonzero(fetches["lane"] == lane)
        begun = np.searchsorted(np.sort(starts["start"][starts["lane"] == lane]), fetches["start"][own], side="right")
        cold[own] = np.diff(begun, prepend=-1) > 0
    return fetches, cold


def _cold(rows: Rows, fetches: Rows, cold: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """From the medians of what workers took for their first batches, and for the others."""
    if cold.all() or not cold.any():
        return 0.0
    took = _durations(fetches)
    for kind in (Kind.COLLATE, Kind.SEND):
        took = took + _joined(of_kinds(rows, kind), fetches)
    return max(0.0, float(np.median(took[cold]) - np.median(took[~cold])))


def _durations(rows: Rows) -> Numbers:
    durations: Numbers = (rows["end"] - rows["start"]).astype(np.float64)
    return durations


def _mean_duration(rows: Rows) -> float:
    return float(_durations(rows).mean()) if len(rows) else 0.0


def _keys(rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    keys: np.ndarray[tuple[int], np.dtype[np.int64]] = rows["epoch"].astype(np.int64) << 32 | rows["batch"]
    return keys


def _values(of: Rows, values: Numbers, wanted: Rows, missing: float) -> Numbers:
    """For each of `wanted` the value of the row of the same batch among `of`."""
    if not len(of):
        return np.full(len(wanted), missing)
    keys = _keys(of)
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], _keys(wanted)), len(keys) - 1)
    found: Numbers = np.where(keys[order][place] == _keys(wanted), values[order][place], missing)
    return found


def _joined(rows: Rows, fetches: Rows) -> Numbers:
    """The duration of each fetch's row of another kind; the mean of all where there is none."""
    return _values(rows, _durations(rows), fetches, _mean_duration(rows))


def _samples_of(rows: Rows, fetches: Rows, steps: Rows) -> Numbers:
    drawn = of_kinds(rows, Kind.DRAW)
    if len(drawn):
        return np.maximum(_values(drawn, drawn["value"].astype(np.float64), fetches, float(drawn["value"].mean())), 1.0)
    counts = np.maximum(steps["value"].astype(np.float64), 1.0)
    return _values(steps, counts, fetches, float(np.median(counts)))


def _stages(stages: Rows, fetches: Rows, names: Mapping[int, str]) -> dict[str, Numbers]:
    """Time in each stage, by the batch; stages of steps are those without a sample, or of batches nobody fetched."""
    inside = stages[np.isin(stages["lane"], np.unique(fetches["lane"]))]
    found: dict[str, Numbers] = {}
    for number in np.unique(inside["value"]):
        own = inside[inside["value"] == number]
        keys, place = np.unique(_keys(own), return_inverse=True)
        total = np.bincount(place, _durations(own))
        where = np.minimum(np.searchsorted(keys, _keys(fetches)), len(keys) - 1)
        found[names.get(int(number), f"{int(number):08x}")] = np.where(
            keys[where] == _keys(fetches), total[where], total.mean()
        )
    return found


# --- what the training loop does --------------------------------------------------------------------------------------


def _steps(rows: Rows, steps: Rows, waits: Rows, threads: Rows) -> tuple[Numbers, Numbers, bool]:
    """Of each step: how long it took until the next question, its CPU time, and whether that was measured."""
    following = np.searchsorted(waits["start"], steps["end"])
    asked = np.append(waits["start"], np.iinfo(np.int64).max)[following]
    gap = asked - steps["end"]
    others = of_kinds(rows, Kind.PAUSE, Kind.PREVIEW)
    between = np.searchsorted(np.sort(others["start"]), asked) > np.searchsorted(np.sort(others["start"]), steps["end"])
    stepped = _durations(steps) + np.where((gap > 0) & (gap < LONGEST_GAP_NS) & ~between, gap, 0)
    marks = of_kinds(rows, Kind.CPU)
    if not len(marks):
        return stepped, stepped, False
    cpu = _values(marks, marks["value"].astype(np.float64), steps, float(marks["value"].mean()))
    for fetch in threads:  # the CPU time of a process has that of its worker threads in it
        overlap = np.minimum(steps["end"], fetch["end"]) - np.maximum(steps["start"], fetch["start"])
        span = max(int(fetch["end"] - fetch["start"]), 1)
        cpu = cpu - np.clip(overlap, 0, None) * (max(int(fetch["value"]), 0) / span)
    return stepped, np.clip(cpu, 0.0, None), True


def _hand_over(rows: Rows, waits: Rows, workers: int) -> float:
    """What it takes to get a batch that is ready."""
    got = waits[waits["batch"] != NO_BATCH]
    if workers:
        ready = _durations(got[got["value"] >= 1])
        if len(ready) >= MIN_BATCHES:
            return float(np.minimum(ready, np.quantile(ready, 0.9)).mean())
        draws, receives = of_kinds(rows, Kind.DRAW), of_kinds(rows, Kind.RECEIVE)
        return _mean_duration(draws) + _mean_duration(receives) + USUAL_WAKE_NS / 2
    inside = of_kinds(rows, Kind.FETCH, Kind.COLLATE)
    rest = _durations(got).sum() - _durations(inside).sum()
    return max(float(rest) / max(len(got), 1), 1_000.0)


def _wake_loop(rows: Rows, waits: Rows, hand_over: float) -> float:
    """From the end of a SEND that was waited for until the loop had the batch, without handing it over."""
    sends = of_kinds(rows, Kind.SEND)
    sent = _values(sends, sends["end"].astype(np.float64), waits, np.nan)
    late = (sent > waits["start"]) & (sent <= waits["end"])
    if late.sum() < MIN_BATCHES:
        return USUAL_WAKE_NS
    return float(np.clip(np.median(waits["end"][late] - sent[late]) - hand_over, 5_000.0, 5_000_000.0))


def _wake_worker(rows: Rows) -> float:
    """From a DISPATCH to an idle worker until it fetches."""
    dispatches, idle = of_kinds(rows, Kind.DISPATCH), of_kinds(rows, Kind.FETCH)
    fetches = by_end(idle)
    given = _values(dispatches, dispatches["end"].astype(np.float64), fetches, np.nan)
    before = np.full(len(fetches), np.nan)
    for lane in np.unique(fetches["lane"]):
        own = np.flatnonzero(fetches["lane"] == lane)
        before[own[1:]] = fetches["end"][own[:-1]]
    was_idle = given > before
    if was_idle.sum() < MIN_BATCHES:
        return USUAL_WAKE_NS
    return float(np.clip(np.median(fetches["start"][was_idle] - given[was_idle]), 5_000.0, 2_000_000.0))


# --- epochs -----------------------------------------------------------------------------------------------------------


def _epoch_batches(waits: Rows, steps: Rows) -> int | None:
    whole = epoch_ends(waits, steps)["epoch"]
    if not len(whole):
        return None
    counts = [int((steps["epoch"] == epoch).sum()) for epoch in np.unique(whole)]
    return max(counts) or None


def _begin(waits: Rows, fetches: Rows, wake_worker: float) -> float:
    """From the question to which there was no batch left until workers fetch for the next epoch, in the median.

    Ending the workers of an epoch is in it, and starting those of the next one.
    """
    gaps = []
    for over in waits[waits["batch"] == NO_BATCH]:
        later = waits["epoch"][waits["start"] > over["end"]]
        began = fetches[fetches["epoch"] == later[0]] if len(later) else fetches[:0]
        if len(began):
            _, first = np.unique(began["lane"], return_index=True)
            gaps.append(float(np.median(began["start"][first])) - float(over["start"]) - wake_worker)
    return max(float(np.median(gaps)), 1_000.0) if gaps else USUAL_RESUME_NS


def _spawn(rows: Rows, workers: int) -> float:
    """From the start of the loader until all workers fetched for the first time, per worker."""
    dispatches, fetches = by_end(of_kinds(rows, Kind.DISPATCH)), by_end(of_kinds(rows, Kind.FETCH))
    starts = of_kinds(rows, Kind.START)
    starts = starts[np.isin(starts["lane"], np.unique(dispatches["lane"]))]
    if not len(starts) or not len(fetches):
        return USUAL_SPAWN_NS
    began = int(starts["end"].min())
    _, first = np.unique(fetches["lane"], return_index=True)
    took = float(np.median(fetches["start"][first])) - began
    return float(np.clip(took / max(workers, 1), 1_000_000.0, 20e9))
