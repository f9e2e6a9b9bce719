"""Numbers measured from rows of a trace. Pure: no clock, no file, no thread; the same rows give the same numbers.

A window is the time after `start_ns` up to and with `end_ns`, so that adjacent windows share no instant: a count or a
clipped sum over two adjacent windows is the count or sum over both.

What is counted where:

- a **batch** and its samples are counted at the end of its STEP, its bytes at the end of its RECEIVE;
- **wait share** is WAIT_BATCH / (WAIT_BATCH + STEP), the definition of XProf's input-pipeline analyser and of TraceML.
  Both are clipped to the window; time in PAUSE or PREVIEW is neither. A wait that goes on is no event yet: `OpenWaits`
  tells it from the loop's newest event, and whoever knows that the run goes on adds it;
- **rates** are per second of the window without its PAUSE;
- **quantiles** are of the whole waits that ended in the window and brought a batch, by nearest rank: each is a wait
  that happened.

None stands for *not measured*, 0 for a measured zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loader_core.diagnose.queues import QueueCount, Steps, losses
from loader_core.diagnose.rows import Rows, Times, by_end, of_kinds, overlap_ns, union_ns
from loader_core.trace.event import KINDS, NO_BATCH, NOT_MEASURED, Kind, Nature

MEASURED_KINDS = frozenset(
    {
        Kind.DISPATCH,
        Kind.SEND,
        Kind.RECEIVE,
        Kind.WAIT_BATCH,
        Kind.STEP,
        Kind.PAUSE,
        Kind.LOSS,
    }
)
"""The kinds that `measure` reads. Rows of other kinds change none of its numbers."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Numbers measured in a window of run time. None: not measured."""

    start_ns: int
    end_ns: int
    batches: int
    samples: int | None
    batches_per_s: float | None
    samples_per_s: float | None
    bytes_per_s: float | None
    wait_share: float | None
    wait_p50_ns: int | None
    wait_p95_ns: int | None
    wait_p99_ns: int | None
    in_flight: int | None
    ready: int | None
    first_batch_ns: int | None
    epoch: int | None
    loss: float | None


def measure(rows: Rows, *, start_ns: int, end_ns: int, open_wait_ns: int = 0) -> Metrics:
    """The numbers of the window after `start_ns` up to `end_ns`. Rows may be in any order and reach beyond it.

    `open_wait_ns`: the time within it of a wait that goes on at its end.
    Raises ValueError for a window that ends before it starts.
    """
    if end_ns < start_ns:
        raise ValueError(f"the window ends at {end_ns} ns, before its start at {start_ns} ns")
    ended = by_end(rows[(rows["end"] > start_ns) & (rows["end"] <= end_ns)])
    waits, steps = of_kinds(ended, Kind.WAIT_BATCH), of_kinds(ended, Kind.STEP)
    received = of_kinds(ended, Kind.RECEIVE)
    moved = total_value(received) if len(received) or not len(steps) else None
    paused_ns = union_ns(of_kinds(rows, Kind.PAUSE), start_ns=start_ns, end_ns=end_ns)
    seconds = (end_ns - start_ns - paused_ns) / 1e9
    queue = QueueCount()
    queue.add(ended)
    p50, p95, p99 = quantiles(wait_durations(waits))
    return Metrics(
        start_ns=start_ns,
        end_ns=end_ns,
        batches=len(steps),
        samples=total_value(steps),
        batches_per_s=rate(len(steps), seconds),
        samples_per_s=rate(total_value(steps), seconds),
        bytes_per_s=rate(moved, seconds),
        wait_share=share(
            overlap_ns(of_kinds(rows, Kind.WAIT_BATCH), start_ns=start_ns, end_ns=end_ns) + open_wait_ns,
            overlap_ns(of_kinds(rows, Kind.STEP), start_ns=start_ns, end_ns=end_ns),
        ),
        wait_p50_ns=p50,
        wait_p95_ns=p95,
        wait_p99_ns=p99,
        in_flight=queue.in_flight,
        ready=queue.ready,
        first_batch_ns=first_batch_ns(waits),
        epoch=newest_epoch(ended),
        loss=losses(ended).last,
    )


# --- parts ------------------------------------------------------------------------------------------------------------


def quantiles(durations: Times) -> tuple[int | None, int | None, int | None]:
    """The 50th, 95th and 99th percentile by nearest rank, or None for each of nothing."""
    if not len(durations):
        return None, None, None
    p50, p95, p99 = np.quantile(durations, (0.50, 0.95, 0.99), method="inverted_cdf")
    return int(p50), int(p95), int(p99)


def wait_durations(waits: Rows) -> Times:
    """How long each WAIT_BATCH of `waits` lasted, without those that found the epoch at its end."""
    waits = waits[waits["batch"] != NO_BATCH]
    durations: Times = waits["end"] - waits["start"]
    return durations


def rate(count: float | None, seconds: float) -> float | None:
    """`count` per second, or None if it or the time was not measured."""
    return None if count is None or seconds <= 0 else count / seconds


def share(part: float, rest: float) -> float | None:
    """`part / (part + rest)`, 0..1, or None of nothing."""
    return part / (part + rest) if part + rest > 0 else None


def first_batch_ns(waits: Rows) -> int | None:
    """How long the loop waited for the first batch of all, if that wait is among `waits`."""
    first = waits[(waits["epoch"] == 0) & (waits["batch"] == 0)]
    if not len(first):
        return None
    earliest = first[np.argmin(first["start"])]
    return int(earliest["end"] - earliest["start"])


def total_value(rows: Rows) -> int | None:
    """The sum of the rows' values, or None if one of them was not measured."""
    values = rows["value"]
    return None if np.any(values == NOT_MEASURED) else int(values.sum())


def newest_epoch(rows: Rows) -> int | None:
    """The epoch in which the training loop was last, or None."""
    rows = of_kinds(rows, Kind.WAIT_BATCH, Kind.STEP)
    return int(rows[np.argmax(rows["end"])]["epoch"]) if len(rows) else None


# --- lanes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LaneTime:
    """How one lane spent a window. `work_ns + wait_ns + gap_ns` is the window's length."""

    lane: int
    work_ns: int
    wait_ns: int
    gap_ns: int


_WORK = tuple(kind for kind, spec in KINDS.items() if spec.nature is Nature.WORK)
_WAIT = tuple(kind for kind, spec in KINDS.items() if spec.nature is Nature.WAIT)


def lane_times(rows: Rows, *, start_ns: int, end_ns: int) -> list[LaneTime]:
    """How each lane in `rows` spent the window, by lane.

    Parts (ITEM, STAGE, HOLD) lie inside other spans and are not counted again. Where work and wait of one lane overlap
    (two loaders of one process share it), the time is work.
    """
    return [
        _lane_time(int(lane), rows[rows["lane"] == lane], start_ns=start_ns, end_ns=end_ns)
        for lane in np.unique(rows["lane"])
    ]


def _lane_time(lane: int, rows: Rows, *, start_ns: int, end_ns: int) -> LaneTime:
    work_ns = union_ns(of_kinds(rows, *_WORK), start_ns=start_ns, end_ns=end_ns)
    busy_ns = union_ns(of_kinds(rows, *_WORK, *_WAIT), start_ns=start_ns, end_ns=end_ns)
    return LaneTime(lane, work_ns, busy_ns - work_ns, end_ns - start_ns - busy_ns)


# --- a whole run, as it grows -----------------------------------------------------------------------------------------

_STEPS_PER_OCTAVE = 128


class WaitTally:
    """A histogram of durations of bounded size: 64 octaves of nanoseconds in 128 steps each, 64 KiB.

    Its quantiles are within 0.3 % of the exact ones, however many durations it holds (the idea of HdrHistogram).
    """

    def __init__(self) -> None:
        self._counts = np.zeros(64 * _STEPS_PER_OCTAVE, np.int64)

    def add(self, durations: Times) -> None:
        """Count `durations`, `(n,)` nanoseconds. Those under 1 ns count as 1 ns."""
        steps = np.floor(np.log2(np.maximum(durations, 1)) * _STEPS_PER_OCTAVE).astype(np.int64)
        np.add.at(self._counts, steps, 1)

    def __len__(self) -> int:
        return int(self._counts.sum())

    def quantiles(self) -> tuple[int | None, int | None, int | None]:
        """The 50th, 95th and 99th percentile, or None for each of nothing."""
        count = len(self)
        if not count:
            return None, None, None
        ranks = np.ceil(np.array((0.50, 0.95, 0.99)) * count)
        steps = np.searchsorted(np.cumsum(self._counts), ranks)
        p50, p95, p99 = 2.0 ** ((steps + 0.5) / _STEPS_PER_OCTAVE)
        return round(p50), round(p95), round(p99)


class OpenWaits:
    """The training loops that wait now: their newest event is a STEP, so they have asked for a batch and got none.

    Takes rows of `MEASURED_KINDS`, each newer than all before, and keeps one number per loop. Belongs to one thread.
    """

    def __init__(self) -> None:
        self._since_ns: dict[int, int] = {}
        """By lane, of the loops that wait."""

    def add(self, rows: Rows) -> None:
        """Take in the newest rows."""
        rows = of_kinds(rows, Kind.WAIT_BATCH, Kind.STEP, Kind.PAUSE)
        for lane in np.unique(rows["lane"]).tolist():
            on_lane = rows[rows["lane"] == lane]
            newest = on_lane[np.lexsort((on_lane["start"], on_lane["end"]))[-1]]
            if newest["kind"] == Kind.STEP:
                self._since_ns[lane] = int(newest["end"])
            else:
                self._since_ns.pop(lane, None)

    def ns(self, *, start_ns: int, end_ns: int) -> int:
        """The time of these waits within the window, if they still go on at its end."""
        return sum(max(0, end_ns - max(start_ns, since_ns)) for since_ns in self._since_ns.values())


class Totals:
    """What `measure` would say of a whole run, kept up to date in constant memory.

    Counts and sums come from the trace's roll-up, which also knows of events that the recording no longer holds; the
    rest from the rows, each given once to `add`. Belongs to one thread.
    """

    def __init__(self) -> None:
        self._waits = WaitTally()
        self._queue = QueueCount()
        self._paused_ns = 0
        self._first_batch_ns: int | None = None
        self._epoch: int | None = None
        self._loss: float | None = None

    def add(self, rows: Rows) -> tuple[Steps, Steps, Steps]:
        """Take in rows that are newer than all before. Returns the steps of ready, in flight and loss that they add."""
        waits, pauses = of_kinds(rows, Kind.WAIT_BATCH), of_kinds(rows, Kind.PAUSE)
        self._waits.add(wait_durations(waits))
        self._paused_ns += int((pauses["end"] - pauses["start"]).sum())
        if self._first_batch_ns is None:
            self._first_batch_ns = first_batch_ns(waits)
        epoch, loss = newest_epoch(rows), losses(rows)
        self._epoch = self._epoch if epoch is None else epoch
        self._loss = self._loss if loss.last is None else loss.last
        return *self._queue.add(rows), loss

    def metrics(self, buckets: Rows, *, end_ns: int, open_wait_ns: int = 0) -> Metrics:
        """The numbers of the run up to `end_ns`; `buckets`: `(n,) BUCKET_DTYPE`, the roll-up of the whole run."""
        seconds = (end_ns - self._paused_ns) / 1e9
        batches = int(buckets["batches"].sum())
        samples, moved = (
            int(buckets[name].sum()) if measured(buckets, name) else None for name in ("samples", "bytes")
        )
        p50, p95, p99 = self._waits.quantiles()
        return Metrics(
            start_ns=0,
            end_ns=end_ns,
            batches=batches,
            samples=samples,
            batches_per_s=rate(batches, seconds),
            samples_per_s=rate(samples, seconds),
            bytes_per_s=rate(moved, seconds),
            wait_share=share(int(buckets["wait_ns"].sum()) + open_wait_ns, int(buckets["step_ns"].sum())),
            wait_p50_ns=p50,
            wait_p95_ns=p95,
            wait_p99_ns=p99,
            in_flight=self._queue.in_flight,
            ready=self._queue.ready,
            first_batch_ns=self._first_batch_ns,
            epoch=self._epoch,
            loss=self._loss,
        )


def measured(buckets: Rows, name: str) -> bool:
    """Whether a column of a run's roll-up was measured: batches that held nothing at all were not."""
    return bool(buckets[name].any()) or not buckets["batches"].any()
