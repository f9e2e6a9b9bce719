"""Rows of a trace: choosing them and adding up their time.

Rows are arrays whose dtype has the fields of `loader_core.trace.event.EVENT_DTYPE`, with `start` and `end` in run time,
and `lane`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loader_core.trace.event import Kind

Rows = np.ndarray[Any, np.dtype[np.void]]
"""`(n,)` rows of a trace, in run time."""

Times = np.ndarray[Any, np.dtype[np.int64]]
"""`(n,) int64`, nanoseconds of run time."""

Numbers = np.ndarray[Any, np.dtype[np.float64]]
"""`(n,) float64`."""


def of_kinds(rows: Rows, *kinds: Kind) -> Rows:
    """The rows of one of `kinds`, in their order."""
    table = np.zeros(256, np.bool_)
    table[list(kinds)] = True
    chosen: Rows = rows[table[rows["kind"]]]
    return chosen


WARM_UP_STEPS = 20
"""Steps at the beginning that count for nothing (TraceML), or a quarter of all where there are fewer than 80."""


def warm_up_end(steps: Rows, start_ns: int) -> int:
    """Where the warm-up of these STEP rows ends, in ns: what began later counts. `start_ns` where there is none."""
    ends = np.sort(steps["end"])
    dropped = min(WARM_UP_STEPS, len(ends) // 4)
    return int(ends[dropped - 1]) if dropped else start_ns


def by_end(rows: Rows) -> Rows:
    """The rows in the order in which they ended."""
    ordered: Rows = rows[np.argsort(rows["end"], kind="stable")]
    return ordered


def overlap_ns(rows: Rows, *, start_ns: int, end_ns: int) -> int:
    """How much of the rows' time lies in the window, each row counted by itself."""
    clipped = np.minimum(rows["end"], end_ns) - np.maximum(rows["start"], start_ns)
    return int(np.maximum(clipped, 0).sum())


def union_ns(rows: Rows, *, start_ns: int, end_ns: int) -> int:
    """How much of the window lies in at least one of the rows."""
    if not len(rows):
        return 0
    rows = rows[np.argsort(rows["start"], kind="stable")]
    ends = np.clip(rows["end"], start_ns, end_ns)
    covered = np.concatenate([[start_ns], np.maximum.accumulate(ends)[:-1]])
    starts = np.maximum(np.clip(rows["start"], start_ns, end_ns), covered)
    return int(np.maximum(ends - starts, 0).sum())
