"""The roll-up: what remains of events when the events themselves are gone.

`fold` sums events per 100 ms and lane role. It is the one place that says what is summed: `Trace` uses it for the
events it reads, and the recorder for a segment that it drops to keep its bound on disk. So the roll-up of a run is the
same number whether or not its events are still there.

Folds of dropped segments stand in the run directory's `rollup` file, one after the other: a head that names the
segment, and its rows. It is a file of records and not an `.npy`, because appending to a file is safe against a crash
(at worst a fold is cut short at the end, and the next writer cuts it off) while an `.npy` has its length in its header
and must be rewritten as a whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from loader_core.trace.event import KINDS, NOT_MEASURED, Kind, Nature, Role
from loader_core.trace.segment import ROLES, Rows, SegmentId, SegmentReader

BUCKET_NS = 100_000_000
"""Width of one bucket."""

MAX_BUCKETS = 1_000_000
"""Buckets that a roll-up has at most (27 h of run time). What comes later is counted in the last one."""

FILENAME = "rollup"

FOLD_DTYPE = np.dtype(
    [
        ("bucket", "<u4"),
        ("role", "<u4"),
        ("count", "<i8"),
        ("work_ns", "<i8"),
        ("wait_ns", "<i8"),
        ("bytes", "<i8"),
        ("batches", "<i8"),
        ("samples", "<i8"),
        ("step_ns", "<i8"),
    ]
)
"""One row of a fold: `count` events of the lane `role` that end in the bucket, and their sums. 64 bytes.

`work_ns` and `wait_ns` are time spent *in* the bucket: a span that crosses buckets is shared out among them exactly. A
pause asked for by a viewer is no wait. `bytes` are what the lane passed on (SEND, RECEIVE, PIN, COPY). `batches`,
`samples` and `step_ns` come from STEP, so they are 0 on all lanes but the consumer's.
"""

BUCKET_DTYPE = np.dtype(
    [
        ("bucket", "<u4"),
        ("batches", "<i8"),
        ("samples", "<i8"),
        ("bytes", "<i8"),
        ("wait_ns", "<i8"),
        ("step_ns", "<i8"),
        ("lost", "<i8"),
    ]
)
"""One 100 ms of a run: batches and samples whose step ended in it, bytes received by the main process, time that the
training loop waited and worked in it, and the number of its events that the recording no longer holds."""

_ROLE_NUMBER = {role: number for number, role in enumerate(ROLES)}
_PASSED_ON = (Kind.SEND, Kind.RECEIVE, Kind.PIN, Kind.COPY)
KNOWN_KINDS = max(Kind) + 1


def _table(chosen: set[Kind]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([number in chosen for number in range(KNOWN_KINDS)])


_IS_WORK = _table({kind for kind, spec in KINDS.items() if spec.nature is Nature.WORK})
_IS_WAIT = _table({kind for kind, spec in KINDS.items() if spec.nature is Nature.WAIT} - {Kind.PAUSE})
_IS_STEP = _table({Kind.STEP})
_IS_STRANGE = np.array([number not in KINDS for number in range(256)])
_HAS_BYTES = _table(set(_PASSED_ON))


def lane_roles(writer: Role) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Role number of the lane of each kind, by kind, for the events of a writer of that role."""
    roles = np.full(KNOWN_KINDS, _ROLE_NUMBER[writer], np.uint8)
    for kind, spec in KINDS.items():
        if spec.role is not Role.ANY:
            roles[kind] = _ROLE_NUMBER[spec.role]
    return roles


_LANE_ROLES = {role: lane_roles(role) for role in ROLES}


def fold(events: Rows, *, writer: Role, anchor_ns: int) -> Rows:
    """`(n,) EVENT_DTYPE` of one writer to `(m,) FOLD_DTYPE`, sorted by bucket and role.

    Exact: all sums are integers, and the folds of parts of the events add up to the fold of the whole.
    """
    kind = events["kind"]
    role = _LANE_ROLES[writer][kind].astype(np.int64)
    start, end = events["start"] - anchor_ns, events["end"] - anchor_ns
    key = _bucket(end) * len(ROLES) + role
    one = np.ones(len(events), np.int64)
    measured = events["value"] != NOT_MEASURED
    step, passed = _IS_STEP[kind], _HAS_BYTES[kind] & measured
    sums: list[_Sum] = [
        ("count", key, one),
        ("bytes", key[passed], events["value"][passed]),
        ("batches", key[step], one[step]),
        ("samples", key[step & measured], events["value"][step & measured]),
    ]
    for name, chosen in (("work_ns", _IS_WORK[kind]), ("wait_ns", _IS_WAIT[kind]), ("step_ns", step)):
        sums += _share_out(name, start[chosen], end[chosen], role[chosen])
    return _table_of(sums)


_Integers = np.ndarray[Any, np.dtype[np.int64]]
_Sum = tuple[str, _Integers, _Integers]
"""A column, and (key, amount) pairs to add to it; the key is bucket * number of roles + role."""


def _bucket(at_ns: _Integers) -> _Integers:
    bucket: _Integers = np.clip(at_ns // BUCKET_NS, 0, MAX_BUCKETS - 1)
    return bucket


def _share_out(name: str, start: _Integers, end: _Integers, role: _Integers) -> Iterator[_Sum]:
    """The time of each span, shared out among the buckets that it crosses. A span that ends before it starts is 0."""
    if not len(start):
        return
    end = np.maximum(start, end)
    first, last = _bucket(start), _bucket(end)
    crosses = first < last
    yield name, first * len(ROLES) + role, np.where(crosses, (first + 1) * BUCKET_NS, end) - start
    if not crosses.any():
        return
    first, last, role, end = first[crosses], last[crosses], role[crosses], end[crosses]
    yield name, last * len(ROLES) + role, end - last * BUCKET_NS
    # Buckets crossed from edge to edge, counted by where such runs begin and end: no work per bucket and span.
    low, width = int(first.min()), int(last.max() - first.min()) + 1
    for number in np.unique(role):
        chosen = role == number
        edges = np.bincount(first[chosen] + 1 - low, minlength=width) - np.bincount(last[chosen] - low, minlength=width)
        crossed = np.cumsum(edges)
        whole = np.flatnonzero(crossed)
        yield name, (whole + low) * len(ROLES) + number, crossed[whole] * BUCKET_NS


def _table_of(sums: list[_Sum]) -> Rows:
    keys = np.unique(np.concatenate([key for _, key, _ in sums]))
    rows = np.zeros(len(keys), FOLD_DTYPE)
    rows["bucket"], rows["role"] = np.divmod(keys, len(ROLES))
    for name, key, amount in sums:
        np.add.at(rows[name], np.searchsorted(keys, key), amount)
    return rows


class Rollup:
    """The sums of a whole run, per 100 ms. Grows as the run does, up to `MAX_BUCKETS`."""

    def __init__(self) -> None:
        self._rows = _empty_buckets(0, 1024)
        self._used = 0
        self.batches = 0
        self.samples = 0

    @property
    def rows(self) -> Rows:
        """`(n,) BUCKET_DTYPE` from run time 0 on, without gaps: a read-only view of the sums, valid until `add`."""
        view = self._rows[: self._used]
        view.flags.writeable = False
        return view

    def add(self, folds: Rows, *, sign: int = 1) -> None:
        """Add (or with `sign=-1` take away) `(n,) FOLD_DTYPE`."""
        if not len(folds):
            return
        self._reach(int(folds["bucket"].max()))
        consumer = folds[folds["role"] == _ROLE_NUMBER[Role.CONSUMER]]
        for name in ("batches", "samples", "wait_ns", "step_ns"):
            np.add.at(self._rows[name], consumer["bucket"], sign * consumer[name])
        self.batches += sign * int(consumer["batches"].sum())
        self.samples += sign * int(consumer["samples"].sum())
        main = folds[folds["role"] == _ROLE_NUMBER[Role.MAIN]]
        np.add.at(self._rows["bytes"], main["bucket"], sign * main["bytes"])

    def lose(self, folds: Rows) -> None:
        """Count the events of `(n,) FOLD_DTYPE` as no longer held."""
        if not len(folds):
            return
        self._reach(int(folds["bucket"].max()))
        np.add.at(self._rows["lost"], folds["bucket"], folds["count"])

    def _reach(self, bucket: int) -> None:
        if bucket >= len(self._rows):
            size = min(MAX_BUCKETS, max(bucket + 1, 2 * len(self._rows)))
            self._rows = np.concatenate([self._rows, _empty_buckets(len(self._rows), size)])
        self._used = max(self._used, bucket + 1)


def _empty_buckets(first: int, last: int) -> Rows:
    rows = np.zeros(last - first, BUCKET_DTYPE)
    rows["bucket"] = np.arange(first, last)
    return rows


# --- the file of folds ------------------------------------------------------------------------------------------------

_HEAD = struct.Struct("<4sIIiIIIIq24x")
_HEAD_MAGIC = b"LSF1"


class Fold(NamedTuple):
    """What remains of one dropped segment."""

    id: SegmentId
    rank: int
    events: int
    """Events that were dropped."""
    rows: Rows
    """`(n,) FOLD_DTYPE`."""

    def pack(self) -> bytes:
        """The fold as it stands in the file: a head of 64 bytes, then its rows of 64 bytes."""
        return _HEAD.pack(_HEAD_MAGIC, len(self.rows), *self.id, self.rank, self.events) + self.rows.tobytes()


def fold_segment(path: Path) -> Fold:
    """What to keep of a segment that is to be dropped. Raises OSError and TraceError."""
    segment = SegmentReader(path)
    header = segment.header
    events = known(segment.take())
    rows = fold(events, writer=header.role, anchor_ns=header.anchor_ns)
    return Fold(header.id, header.rank, len(events), rows)


def known(events: Rows) -> Rows:
    """The events without those of a kind that the table does not have (a damaged file)."""
    strange = _IS_STRANGE[events["kind"]]
    return events[~strange] if strange.any() else events


class FoldFile:
    """The run directory's file of folds, read from where the last look ended."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILENAME
        self.end = 0
        """Offset behind the last whole fold seen."""

    def take(self) -> list[Fold]:
        """Whole folds appended since the last call. A fold that is cut short is not there yet."""
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.end)
                appended = file.read()
        except FileNotFoundError:
            return []
        folds = list(_unpack(appended))
        self.end += sum(_HEAD.size + fold.rows.nbytes for fold in folds)
        return folds


def _unpack(packed: bytes) -> Iterator[Fold]:
    offset = 0
    while offset + _HEAD.size <= len(packed):
        magic, size, role, worker, pid, serial, seq, rank, count = _HEAD.unpack_from(packed, offset)
        offset += _HEAD.size
        end = offset + size * FOLD_DTYPE.itemsize
        if magic != _HEAD_MAGIC or end > len(packed) or role >= len(ROLES):
            return
        rows = np.frombuffer(packed, FOLD_DTYPE, size, offset)
        yield Fold(SegmentId(role, worker, pid, serial, seq), rank, count, rows)
        offset = end
