"""Rows of a trace, steps of a number and the roll-up as binary frames of the wire."""

from __future__ import annotations

import math
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

_U32 = 2**32 - 1


def longest(rows: Rows, limit: int) -> tuple[Rows, int]:
    """The `limit` longest of `rows`, in the order they had, and how many were left out."""
    if len(rows) <= limit:
        return rows, 0
    durations = rows["end"] - rows["start"]
    kept = np.argpartition(durations, len(rows) - limit)[len(rows) - limit :]
    return rows[np.sort(kept)], len(rows) - limit


def spans_frame(rows: Rows, *, cursor: int = 0, dropped: int = 0) -> bytes:
    """A SPANS frame of `(n,) ROW_DTYPE`, its `seq` 0. Its unit is 1 ns where the extent of time lets it be (4.3 s)."""
    base_ns, unit_ns = _scale(rows["start"], rows["end"])
    columns = np.empty(len(rows), SPAN_COLUMNS)
    for name in ("sample", "value", "batch", "epoch", "lane", "kind", "flags"):
        columns[name] = rows[name]
    # Both ends are rounded down and then subtracted, so that spans that touch still do.
    columns["start"] = (rows["start"] - base_ns) // unit_ns
    columns["duration"] = (rows["end"] - base_ns) // unit_ns - columns["start"]
    return encode_frame(
        FrameType.SPANS, columns, seq=0, base_ns=base_ns, unit_ns=unit_ns, cursor=cursor, dropped=dropped
    )


def series_frame(series: Series, steps: Steps, *, cursor: int = 0, dropped: int = 0) -> bytes:
    """A SERIES frame, its `seq` 0."""
    base_ns, unit_ns = _scale(steps.times, steps.times)
    columns = np.empty(len(steps.times), SERIES_COLUMNS)
    columns["value"] = steps.values
    columns["time"] = (steps.times - base_ns) // unit_ns
    return encode_frame(
        FrameType.SERIES,
        columns,
        seq=0,
        base_ns=base_ns,
        unit_ns=unit_ns,
        cursor=cursor,
        dropped=dropped,
        series=series,
    )


def _scale(starts: np.ndarray[Any, Any], ends: np.ndarray[Any, Any]) -> tuple[int, int]:
    """Base and the finest whole unit in which all times fit in 32 bits: 1 ns up to 4.29 s."""
    if not len(starts):
        return 0, 1
    base_ns = int(starts.min())
    return base_ns, max(1, math.ceil((int(ends.max()) - base_ns) / _U32))


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


def rollup_frame(coarse: Coarse, *, cursor: int = 0) -> bytes:
    """A ROLLUP frame of all or some of a run's buckets, its `seq` 0."""
    return encode_frame(FrameType.ROLLUP, coarse.rows, seq=0, base_ns=0, unit_ns=coarse.unit_ns, cursor=cursor)
