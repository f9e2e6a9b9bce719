"""What one tick of a feed reads from a trace: runs in a worker thread, hands over values that nobody changes any more.

`LiveReader` follows a run as it is written; `ReplayReader` reads a recording up to a `now` that moves. Both give the
same `Reading`, so that nothing behind them knows which it is.
"""

from __future__ import annotations

import re
import socket
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from pydantic import ValidationError

from app import wire
from app.frames import Coarse, coarsen
from loader_core.diagnose.metrics import MEASURED_KINDS, Metrics, OpenWaits, Totals, measure
from loader_core.diagnose.queues import Steps
from loader_core.diagnose.rows import Rows, by_end, of_kinds
from loader_core.trace.event import Kind, Role
from loader_core.trace.rollup import BUCKET_NS
from loader_core.trace.trace import ROW_DTYPE, TAIL_ROWS, Trace

RECENT_NS = 2_000_000_000
"""Window of the recent numbers, where steps are short."""
RECENT_STEPS = 8
"""Where steps are long it reaches back until it holds so many, but not farther than `MAX_RECENT_NS`."""
MAX_RECENT_NS = 30_000_000_000

REPLAY_CONTEXT_NS = 30_000_000_000
"""How much of what was before a replay's beginning is shown."""

PREVIEW_FILE = re.compile(r"(\d+)\.json")

Open = Callable[[], AbstractContextManager[Trace]]
"""Opens the run's trace for the calling thread alone. Raises TraceError."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is new since the reading before, and how the run stands now."""

    fresh: bool
    """Nothing before it counts: the trace was opened anew, and its rows are in another order."""
    source: weakref.ref[Trace] | None
    """The trace whose positions these are; None for a replay, which counts for itself."""
    rows: Rows
    end: int
    """Position after the newest row."""
    ready: Steps
    in_flight: Steps
    loss: Steps
    rollup: Coarse
    lanes: list[wire.Lane]
    stages: list[wire.Stage]
    changes: list[wire.SettingsChange]
    classes: list[str]
    now_ns: int
    recent: Metrics
    total: Metrics
    preview: wire.Preview | None
    truncated: str
    lost: int
    pids: dict[int, str]
    """What the run's processes on this host are called, by process id; empty for those of another host."""
    over: bool
    """Nothing will come any more."""


class Reader(Protocol):
    """Reads one run, each time from where it was before. Belongs to one thread at a time."""

    def read(self, *, live: bool) -> Reading:
        """`live`: the run's process is there. Raises TraceError, and what opening the trace raises."""


class _Reader:
    """What both readers gather over their readings."""

    def __init__(self, open_trace: Open) -> None:
        self._open = open_trace
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._totals = Totals()
        self._recent = Recent()
        self._open_waits = OpenWaits()
        self._previews = Previews()

    def _reading(
        self,
        trace: Trace,
        rows: Rows,
        *,
        end: int,
        now_ns: int,
        buckets: Rows,
        fresh: bool,
        source: weakref.ref[Trace] | None,
        over: bool,
    ) -> Reading:
        """The reading in which `rows` are new. `buckets` is a copy of the roll-up up to now."""
        measured = of_kinds(rows, *MEASURED_KINDS)
        ready, in_flight, loss = self._totals.add(measured)
        self._recent.add(measured, now_ns)
        self._open_waits.add(measured)
        open_waits = OpenWaits() if over else self._open_waits
        return Reading(
            fresh=fresh,
            source=source,
            rows=rows,
            end=end,
            ready=ready,
            in_flight=in_flight,
            loss=loss,
            rollup=coarsen(buckets),
            lanes=lanes_of(trace),
            stages=[wire.Stage(id=number, name=name) for number, name in sorted(trace.stages.items())],
            changes=changes_of(trace, now_ns),
            classes=trace.run.classes,
            now_ns=now_ns,
            recent=self._recent.metrics(now_ns, open_waits),
            total=self._totals.metrics(buckets, end_ns=now_ns, open_wait_ns=open_waits.ns(start_ns=0, end_ns=now_ns)),
            preview=self._previews.newest(trace, now_ns),
            truncated=trace.truncated,
            lost=trace.lost,
            pids=pids_of(trace),
            over=over,
        )


class LiveReader(_Reader):
    """Follows a run while it is written, and reads a recording once."""

    def __init__(self, open_trace: Open) -> None:
        super().__init__(open_trace)
        self._trace: Trace | None = None
        self._cursor = 0

    def read(self, *, live: bool) -> Reading:
        """What was written since the last reading."""
        with self._open() as trace:
            trace.refresh()
            live = live and trace.run.live  # a script may go on long after its run is over
            fresh = trace is not self._trace
            if fresh:
                self._begin_anew()
                self._trace, self._cursor = trace, 0
            rows, self._cursor, skipped = trace.tail(self._cursor, TAIL_ROWS)
            if fresh and skipped:
                self._totals.add(ended_between(trace, -1, int(rows["end"][0]) - 1, MEASURED_KINDS))
            return self._reading(
                trace,
                rows,
                end=self._cursor,
                now_ns=run_time_now(trace) if live else trace.duration_ns,
                buckets=trace.rollup().copy(),
                fresh=fresh,
                source=weakref.ref(trace),
                over=not live,
            )


class ReplayReader(_Reader):
    """Plays a recording again: reads it up to a time that moves `speed` times as fast as `clock`, in nanoseconds."""

    def __init__(self, open_trace: Open, *, from_ns: int, speed: float, clock: Callable[[], int]) -> None:
        super().__init__(open_trace)
        self._from_ns = from_ns
        self._speed = speed
        self._clock = clock
        self._began_ns: int | None = None
        self._read_ns = -1
        self._end = 0

    def read(self, *, live: bool) -> Reading:
        """What ended between the former `now` and the present one."""
        with self._open() as trace:
            trace.refresh()
            live = live and trace.run.live
            first = self._began_ns is None
            now_ns = min(self._now_ns(), trace.duration_ns)
            if first:
                self._read_ns = max(-1, now_ns - REPLAY_CONTEXT_NS)
                self._totals.add(ended_between(trace, -1, self._read_ns, MEASURED_KINDS))
            rows = ended_between(trace, self._read_ns, now_ns)
            self._read_ns = now_ns
            self._end += len(rows)
            over = now_ns >= trace.duration_ns and not live
            return self._reading(
                trace,
                rows,
                end=self._end,
                now_ns=now_ns,
                buckets=trace.rollup()[: None if over else now_ns // BUCKET_NS].copy(),
                fresh=first,
                source=None,
                over=over,
            )

    def _now_ns(self) -> int:
        if self._began_ns is None:
            self._began_ns = self._clock()
        return self._from_ns + int((self._clock() - self._began_ns) * self._speed)


# --- parts ------------------------------------------------------------------------------------------------------------


def ended_between(trace: Trace, after_ns: int, until_ns: int, kinds: Collection[Kind] | None = None) -> Rows:
    """The rows (of `kinds`) that ended after `after_ns` and not after `until_ns`, by end."""
    rows = trace.window(after_ns, until_ns, kinds)
    return by_end(rows[(rows["end"] > after_ns) & (rows["end"] <= until_ns)])


def run_time_now(trace: Trace) -> int:
    """Run time at this moment, for a run of this host; else the end of its newest event."""
    if not on_this_host(trace):
        return trace.duration_ns
    return max(trace.duration_ns, time.perf_counter_ns() - trace.run.clock_perf_ns)


def on_this_host(trace: Trace) -> bool:
    """Whether the run's clock and process ids are this host's."""
    return bool(trace.run.host.get("name") == socket.gethostname())


def lanes_of(trace: Trace) -> list[wire.Lane]:
    """The trace's lanes as the wire has them."""
    return [
        wire.Lane(
            lane=lane.lane,
            role=lane.role.value,
            worker=lane.worker,
            rank=lane.rank,
            pids=list(lane.pids),
            label=lane.label,
        )
        for lane in trace.lanes
    ]


def changes_of(trace: Trace, now_ns: int) -> list[wire.SettingsChange]:
    """The settings changed up to now. What an older or damaged header says otherwise is left out."""
    found = []
    for said in trace.run.changes:
        try:
            change = wire.SettingsChange.model_validate(said)
        except ValidationError:
            continue
        if change.at_ns <= now_ns:
            found.append(change)
    return found


def pids_of(trace: Trace) -> dict[int, str]:
    """The run's processes on this host, each by its newest process id."""
    if not on_this_host(trace):
        return {}
    workers = {lane.pids[-1]: lane.label for lane in trace.lanes if lane.role is Role.WORKER and lane.pids}
    workers.pop(trace.run.pid, None)  # a worker that is a thread
    return {trace.run.pid: "main", **workers}


class Recent:
    """The rows that the recent numbers are measured from: those of the last `MAX_RECENT_NS`, reading by reading."""

    def __init__(self) -> None:
        self._portions: deque[tuple[int, Rows]] = deque()
        """Each with the end of its newest row."""

    def add(self, rows: Rows, now_ns: int) -> None:
        """Take the new rows of the measured kinds."""
        rows = rows[rows["end"] > now_ns - MAX_RECENT_NS]
        if len(rows):
            self._portions.append((int(rows["end"].max()), rows))
        while self._portions and self._portions[0][0] <= now_ns - MAX_RECENT_NS:
            self._portions.popleft()

    def metrics(self, now_ns: int, open_waits: OpenWaits) -> Metrics:
        """The numbers of the last `RECENT_NS`, or of as much more as it takes to hold `RECENT_STEPS`."""
        start_ns = now_ns - RECENT_NS
        chosen, steps = [np.empty(0, ROW_DTYPE)], np.empty(0, np.int64)
        for end_ns, rows in reversed(self._portions):
            if end_ns <= start_ns and len(steps) >= RECENT_STEPS:
                break
            chosen.append(rows)
            steps = np.concatenate([steps, of_kinds(rows, Kind.STEP)["start"]])
        if len(steps):
            start_ns = min(start_ns, int(np.sort(steps)[-RECENT_STEPS:][0]))
        start_ns = max(0, start_ns, now_ns - MAX_RECENT_NS)
        open_wait_ns = open_waits.ns(start_ns=start_ns, end_ns=now_ns)
        return measure(np.concatenate(chosen), start_ns=start_ns, end_ns=now_ns, open_wait_ns=open_wait_ns)


class Previews:
    """The newest preview of a run. Files come and go while it looks."""

    def __init__(self) -> None:
        self._read: dict[int, wire.Preview | None] = {}

    def newest(self, trace: Trace, now_ns: int) -> wire.Preview | None:
        """The newest preview made up to now, or None."""
        numbers = sorted(preview_numbers(trace), reverse=True)
        self._read = {number: preview for number, preview in self._read.items() if number in numbers}
        for number in numbers:
            if number not in self._read:
                self._read[number] = read_preview(trace, number)
            preview = self._read[number]
            if preview is not None and preview.at_ns <= now_ns:
                return preview
        return None


def preview_numbers(trace: Trace) -> Collection[int]:
    """The numbers of the previews that the run directory holds."""
    try:
        names = [path.name for path in (trace.directory / "previews").iterdir()]
    except FileNotFoundError:
        return ()
    return [int(match[1]) for name in names if (match := PREVIEW_FILE.fullmatch(name))]


def read_preview(trace: Trace, number: int) -> wire.Preview | None:
    """One preview, or None if it is gone or none of ours."""
    try:
        return wire.Preview.model_validate_json((trace.directory / "previews" / f"{number:06}.json").read_bytes())
    except (OSError, ValidationError):
        return None
