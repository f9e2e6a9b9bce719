"""The recorder: how an event gets from the code that did something into the run directory.

Hot paths write::

    start = now()
    ...
    recorder.add(Kind.FETCH, batch, start)

which costs some hundred nanoseconds and makes no call to the system. A recorder never raises into the run and never
waits: when it cannot go on (the disk is full) it disables itself, says so once in the log, and marks the recording as
truncated.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import socket
import struct
import threading
import time
import weakref
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from loader_core.trace.budget import DEFAULT_BUDGET_BYTES, Budget
from loader_core.trace.control import Control
from loader_core.trace.event import EVENT_DTYPE, NO_BATCH, NOT_MEASURED, RECORD, Flag, Kind, Role
from loader_core.trace.segment import (
    HEADER_BYTES,
    LARGEST_SEGMENT_BYTES,
    SMALLEST_SEGMENT_BYTES,
    Rows,
    SegmentHeader,
    SegmentWriter,
    capacity_of,
)

now = time.perf_counter_ns
"""The clock of all events: monotonic, in nanoseconds, the same for all processes of a host."""

MAX_STAGE_NAMES = 256
"""Names of stages that one recorder makes known. Stages beyond are recorded all the same, and shown by their id."""

STAGES = "stages"
"""File in the run directory with the names of stages, one to a line."""

_MAX_PENDING = 4096
_FLAGS_IN_RECORD = 38
_NO_ROWS = np.empty(0, EVENT_DTYPE)
_log = logging.getLogger("loaderscope")
_serial_lock = threading.Lock()
_last_serial = 0
_living: weakref.WeakSet[Recorder] = weakref.WeakSet()
_pack_into = RECORD.pack_into


class Detail(IntEnum):
    """How much a run records."""

    BATCH = 0
    SAMPLE = 1
    STAGE = 2


_DETAILS = tuple(Detail)


class Recorder:
    """Writes the events of one lane's owner into its chain of segments.

    One recorder belongs to one thread of one process; a forked child's copy is disabled by itself. Within its chain
    `end` never decreases: an event that is added late is given the end of the one before it. So add the parts before
    the whole: `add_items`, then FETCH.

    Attributes:
        epoch: stamped into each event; its owner sets it.
        batch, sample: what is being fetched just now; the worker loop sets them, STAGE events take them.
        enabled: False when nothing is recorded (any more).
        truncated: why recording stopped before the run did, or "".
    """

    __slots__ = (
        "__weakref__",
        "_budget",
        "_control",
        "_header",
        "_last",
        "_limit",
        "_offset",
        "_page",
        "_pending",
        "_rows",
        "_segment",
        "_stage_ids",
        "batch",
        "enabled",
        "epoch",
        "sample",
        "truncated",
    )

    def __init__(
        self,
        directory: Path,
        *,
        role: Role,
        worker: int = -1,
        rank: int = 0,
        anchor_ns: int = 0,
        budget_bytes: int = DEFAULT_BUDGET_BYTES,
        control: Control | None = None,
    ) -> None:
        """Open a chain and mark its START. `control` is the recorder's own from here on: `close` closes it."""
        self._reset(control)
        self._budget = Budget(directory, limit_bytes=budget_bytes)
        self._header = SegmentHeader(
            role=role,
            worker=worker,
            rank=rank,
            pid=os.getpid(),
            serial=_next_serial(),
            seq=-1,
            first=0,
            capacity=0,
            anchor_ns=anchor_ns,
            created_ns=0,
            host=socket.gethostname(),
        )
        self.enabled = True
        _living.add(self)
        self.mark(Kind.START, value=self._header.pid)

    def _reset(self, control: Control | None = None) -> None:
        """The state in which there is no segment: the next event asks for one."""
        self.epoch = 0
        self.batch = NO_BATCH
        self.sample = NOT_MEASURED
        self.enabled = False
        self.truncated = ""
        self._control = control
        self._segment: SegmentWriter | None = None
        self._page: mmap.mmap | bytearray = bytearray()
        self._rows: Rows = _NO_ROWS
        self._offset = self._limit = 0
        self._last = 0
        self._pending: list[tuple[int, int, int, int, int]] = []
        self._stage_ids: dict[str, int] = {}

    @property
    def detail(self) -> Detail:
        """How much to record, as the viewer wants it now: one byte of the control page."""
        control = self._control
        if not self.enabled:
            return Detail.BATCH
        return Detail.STAGE if control is None else _DETAILS[control.detail]

    def add(
        self,
        kind: Kind,
        batch: int,
        start: int,
        end: int | None = None,
        value: int = NOT_MEASURED,
        sample: int = NOT_MEASURED,
        flags: int = 0,
    ) -> None:
        """Record that `kind` went on from `start` to `end` (default: now), in nanoseconds of `now()`."""
        if end is None:
            end = now()
        if self._pending:
            self._write_pending()
        if end < self._last:
            end = self._last
        else:
            self._last = end
        offset = self._offset
        if offset == self._limit:
            if not self._roll():
                return
            offset = self._offset
        try:
            _pack_into(self._page, offset, start, end, value, sample, batch, self.epoch, flags, kind)
        except struct.error:
            self._pack_wrapped(offset, (start, end, value, sample, batch, self.epoch, flags, kind))
        except ValueError:
            return  # closed by another thread between the look at the limit and here
        self._offset = offset + 40

    def mark(
        self,
        kind: Kind,
        batch: int = NO_BATCH,
        value: int = NOT_MEASURED,
        sample: int = NOT_MEASURED,
        flags: int = 0,
    ) -> None:
        """Record that `kind` happened now."""
        at = now()
        self.add(kind, batch, at, at, value, sample, flags)

    def add_items(
        self,
        batch: int,
        indices: Sequence[int],
        stamps: Sequence[int],
        values: Sequence[int] | None = None,
    ) -> None:
        """Record the n samples of a batch as ITEM events, from n + 1 stamps of `now()`: sample i from stamp i to i + 1.

        `values` are the samples' bytes. STAGE events that happened meanwhile are put between them, by their end.
        """
        count = len(stamps) - 1
        if count <= 0 or not self.enabled:
            return
        times = np.array(stamps, np.int64)
        rows = np.zeros(count, EVENT_DTYPE)
        rows["start"] = times[:-1]
        rows["end"] = times[1:]
        rows["value"] = NOT_MEASURED if values is None else _integers(values, count)
        rows["sample"] = _integers(indices, count)
        rows["batch"] = batch & 0xFFFF_FFFF
        rows["epoch"] = self.epoch & 0xFFFF
        rows["kind"] = Kind.ITEM
        if self._pending:
            rows = np.concatenate([self._take_pending(), rows])
            rows = rows[np.argsort(rows["end"], kind="stable")]
        self._write_rows(rows)

    def add_stage(self, name: str, start: int) -> None:
        """Record that the stage `name` of the current sample went on from `start` until now.

        It is held back until the batch's items are added, or any other event, or `_MAX_PENDING` of them wait: stages
        end before the items around them are added, and a chain is in order of end.
        """
        number = self._stage_ids.get(name)
        if number is None:
            number = self._register_stage(name)
        self._pending.append((start, now(), number, self.sample, self.batch))
        if len(self._pending) >= _MAX_PENDING:
            self._write_pending()

    def close(self) -> None:
        """Mark STOP, seal the chain, give the mapping back. Idempotent."""
        if self.enabled:
            self.mark(Kind.STOP)
        self._leave()

    # --- the chain ----------------------------------------------------------------------------------------------------

    def _roll(self) -> bool:
        """Go on in a new segment. False, for good, when there is none to be had."""
        if not self.enabled:
            return False
        header = self._header
        size = min(SMALLEST_SEGMENT_BYTES << min(header.seq + 1, 16), LARGEST_SEGMENT_BYTES)
        size = max(SMALLEST_SEGMENT_BYTES, min(size, self._budget.limit_bytes // 16))
        capacity = capacity_of(size)
        header = replace(
            header,
            seq=header.seq + 1,
            first=header.first + header.capacity,
            capacity=capacity,
            created_ns=now(),
        )
        try:
            self._budget.make_room(header.size_bytes)
            segment = SegmentWriter(self._budget.directory, header)
        except OSError as error:
            self._truncate(error)
            return False
        self._release(error=None)
        self._header, self._segment = header, segment
        self._page = segment.page
        self._rows = np.frombuffer(segment.page, EVENT_DTYPE, capacity, HEADER_BYTES)
        self._offset = HEADER_BYTES
        self._limit = header.size_bytes
        return True

    def _truncate(self, error: OSError) -> None:
        self.truncated = f"{owner(self._header)} stopped recording: {error.strerror or error}"
        # Logged and not warned: under `-W error` a warning would raise into the run.
        _log.warning("%s (%s). The run goes on without it.", self.truncated, self._budget.directory)
        if self._segment is not None:
            self._page[self._limit - RECORD.size + _FLAGS_IN_RECORD] |= Flag.TRUNCATED
        self._leave(error=error.errno or errno.EIO)

    def _leave(self, *, error: int | None = None) -> None:
        """Record no more. An event that another thread is just adding goes nowhere."""
        self.enabled = False
        self._offset = self._limit = 0
        self._pending = []
        self._page = bytearray()
        self._release(error=error)
        if self._control is not None:
            self._control.close()

    def _release(self, *, error: int | None) -> None:
        """Seal the current segment and give its mapping back."""
        segment, self._segment = self._segment, None
        self._rows = _NO_ROWS
        if segment is not None:
            with suppress(BufferError, ValueError):  # another thread is still writing: the mapping goes when it is done
                segment.seal(error=error)
                segment.close()

    def _disown(self) -> None:
        """In a forked child: the chain is the parent's. Unmap it without sealing it."""
        self.enabled = False
        self._offset = self._limit = 0
        self._pending = []
        self._page, self._rows = bytearray(), _NO_ROWS
        segment, self._segment = self._segment, None
        if segment is not None:
            with suppress(BufferError):
                segment.close()

    # --- writing many -------------------------------------------------------------------------------------------------

    def _write_pending(self) -> None:
        self._write_rows(self._take_pending())

    def _take_pending(self) -> Rows:
        """The stages held back: `(n,) EVENT_DTYPE`, by end."""
        pending, self._pending = self._pending, []
        rows = np.zeros(len(pending), EVENT_DTYPE)
        columns = np.array(pending, np.int64)
        for column, name in enumerate(("start", "end", "value", "sample")):
            rows[name] = columns[:, column]
        rows["batch"] = columns[:, 4] & 0xFFFF_FFFF
        rows["epoch"] = self.epoch & 0xFFFF
        rows["kind"] = Kind.STAGE
        return rows

    def _write_rows(self, rows: Rows) -> None:
        """Write `(n,) EVENT_DTYPE`, kinds last. The rows are used up."""
        rows["end"] = np.maximum.accumulate(np.maximum(rows["end"], self._last))
        self._last = int(rows["end"][-1])
        kinds = rows["kind"].copy()
        rows["kind"] = 0
        written = 0
        while written < len(rows):
            if self._offset == self._limit and not self._roll():
                return
            first = (self._offset - HEADER_BYTES) // RECORD.size
            target = self._rows[first : first + len(rows) - written]
            target[:] = rows[written : written + len(target)]
            target["kind"] = kinds[written : written + len(target)]
            written += len(target)
            self._offset += target.nbytes

    def _pack_wrapped(self, offset: int, fields: tuple[int, ...]) -> None:
        """Write a record some of whose numbers do not fit their fields: they wrap around, and the run goes on."""
        start, end, value, sample, batch, epoch, flags, kind = map(int, fields)
        with suppress(struct.error, ValueError):  # closed by another thread meanwhile
            _pack_into(
                self._page,
                offset,
                *(_wrap(number) for number in (start, end, value, sample)),
                batch & 0xFFFF_FFFF,
                epoch & 0xFFFF,
                flags & 0xFF,
                kind,
            )

    def _register_stage(self, name: str) -> int:
        """The number of a stage's name, made known to readers in the run's `stages` file."""
        number = stage_number(name)
        self._stage_ids[name] = number
        if len(self._stage_ids) <= MAX_STAGE_NAMES and self.enabled:
            line = " ".join(name.split())[:80] + "\n"
            with suppress(OSError):  # a name that could not be written is shown by its number
                handle = os.open(self._budget.directory / STAGES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                try:
                    os.write(handle, line.encode())
                finally:
                    os.close(handle)
        return number


class _NullRecorder(Recorder):
    """Records nothing, at the cost of a call."""

    __slots__ = ()

    def __init__(self) -> None:
        self._reset()

    def add(
        self,
        kind: Kind,
        batch: int,
        start: int,
        end: int | None = None,
        value: int = NOT_MEASURED,
        sample: int = NOT_MEASURED,
        flags: int = 0,
    ) -> None:
        """Nothing."""

    def mark(
        self,
        kind: Kind,
        batch: int = NO_BATCH,
        value: int = NOT_MEASURED,
        sample: int = NOT_MEASURED,
        flags: int = 0,
    ) -> None:
        """Nothing."""

    def add_stage(self, name: str, start: int) -> None:
        """Nothing."""


NULL_RECORDER: Recorder = _NullRecorder()
"""The recorder of a run that is not recorded: the same calls, no effect, `enabled` is False."""


def stage_number(name: str) -> int:
    """The value of STAGE events of that name: its CRC-32, so that processes agree on it without talking."""
    return zlib.crc32(name.encode())


def owner(header: SegmentHeader) -> str:
    """Whose lane it is, in words."""
    return f"worker {header.worker}" if header.role is Role.WORKER else f"the {header.role} lane"


def _integers(numbers: Sequence[int], count: int) -> np.ndarray[Any, np.dtype[np.int64]] | int:
    """The numbers as a column; or NOT_MEASURED when they are none, as a sampler's keys need not be integers."""
    try:
        column = np.asarray(numbers, np.int64)
    except (TypeError, ValueError, OverflowError):
        return NOT_MEASURED
    return column if column.shape == (count,) else NOT_MEASURED


def _wrap(number: int) -> int:
    """A number as a signed 64-bit field holds it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _next_serial() -> int:
    """A number that no other chain of a process with this id has, even when the host uses process ids again."""
    global _last_serial
    with _serial_lock:
        _last_serial = max(_last_serial + 1, time.time_ns() // 1_000_000) & 0xFFFF_FFFF
        return _last_serial


def _disown_all() -> None:
    for recorder in list(_living):
        recorder._disown()


os.register_at_fork(after_in_child=_disown_all)
