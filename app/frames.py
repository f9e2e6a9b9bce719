"""Rows of a trace as the columns of binary frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.wire import SPAN_COLUMNS, FrameType, encode_frame

Rows = np.ndarray[Any, np.dtype[np.void]]

MOST_UNITS = 2**32 - 1


def longest(rows: Rows, limit: int) -> tuple[Rows, int]:
    """The `limit` longest of `rows`, in the order they had, and how many were left out."""
    if len(rows) <= limit:
        return rows, 0
    durations = rows["end"] - rows["start"]
    kept = np.argpartition(durations, len(rows) - limit)[len(rows) - limit :]
    return rows[np.sort(kept)], len(rows) - limit


def spans_frame(rows: Rows, *, seq: int = 0, cursor: float = 0, dropped: float = 0) -> bytes:
    """A SPANS frame of `(n,) ROW_DTYPE`. Its unit is one nanosecond where the span of time lets it be (4.3 s)."""
    base_ns = int(rows["start"].min()) if len(rows) else 0
    reach_ns = int(rows["end"].max()) - base_ns if len(rows) else 0
    unit_ns = max(1, -(-reach_ns // MOST_UNITS))
    columns = np.empty(len(rows), SPAN_COLUMNS)
    columns["start"] = (rows["start"] - base_ns) // unit_ns
    columns["duration"] = (rows["end"] - rows["start"]) // unit_ns
    for name in ("sample", "value", "batch", "epoch", "lane", "kind", "flags"):
        columns[name] = rows[name]
    return encode_frame(
        FrameType.SPANS, columns, seq=seq, base_ns=base_ns, unit_ns=unit_ns, cursor=cursor, dropped=dropped
    )
