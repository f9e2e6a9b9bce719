"""Rows of a trace, made by hand: for the tests of what reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from loader_core.diagnose.rows import Rows
from loader_core.trace.event import EVENT_DTYPE, NO_BATCH, NOT_MEASURED, Kind

ROW_DTYPE = np.dtype([*EVENT_DTYPE.descr, ("lane", "u1")])

MAIN, CONSUMER, FIRST_WORKER = 0, 1, 2


def row(kind: Kind, start: int, end: int | None = None, *, lane: int = CONSUMER, **fields: Any) -> tuple[Any, ...]:
    """One row; times in nanoseconds, `end` left out for a mark."""
    values = {"value": NOT_MEASURED, "sample": NOT_MEASURED, "batch": NO_BATCH, "epoch": 0, "flags": 0} | fields
    values |= {"kind": kind, "start": start, "end": start if end is None else end, "lane": lane}
    return tuple(values[name] for name in ROW_DTYPE.names or ())


def rows_of(*rows: tuple[Any, ...]) -> Rows:
    """`(n,) ROW_DTYPE`."""
    return np.array(list(rows), ROW_DTYPE)


@st.composite
def runs(draw: st.DrawFn, *, max_batches: int = 30) -> Rows:
    """The rows of one epoch of a loader with workers, in the order of their ends: no span of a lane overlaps another.

    The consumer waits and steps; workers wait, fetch and send; the main process dispatches and receives.
    """
    count, workers = draw(st.integers(0, max_batches)), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))  # hypothesis draws too slowly for hundreds of rows
    longest = draw(st.sampled_from((2, 10, 1_000)))

    def duration() -> int:
        return int(random.integers(longest))

    clock = draw(st.integers(0, 10_000))
    free = [clock] * workers
    found = []
    in_flight = 0
    for batch in range(count):
        number, lane = batch % workers, FIRST_WORKER + batch % workers
        in_flight += 1
        found.append(row(Kind.DISPATCH, clock, lane=MAIN, batch=batch, value=in_flight))
        found.append(row(Kind.WAIT_TASK, free[number], clock, lane=lane, batch=batch))
        fetched = clock + duration()
        found.append(row(Kind.FETCH, clock, fetched, lane=lane, batch=batch))
        found.append(row(Kind.ITEM, clock, fetched, lane=lane, batch=batch, sample=batch))
        sent = free[number] = fetched + duration()
        found.append(row(Kind.SEND, fetched, sent, lane=lane, batch=batch, value=duration()))
        got = sent + duration()
        found.append(row(Kind.WAIT_BATCH, clock, got, batch=batch, value=0))
        found.append(row(Kind.RECEIVE, sent, got, lane=MAIN, batch=batch, value=duration()))
        in_flight -= 1
        clock = got + duration()
        found.append(row(Kind.STEP, got, clock, batch=batch, value=1 + duration()))
        found.append(row(Kind.LOSS, clock, batch=batch, value=duration()))
        if random.random() < 0.3:
            resumed = clock + duration()
            found.append(row(Kind.PAUSE, clock, resumed))
            clock = resumed
    rows = rows_of(*found)
    return rows[np.argsort(rows["end"], kind="stable")]
