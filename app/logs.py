"""What a run looks like so far, kept for clients that are at different places of it.

Three logs of bounded size, each with a position that a client remembers as one integer and never more: the newest
spans, the newest steps of a number, and the roll-up. `frame_after` makes the frame that a client at a position lacks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from app.frames import Coarse, rollup_frame, series_frame, spans_frame
from app.wire import MAX_FRAMES_IN_FLIGHT, MAX_SPANS_PER_FRAME, ROLLUP_COLUMNS, Series
from loader_core.diagnose.queues import Steps
from loader_core.diagnose.rows import Rows
from loader_core.trace.rollup import BUCKET_NS
from loader_core.trace.trace import ROW_DTYPE

KEPT_SPANS = 131_072
"""Newest spans kept for clients, as many as the page keeps. A client that is farther behind skips, and is told."""

MAX_BACKLOG = MAX_FRAMES_IN_FLIGHT * MAX_SPANS_PER_FRAME
"""Spans that a client may be behind: what all its credits can carry. A client farther behind skips to the newest."""

KEPT_STEPS = 65_536
"""Newest steps of each number kept for clients. The roll-up has what was before."""

MAX_STEPS_PER_FRAME = 16_384

MAX_ENCODED = 32
"""Frames of one log kept for other clients at the same place. Past it all are encoded again."""


class Next(NamedTuple):
    """What a client at some position of a log is sent, and its position then. The frame's `seq` is 0."""

    frame: bytes
    position: int


class _Log:
    """Frames by the place that they are for, encoded for the first client that asks. Anything new clears them."""

    def __init__(self) -> None:
        self._frames: dict[tuple[int, bool], Next | None] = {}

    def frame_after(self, position: int, *, all_kept: bool = False) -> Next | None:
        """The frame that a client at `position` lacks, or None if it lacks nothing.

        A client that is far behind skips to the newest, unless it is to have `all_kept`.
        """
        place = position, all_kept
        if place not in self._frames:
            if len(self._frames) >= MAX_ENCODED:
                self._frames.clear()
            self._frames[place] = self._make(position, all_kept=all_kept)
        return self._frames[place]

    def _make(self, position: int, *, all_kept: bool) -> Next | None:
        raise NotImplementedError


class SpanLog(_Log):
    """The newest `KEPT_SPANS` rows in the order of their arrival, in a ring. Positions count all rows ever."""

    def __init__(self) -> None:
        super().__init__()
        self._ring = np.empty(KEPT_SPANS, ROW_DTYPE)
        self._held = 0
        self.end = 0
        """The position after the newest row."""

    def append(self, rows: Rows, *, end: int) -> None:
        """Add rows of which the newest has the position `end - 1`. Rows left out before them count as dropped."""
        self._frames.clear()
        rows = rows[-KEPT_SPANS:]
        if end - len(rows) > self.end:
            self._held = 0
        self._ring[np.arange(end - len(rows), end) % KEPT_SPANS] = rows
        self._held = min(self._held + len(rows), KEPT_SPANS)
        self.end = end

    def _make(self, position: int, *, all_kept: bool) -> Next | None:
        if position >= self.end:
            return None
        oldest = self.end - (self._held if all_kept else min(self._held, MAX_BACKLOG))
        first = max(position, oldest)
        last = min(first + MAX_SPANS_PER_FRAME, self.end)
        rows = self._ring[np.arange(first, last) % KEPT_SPANS]
        return Next(spans_frame(rows, cursor=last, dropped=first - position), last)


class StepLog(_Log):
    """The newest `KEPT_STEPS` steps of a number. Positions count all steps ever."""

    def __init__(self, series: Series) -> None:
        super().__init__()
        self._series = series
        self._steps = Steps(np.empty(0, np.int64), np.empty(0))
        self._end = 0

    def append(self, steps: Steps) -> None:
        """Add steps. One that came late, from a process that was slow to be read, counts from the newest before it."""
        if not len(steps.times):
            return
        self._frames.clear()
        times, values = self._steps
        newer = np.maximum(steps.times, times[-1]) if len(times) else steps.times
        self._steps = Steps(
            np.concatenate([times, newer])[-KEPT_STEPS:], np.concatenate([values, steps.values])[-KEPT_STEPS:]
        )
        self._end += len(newer)

    def _make(self, position: int, *, all_kept: bool) -> Next | None:
        if position >= self._end:
            return None
        oldest = self._end - len(self._steps.times)
        first = max(position, oldest)
        last = min(first + MAX_STEPS_PER_FRAME, self._end)
        chosen = slice(first - oldest, last - oldest)
        steps = Steps(self._steps.times[chosen], self._steps.values[chosen])
        return Next(series_frame(self._series, steps, cursor=last, dropped=first - position), last)


class RollupLog(_Log):
    """A run's roll-up, each bucket with the number of the update that last changed it. Positions count updates."""

    def __init__(self) -> None:
        super().__init__()
        self._now = Coarse(np.empty(0, ROLLUP_COLUMNS), BUCKET_NS)
        self._changed = np.empty(0, np.int64)
        self._end = 0

    def update(self, new: Coarse) -> None:
        """Take the roll-up as it is now. Buckets of another width are other buckets."""
        old, number = self._now, self._end + 1
        changed = np.full(len(new.rows), number)
        if new.unit_ns == old.unit_ns:
            common = min(len(old.rows), len(new.rows))
            same = _bits(new.rows[:common]) == _bits(old.rows[:common])
            changed[:common] = np.where(same, self._changed[:common], number)
        if (changed == number).any():
            self._frames.clear()
            self._now, self._changed, self._end = new, changed, number

    def _make(self, position: int, *, all_kept: bool) -> Next | None:
        if position >= self._end:
            return None
        changed = self._now._replace(rows=self._now.rows[self._changed > position])
        return Next(rollup_frame(changed, cursor=self._end), self._end)


def _bits(rows: np.ndarray[Any, np.dtype[np.void]]) -> np.ndarray[Any, np.dtype[np.void]]:
    """Rows that compare by their bytes: NaN equals NaN."""
    return np.ascontiguousarray(rows).view(f"V{rows.dtype.itemsize}")
