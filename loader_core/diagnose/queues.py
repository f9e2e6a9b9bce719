"""Numbers over time, counted from rows: batches ready, batches in flight, the loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from loader_core.diagnose.rows import Numbers, Rows, Times, by_end, of_kinds
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, Kind

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


NO_STEPS = Steps(np.empty(0, np.int64), np.empty(0))


def losses(rows: Rows) -> Steps:
    """The training loss after each step that reported one."""
    marks = by_end(of_kinds(rows, Kind.LOSS))
    return Steps(marks["end"].astype(np.int64), marks["value"] / 1e6)


class QueueCount:
    """Batches ready for the training loop, and batches in flight, counted from rows in the order of their ends.

    Rows may be given in any number of portions; the steps are the same. Belongs to one thread.

    - **Ready**: one more at the end of each SEND, one less when the loop has got one. A WAIT_BATCH says how many were
      ready when the loop asked, which corrects the count: with each SEND since, less the one that the loop got.
    - **In flight**: a DISPATCH says how many there are with its own batch; since it has its batch's number, it also
      says how many had been handed over by then. When the loop has got a batch there are as many as were dispatched
      in this epoch, less those that it got. (Whether the loader dispatches before or after it hands over, within the
      same wait, makes no difference to that.)

    At the end of an epoch, where the loop waited and got nothing, both are 0.
    """

    def __init__(self) -> None:
        self._ready: float | None = None
        self._sends: Times = np.empty(0, np.int64)
        """Ends of the SENDs that a later WAIT_BATCH may have to count again: those since the last one."""
        self._in_flight: float | None = None
        self._epoch = -1
        self._handed_over = 0
        """Number of batches of the epoch that the loop got, in the count that the batches are numbered by."""
        self._dispatched = 0

    @property
    def ready(self) -> int | None:
        """The count now, or None if nothing was measured yet."""
        return None if self._ready is None else max(0, int(self._ready))

    @property
    def in_flight(self) -> int | None:
        """The count now, or None if nothing was measured yet."""
        return None if self._in_flight is None else max(0, int(self._in_flight))

    def add(self, rows: Rows) -> tuple[Steps, Steps]:
        """The steps of `ready` and of `in_flight` that these rows, newer than all before, add."""
        waits = by_end(of_kinds(rows, Kind.WAIT_BATCH))
        dispatches = of_kinds(rows, Kind.DISPATCH)
        dispatches = by_end(dispatches[dispatches["value"] != NOT_MEASURED])
        return self._add_ready(of_kinds(rows, Kind.SEND), waits), self._add_in_flight(dispatches, waits)

    def _add_ready(self, sent: Rows, waits: Rows) -> Steps:
        measured = waits["value"] != NOT_MEASURED
        if self._ready is None and not len(sent) and not measured.any():
            return NO_STEPS
        ends = np.sort(sent["end"]).astype(np.int64)
        sends = np.concatenate([self._sends, ends])
        arrived = np.searchsorted(sends, waits["end"], "right") - np.searchsorted(sends, waits["start"], "right")
        if len(waits):
            sends = sends[sends > waits["end"][-1]]
        self._sends = sends[-MAX_SENDS_KEPT:]
        known = np.where(measured, waits["value"] + arrived - 1.0, np.nan)
        known[waits["batch"] == NO_BATCH] = 0
        steps, self._ready = _count(
            (ends, np.ones(len(ends)), np.full(len(ends), np.nan)),
            (waits["end"], np.full(len(waits), -1.0), known),
            before=self._ready or 0.0,
        )
        return steps

    def _add_in_flight(self, dispatches: Rows, waits: Rows) -> Steps:
        if self._in_flight is None and not len(dispatches):
            return NO_STEPS
        times, values = [dispatches["end"]], [dispatches["value"].astype(np.float64)]
        for epoch in np.unique(np.concatenate([dispatches["epoch"], waits["epoch"]])):
            got = waits[waits["epoch"] == epoch]
            times.append(got["end"])
            values.append(self._left(int(epoch), dispatches[dispatches["epoch"] == epoch], got))
        steps = _in_order(np.concatenate(times), np.concatenate(values))
        self._in_flight = self._in_flight if steps.last is None else steps.last
        return steps

    def _left(self, epoch: int, dispatches: Rows, waits: Rows) -> Numbers:
        """How many of the epoch's batches are in flight after each of its waits."""
        numbers = dispatches["batch"].astype(np.int64) + 1
        got = waits["batch"] != NO_BATCH
        if epoch != self._epoch:
            self._epoch = epoch
            self._dispatched = self._handed_over = _handed_over(dispatches, waits[got])
        dispatched = np.maximum.accumulate(np.concatenate([[self._dispatched], numbers]))
        handed_over = self._handed_over + np.cumsum(got)
        left = dispatched[np.searchsorted(dispatches["end"], waits["end"], "right")] - handed_over
        self._dispatched = int(dispatched[-1])
        self._handed_over += int(got.sum())
        return np.where(got, np.maximum(left, 0.0), 0.0)


def _handed_over(dispatches: Rows, waits: Rows) -> int:
    """How many batches were handed over before the first rows of an epoch, in the count that they are numbered by.

    Rows that begin in the middle of an epoch are taken to be in order: `in_order=False` may be off by a few.
    """
    whole_epoch = len(dispatches) and dispatches["value"][0] == 1
    if len(waits) and not whole_epoch:
        return int(waits["batch"][0])
    return int(dispatches["batch"][0]) + 1 - int(dispatches["value"][0]) if len(dispatches) else 0


def _count(*changes: tuple[Times, Numbers, Numbers], before: float) -> tuple[Steps, float]:
    """Running count from `before` of changes (times, by how much, or what the count is then), and where it ends.

    A step is never below 0, but the count may be, for a moment: a worker may note the end of its SEND just after the
    loop has got that batch.
    """
    times, by, known = (np.concatenate(column) for column in zip(*changes, strict=True))
    order = np.argsort(times, kind="stable")
    times, count, known = times[order], np.cumsum(by[order]), known[order]
    source = np.maximum.accumulate(np.where(np.isnan(known), -1, np.arange(len(times))))
    count += np.where(source >= 0, (known - count)[source], before)
    return _in_order(times, np.maximum(count, 0.0)), float(count[-1]) if len(count) else before


def _in_order(times: Times, values: Numbers) -> Steps:
    order = np.argsort(times, kind="stable")
    return Steps(times[order].astype(np.int64), values[order])
