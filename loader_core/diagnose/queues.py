"""Numbers over time, counted from rows: batches ready, batches in flight, the loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from loader_core.diagnose.rows import Numbers, Rows, Times, by_end, of_kinds
from loader_core.trace.event import NOT_MEASURED, Kind

MAX_SENDS_KEPT = 4096
"""Ends of SENDs that `QueueCount` keeps while the loop asks for nothing. Older ones are then not counted as ready."""


class Steps(NamedTuple):
    """A number over time: it is `values[i]` from `times[i]` until `times[i + 1]`. Times never decrease."""

    times: Times
    values: Numbers

    @property
    def last(self) -> float | None:
        """The newest value, or None if there is none."""
        return float(self.values[-1]) if len(self.values) else None


def losses(rows: Rows) -> Steps:
    """The training loss after each step that reported one."""
    marks = by_end(of_kinds(rows, Kind.LOSS))
    return Steps(marks["end"].astype(np.int64), marks["value"] / 1e6)


class QueueCount:
    """Batches ready for the training loop, and batches in flight, counted from rows in the order of their ends.

    Rows may be given in any number of portions; the steps are the same. Belongs to one thread.

    - **Ready**: one more at the end of each SEND, one less when the loop has got one. A WAIT_BATCH says how many were
      ready when the loop asked, which corrects the count: with each SEND since, less the one that the loop got.
    - **In flight**: a DISPATCH says how many there are with its own batch. A WAIT_BATCH takes one away, unless a
      DISPATCH at the end of the wait, after the batch was received, has already counted that one out.
    """

    def __init__(self) -> None:
        self._ready: float | None = None
        self._in_flight: float | None = None
        self._sends: Times = np.empty(0, np.int64)
        """Ends of the SENDs that a later WAIT_BATCH may have to count again: those since the last one."""
        self._dispatched_ns = -1
        self._received_ns = -1

    @property
    def ready(self) -> int | None:
        """The count now, or None if nothing was measured yet."""
        return None if self._ready is None else max(0, round(self._ready))

    @property
    def in_flight(self) -> int | None:
        """The count now, or None if nothing was measured yet."""
        return None if self._in_flight is None else max(0, round(self._in_flight))

    def add(self, rows: Rows) -> tuple[Steps, Steps]:
        """The steps of `ready` and of `in_flight` that these rows, newer than all before, add."""
        waits = by_end(of_kinds(rows, Kind.WAIT_BATCH))
        return self._add_ready(rows, waits), self._add_in_flight(rows, waits)

    def _add_ready(self, rows: Rows, waits: Rows) -> Steps:
        ends = np.sort(of_kinds(rows, Kind.SEND)["end"]).astype(np.int64)
        measured = waits["value"] != NOT_MEASURED
        if self._ready is None and not len(ends) and not measured.any():
            return Steps(np.empty(0, np.int64), np.empty(0))
        sends = np.concatenate([self._sends, ends])
        arrived = np.searchsorted(sends, waits["end"], "right") - np.searchsorted(sends, waits["start"], "right")
        if len(waits):
            sends = sends[sends > waits["end"][-1]]
        self._sends = sends[-MAX_SENDS_KEPT:]
        steps, self._ready = _count(
            (ends, np.ones(len(ends)), np.full(len(ends), np.nan)),
            (waits["end"], np.full(len(waits), -1.0), np.where(measured, waits["value"] + arrived - 1.0, np.nan)),
            before=self._ready,
        )
        return steps

    def _add_in_flight(self, rows: Rows, waits: Rows) -> Steps:
        dispatches = of_kinds(rows, Kind.DISPATCH)
        dispatches = by_end(dispatches[dispatches["value"] != NOT_MEASURED])
        if self._in_flight is None and not len(dispatches):
            return Steps(np.empty(0, np.int64), np.empty(0))
        dispatched = np.concatenate([[self._dispatched_ns], dispatches["end"]])
        received = np.concatenate([[self._received_ns], np.sort(of_kinds(rows, Kind.RECEIVE)["end"])])
        self._dispatched_ns, self._received_ns = int(dispatched[-1]), int(received[-1])
        handed_over = np.maximum(waits["start"], _newest(received, waits["end"]))
        alone = waits["end"][_newest(dispatched, waits["end"]) <= handed_over]
        steps, self._in_flight = _count(
            (dispatches["end"], np.zeros(len(dispatches)), dispatches["value"].astype(np.float64)),
            (alone, np.full(len(alone), -1.0), np.full(len(alone), np.nan)),
            before=self._in_flight,
        )
        return steps


def _newest(times: Times, until: Times) -> Times:
    """For each of `until`, the newest of the sorted `times` that is not later; the first where there is none."""
    found: Times = times[np.maximum(np.searchsorted(times, until, "right") - 1, 0)]
    return found


def _count(*changes: tuple[Times, Numbers, Numbers], before: float | None) -> tuple[Steps, float]:
    """Running count from `before` of changes (times, by how much, or what the count is then), and where it ends.

    A step is never below 0, but the count may be, for a moment: a worker may note the end of its SEND just after the
    loop has got that batch.
    """
    times, by, known = (np.concatenate(column) for column in zip(*changes, strict=True))
    order = np.argsort(times, kind="stable")
    times, count, known = times[order].astype(np.int64), np.cumsum(by[order]), known[order]
    source = np.maximum.accumulate(np.where(np.isnan(known), -1, np.arange(len(times))))
    count += np.where(source >= 0, (known - count)[source], before or 0.0)
    return Steps(times, np.maximum(count, 0.0)), float(count[-1]) if len(count) else before or 0.0
