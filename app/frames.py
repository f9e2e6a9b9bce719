"""What a run looks like so far, kept for clients that are at different places of it.

Three logs, each with a position that a client remembers as one integer and never more: the newest spans, the steps of a
number over time, and the roll-up. `after` says what a client at a position lacks; `encode_*` makes frames of it.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from app.wire import (
    MAX_BUCKETS,
    ROLLUP_COLUMNS,
    SERIES_COLUMNS,
    SPAN_COLUMNS,
    FrameType,
    Series,
    encode_frame,
)
from loader_core.diagnose.metrics import measured
from loader_core.diagnose.queues import Steps
from loader_core.diagnose.rows import Rows
from loader_core.trace.rollup import BUCKET_NS
from loader_core.trace.trace import ROW_DTYPE

KEPT_SPANS = 131_072
"""Newest spans kept for clients, as many as the page keeps. A client that is farther behind skips, and is told."""

KEPT_STEPS = 65_536
"""Newest steps of each number kept for clients. The roll-up has what was before."""

MAX_STEPS_PER_FRAME = 16_384

_U32 = 2**32 - 1


class Stream(Enum):
    """One of the logs."""

    SPANS = "spans"
    READY = Series.READY
    IN_FLIGHT = Series.IN_FLIGHT
    LOSS = Series.LOSS
    ROLLUP = "rollup"


class Portion(NamedTuple):
    """What a log has for a client: `rows`, the position after them, and how many before them it no longer had."""

    rows: Rows
    position: int
    dropped: int


# --- spans ------------------------------------------------------------------------------------------------------------


class SpanLog:
    """The newest `KEPT_SPANS` rows in the order of their arrival, in a ring. Positions count all rows ever."""

    def __init__(self) -> None:
        self._ring = np.empty(KEPT_SPANS, ROW_DTYPE)
        self._held = 0
        self.end = 0
        """The position after the newest row."""

    @property
    def first(self) -> int:
        """The position of the oldest row that is kept."""
        return self.end - self._held

    def append(self, rows: Rows, *, end: int) -> None:
        """Add rows of which the newest has the position `end - 1`. Rows left out before them count as dropped."""
        rows = rows[-KEPT_SPANS:]
        if end - len(rows) > self.end:
            self._held = 0
        self._ring[np.arange(end - len(rows), end) % KEPT_SPANS] = rows
        self._held = min(self._held + len(rows), KEPT_SPANS)
        self.end = end

    def after(self, position: int, *, limit: int) -> Portion:
        """At most `limit` rows from `position` on, oldest first."""
        first = min(max(position, self.first), self.end)
        last = min(first + limit, self.end)
        return Portion(self._ring[np.arange(first, last) % KEPT_SPANS], last, max(0, first - position))


def encode_spans(portion: Portion) -> bytes:
    """A SPANS frame, its `seq` still 0."""
    rows = portion.rows
    base_ns = int(rows["start"].min())
    unit_ns = _unit_ns(int(rows["end"].max()) - base_ns)
    columns = np.empty(len(rows), SPAN_COLUMNS)
    for name in ("sample", "value", "batch", "epoch", "lane", "kind", "flags"):
        columns[name] = rows[name]
    # Both ends are rounded down and then subtracted, so that spans that touch still do.
    columns["start"] = (rows["start"] - base_ns) // unit_ns
    columns["duration"] = (rows["end"] - base_ns) // unit_ns - columns["start"]
    return encode_frame(
        FrameType.SPANS,
        columns,
        seq=0,
        base_ns=base_ns,
        unit_ns=unit_ns,
        cursor=portion.position,
        dropped=portion.dropped,
    )


def _unit_ns(extent_ns: int) -> int:
    """The finest unit in which `extent_ns` fits in 32 bits: 1 ns up to 4.29 s."""
    return max(1, math.ceil(extent_ns / _U32))


# --- numbers over time ------------------------------------------------------------------------------------------------

_STEP_DTYPE = np.dtype([("time", "<i8"), ("value", "<f8")])


class StepLog:
    """The newest `KEPT_STEPS` steps of a number. Positions count all steps ever."""

    def __init__(self) -> None:
        self._steps = np.empty(0, _STEP_DTYPE)
        self.end = 0

    def append(self, steps: Steps) -> None:
        """Add steps. One that came late, from a process that was slow to be read, counts from the newest before it."""
        rows = np.empty(len(steps.times), _STEP_DTYPE)
        rows["time"], rows["value"] = steps
        if len(self._steps):
            rows["time"] = np.maximum(rows["time"], self._steps["time"][-1])
        self._steps = np.concatenate([self._steps, rows])[-KEPT_STEPS:]
        self.end += len(rows)

    def after(self, position: int) -> Portion:
        """At most `MAX_STEPS_PER_FRAME` steps from `position` on, oldest first."""
        oldest = self.end - len(self._steps)
        first = min(max(position, oldest), self.end)
        last = min(first + MAX_STEPS_PER_FRAME, self.end)
        return Portion(self._steps[first - oldest : last - oldest], last, max(0, first - position))


def encode_steps(series: Series, portion: Portion) -> bytes:
    """A SERIES frame, its `seq` still 0."""
    rows = portion.rows
    base_ns = int(rows["time"].min())
    unit_ns = _unit_ns(int(rows["time"].max()) - base_ns)
    columns = np.empty(len(rows), SERIES_COLUMNS)
    columns["value"] = rows["value"]
    columns["time"] = (rows["time"] - base_ns) // unit_ns
    return encode_frame(
        FrameType.SERIES,
        columns,
        seq=0,
        base_ns=base_ns,
        unit_ns=unit_ns,
        cursor=portion.position,
        dropped=portion.dropped,
        series=series,
    )


# --- the roll-up ------------------------------------------------------------------------------------------------------


class Coarse(NamedTuple):
    """A run's roll-up as the wire has it: `(n,) ROLLUP_COLUMNS`, n <= MAX_BUCKETS, of `unit_ns` each."""

    rows: np.ndarray[Any, np.dtype[np.void]]
    unit_ns: int


def coarsen(buckets: Rows) -> Coarse:
    """`(n,) BUCKET_DTYPE`, bucket i in row i, in buckets twice as wide until there are at most `MAX_BUCKETS`.

    A column of which the whole run has nothing was not measured: NaN.
    """
    factor = 1
    while len(buckets) > factor * MAX_BUCKETS:
        factor *= 2
    first = np.arange(0, len(buckets), factor)
    rows = np.empty(len(first), ROLLUP_COLUMNS)
    rows["bucket"] = np.arange(len(first))
    for name in ("batches", "samples", "bytes", "wait_ns", "step_ns", "lost"):
        rows[name] = np.add.reduceat(buckets[name], first) if len(first) else 0
    for name in ("samples", "bytes"):
        if not measured(buckets, name):
            rows[name] = np.nan
    return Coarse(rows, factor * BUCKET_NS)


class RollupLog:
    """A run's roll-up, each bucket with the number of the update that last changed it. Positions count updates."""

    def __init__(self) -> None:
        self._now = Coarse(np.empty(0, ROLLUP_COLUMNS), BUCKET_NS)
        self._changed = np.empty(0, np.int64)
        self.end = 0

    def update(self, new: Coarse) -> None:
        """Take the roll-up as it is now. Buckets of another width are other buckets."""
        old = self._now
        changed = np.full(len(new.rows), self.end + 1)
        if new.unit_ns == old.unit_ns:
            common = min(len(old.rows), len(new.rows))
            same = _bits(new.rows[:common]) == _bits(old.rows[:common])
            changed[:common] = np.where(same, self._changed[:common], changed[:common])
        if (changed == self.end + 1).any():
            self._now, self._changed = new, changed
            self.end += 1

    def after(self, position: int) -> Portion:
        """The buckets that changed since `position`."""
        return Portion(self._now.rows[self._changed > position], self.end, 0)

    def encode(self, portion: Portion) -> bytes:
        """A ROLLUP frame, its `seq` still 0."""
        return encode_frame(
            FrameType.ROLLUP,
            portion.rows,
            seq=0,
            base_ns=0,
            unit_ns=self._now.unit_ns,
            cursor=portion.position,
        )


def _bits(rows: np.ndarray[Any, np.dtype[np.void]]) -> np.ndarray[Any, np.dtype[np.void]]:
    """Rows that compare by their bytes: NaN equals NaN."""
    return np.ascontiguousarray(rows).view(f"V{rows.dtype.itemsize}")
