"""Trace: a run directory, read. The only thing that readers touch, live or years later.

`refresh` takes what was written since the last one; everything else answers from memory, except `window`, which reads
the segments. A Trace belongs to one thread at a time and holds no file open between two calls.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from loader_core.errors import NewerSchema, TraceError
from loader_core.trace.event import EVENT_DTYPE, Kind, Role
from loader_core.trace.names import PLACES, STAGES, NameFile
from loader_core.trace.recorder import owner
from loader_core.trace.rollup import KNOWN_KINDS, Fold, FoldFile, Rollup, fold, known, lane_roles
from loader_core.trace.run_file import RUN_FILE, RunHeader, read_run_file
from loader_core.trace.segment import ROLES, SUFFIX, Rows, SegmentFlag, SegmentId, SegmentReader

ROW_DTYPE = np.dtype([*((name, EVENT_DTYPE[name].str) for name in EVENT_DTYPE.names or ()), ("lane", "u1")])
"""An event as readers get it: the record with `start` and `end` in run time, and the number of its lane."""

TAIL_ROWS = 262_144
"""Newest events that `tail` can still give."""

WINDOW_ROWS = 4_194_304
"""Events that `window` gives at most, if it is not asked for fewer."""

MAX_LANES = 256
MAX_PIDS = 16
_MAX_PROBLEMS = 100
_LABELS = {Role.MAIN: "main", Role.PIN: "pin thread", Role.DEVICE: "device", Role.CONSUMER: "training loop"}


@dataclass(slots=True)
class TraceLane:
    """One lane of a run: everything that one worker, or the main process in one of its roles, did."""

    lane: int
    role: Role
    worker: int
    """-1 on a worker lane: the main process fetched by itself (`num_workers=0`)."""
    rank: int
    label: str
    pids: list[int] = field(default_factory=list)
    """Processes that it was, oldest first; the newest `MAX_PIDS`."""


@dataclass(slots=True)
class _Segment:
    """A segment as far as it was read."""

    reader: SegmentReader
    lanes: np.ndarray[tuple[int], np.dtype[np.int16]]
    """Lane number by kind; -1: not seen yet."""
    parts: list[Rows] = field(default_factory=list)
    """What it has added to the roll-up, for as long as it may be dropped before it was read to its end."""
    gone: bool = False


class Trace:
    """A run directory, read.

    Attributes:
        run: what run.json says, as of the last refresh.
        lanes: numbered in the order in which they appeared.
        stages: names of stages by the value of their STAGE events.
        places: places in code by the value of their STACK events: `file:line function | source line`.
        lost: events that the recording's own bound has dropped. They are still in the roll-up.
        duration_ns: run time at which the last event ended.
    """

    def __init__(self, directory: Path) -> None:
        """Use `Trace.open`."""
        self.directory = directory
        self.run: RunHeader = read_run_file(directory)
        self.lanes: list[TraceLane] = []
        self.stages: dict[int, str] = {}
        self.places: dict[int, str] = {}
        self.lost = 0
        self.duration_ns = 0
        self._run_stamp: tuple[int, int, int] | None = None
        self._stage_file = NameFile(directory, STAGES)
        self._place_file = NameFile(directory, PLACES)
        self._problems: dict[str, str] = {}
        self._lane_numbers: dict[tuple[int, int, int], int] = {}
        self._segments: dict[SegmentId, _Segment] = {}
        self._names: set[str] = set()
        self._folds = FoldFile(directory)
        self._folded: set[SegmentId] = set()
        self._rollup = Rollup()
        self._tail = _Tail()

    @classmethod
    def open(cls, directory: Path) -> Trace:
        """The run in `directory`, read as far as it goes.

        Raises TraceError when it is no run directory, and NewerSchema when a newer version wrote it.
        """
        trace = cls(directory)
        trace.refresh()
        return trace

    def refresh(self) -> int:
        """Take what was written since the last call; the number of new events.

        Raises TraceError when the directory is gone, and NewerSchema.
        """
        self._read_header()
        self.stages.update(self._stage_file.take())
        self.places.update(self._place_file.take())
        # First what was dropped: a file that is in the roll-up already (its dropper was killed) is not read again.
        for dropped in self._folds.take():
            self._drop(dropped)
        self._find_segments()
        unread = [segment for segment in self._segments.values() if not (segment.reader.complete or segment.gone)]
        return self._tail.arrive(self._take(segment) for segment in unread)

    # --- what was read ------------------------------------------------------------------------------------------------

    @property
    def batches(self) -> int:
        """Batches whose step has ended."""
        return self._rollup.batches

    @property
    def samples(self) -> int:
        """Samples of those batches, as far as they were counted."""
        return self._rollup.samples

    @property
    def problems(self) -> list[str]:
        """Files that could not be read, one sentence each."""
        return list(self._problems.values())

    @property
    def truncated(self) -> str:
        """Why recording stopped before the run did, in a sentence; "" when it did not."""
        return next(
            (
                f"{owner(header)} stopped recording: {os.strerror(header.error)}"
                for header in (segment.reader.header for segment in self._segments.values())
                if header.flags & SegmentFlag.TRUNCATED
            ),
            "",
        )

    def tail(self, after: int, limit: int) -> tuple[Rows, int, int]:
        """Events in the order of their arrival here, from cursor `after` on, at most `limit`.

        Returns `(n,) ROW_DTYPE`, the cursor to ask with next, and how many events after the cursor are no longer among
        the newest `TAIL_ROWS` (they are skipped; `window` still has them). The cursor counts all events ever taken.
        """
        return self._tail.rows(after, limit)

    def window(
        self, start_ns: int, end_ns: int, kinds: Collection[Kind] | None = None, *, limit: int = WINDOW_ROWS
    ) -> Rows:
        """Events that overlap `[start_ns, end_ns]` of run time, by start: `(n,) ROW_DTYPE`.

        Of more than `limit` those that ended first are left out; name the `kinds` that matter to have all.
        """
        chosen = np.array([kinds is None or number in kinds for number in range(KNOWN_KINDS)])
        newest = _Newest(limit)
        for segment in self._segments.values():
            anchor_ns = segment.reader.header.anchor_ns
            try:
                events = known(segment.reader.rows(start_ns + anchor_ns, end_ns + anchor_ns))
            except (FileNotFoundError, TraceError):
                continue  # dropped meanwhile: the next refresh counts it
            if len(events):
                newest.add(self._rows(events[chosen[events["kind"]]], segment))
        rows = newest.rows()
        return rows[np.argsort(rows["start"], kind="stable")]

    def rollup(self) -> Rows:
        """The whole run per 100 ms of run time: `(n,) BUCKET_DTYPE`, bucket i in row i, dropped events included.

        A read-only view of sums that later refreshes go on with: copy what is to stay as it is.
        """
        return self._rollup.rows

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read_header(self) -> None:
        try:
            status = (self.directory / RUN_FILE).stat()
        except FileNotFoundError as error:
            raise TraceError(f"{self.directory} is gone: the run was deleted") from error
        stamp = status.st_mtime_ns, status.st_ino, status.st_size
        if stamp != self._run_stamp:
            self.run = read_run_file(self.directory)
            self._run_stamp = stamp

    def _find_segments(self) -> None:
        found = []
        with os.scandir(self.directory) as entries:
            names = {entry.name for entry in entries if entry.name.endswith(SUFFIX)}
        self._names &= names
        for name in names - self._names:
            try:
                found.append(SegmentReader(self.directory / name))
            except NewerSchema:
                raise
            except FileNotFoundError:
                continue
            except (TraceError, OSError) as error:
                self._note(name, f"{error}: ignored")
                continue
            self._names.add(name)
            self._problems.pop(name, None)
        for reader in sorted(found, key=lambda reader: (reader.header.created_ns, reader.path.name)):
            if reader.header.id not in self._folded:
                lanes = np.full(KNOWN_KINDS, -1, np.int16)
                self._segments[reader.header.id] = _Segment(reader, lanes)

    def _take(self, segment: _Segment) -> Rows:
        """What is new in a segment: `(n,) ROW_DTYPE`."""
        reader = segment.reader
        try:
            taken = reader.take()
        except (FileNotFoundError, TraceError):
            segment.gone = True
            return np.empty(0, ROW_DTYPE)
        if reader.complete:
            segment.parts = []
        events = known(taken)
        if len(events) < len(taken):
            self._note(reader.path.name, f"{reader.path.name} holds events of unknown kinds: ignored")
        if not len(events):
            return np.empty(0, ROW_DTYPE)
        header = reader.header
        folded = fold(events, writer=header.role, anchor_ns=header.anchor_ns)
        self._rollup.add(folded)
        if not reader.complete:
            segment.parts.append(folded)
        rows = self._rows(events, segment)
        self.duration_ns = max(self.duration_ns, int(rows["end"][-1]))
        return rows

    def _rows(self, events: Rows, segment: _Segment) -> Rows:
        """`(n,) EVENT_DTYPE` of a segment as `(n,) ROW_DTYPE`."""
        header = segment.reader.header
        lanes = segment.lanes[events["kind"]]
        if (lanes < 0).any():
            self._appear(events, segment)
            lanes = segment.lanes[events["kind"]]
        rows = np.empty(len(events), ROW_DTYPE)
        for name in EVENT_DTYPE.names or ():
            rows[name] = events[name]
        rows["start"] -= header.anchor_ns
        rows["end"] -= header.anchor_ns
        rows["lane"] = lanes
        return rows

    def _appear(self, events: Rows, segment: _Segment) -> None:
        """Give a lane to each kind that a segment has not shown yet."""
        header = segment.reader.header
        roles = lane_roles(header.role)
        for kind in dict.fromkeys(events["kind"].tolist()):
            if segment.lanes[kind] < 0:
                segment.lanes[kind] = self._lane(header.rank, int(roles[kind]), header.worker, header.pid)

    def _lane(self, rank: int, role_number: int, worker: int, pid: int) -> int:
        number = self._lane_numbers.get((rank, role_number, worker))
        if number is None:
            number = len(self.lanes)
            if number >= MAX_LANES:
                self._note("lanes", f"there are more than {MAX_LANES} lanes: the last one holds all others too")
                number = MAX_LANES - 1
            else:
                role = ROLES[role_number]
                self.lanes.append(TraceLane(number, role, worker, rank, _label(role, worker, rank)))
            self._lane_numbers[rank, role_number, worker] = number
        pids = self.lanes[number].pids
        if pid not in pids:
            pids.append(pid)
            del pids[:-MAX_PIDS]
        return number

    def _drop(self, dropped: Fold) -> None:
        """A segment is gone, and its fold is there: count what was not read in time, and all of it as lost."""
        if dropped.id in self._folded:
            return
        self._folded.add(dropped.id)
        segment = self._segments.pop(dropped.id, None)
        if segment is None or not segment.reader.complete:
            for part in segment.parts if segment is not None else ():
                self._rollup.add(part, sign=-1)
            self._rollup.add(dropped.rows)
        self._rollup.lose(dropped.rows)
        self.lost += dropped.events
        for role_number in dict.fromkeys(dropped.rows["role"].tolist()):
            self._lane(dropped.rank, role_number, dropped.id.worker, dropped.id.pid)

    def _note(self, name: str, problem: str) -> None:
        if len(self._problems) < _MAX_PROBLEMS:
            self._problems[name] = problem


class _Newest:
    """Rows from several sources, of which the `limit` that ended last are kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[Rows] = []
        self._held = 0

    def add(self, rows: Rows) -> None:
        self._pieces.append(rows)
        self._held += len(rows)
        if self._held > 4 * self._limit:
            self._pieces = [self.rows()]
            self._held = self._limit

    def rows(self) -> Rows:
        """By end: `(n,) ROW_DTYPE`."""
        rows = np.concatenate([np.empty(0, ROW_DTYPE), *self._pieces])
        return rows[np.argsort(rows["end"], kind="stable")[-self._limit :]]


class _Tail:
    """The newest `TAIL_ROWS` events in a ring."""

    def __init__(self) -> None:
        self._ring = np.empty(TAIL_ROWS, ROW_DTYPE)
        self._arrived = 0
        self._held = 0

    def arrive(self, pieces: Iterable[Rows]) -> int:
        """What came in one refresh goes in by end; the number of events."""
        newest = _Newest(TAIL_ROWS)
        count = 0
        for piece in pieces:
            count += len(piece)
            newest.add(piece)
        rows = newest.rows()
        self._arrived += count
        self._held = min(self._held + len(rows), TAIL_ROWS)
        places = np.arange(self._arrived - len(rows), self._arrived) % TAIL_ROWS
        self._ring[places] = rows
        return count

    def rows(self, after: int, limit: int) -> tuple[Rows, int, int]:
        first = min(max(after, self._arrived - self._held), self._arrived)
        last = min(first + limit, self._arrived)
        return self._ring[np.arange(first, last) % TAIL_ROWS], last, max(0, first - after)


def _label(role: Role, worker: int, rank: int) -> str:
    if role is Role.WORKER:
        label = f"worker {worker}" if worker >= 0 else "main, fetching"
    else:
        label = _LABELS[role]
    return f"rank {rank}: {label}" if rank else label
