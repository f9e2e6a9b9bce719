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
import itertools
import logging
import mmap
import os
import socket
import struct
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from loader_core.trace.budget import DEFAULT_BUDGET_BYTES, Budget
from loader_core.trace.control import Control
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, RECORD, Flag, Kind, Role
from loader_core.trace.names import STAGES, Names
from loader_core.trace.segment import (
    HEADER_BYTES,
    SegmentHeader,
    SegmentWriter,
)

now = time.perf_counter_ns
"""The clock of all events: monotonic, in nanoseconds, the same for all processes of a host."""

WORDS = RECORD.size // 8
"""A record as 64-bit words, which is how many are written at once. Batch, epoch, flags and kind share the last one."""

Words = np.ndarray[Any, np.dtype[np.int64]]

_LAST = WORDS - 1
_MAX_HELD = 4096
_HELD_STEP = 256
_FLAGS_IN_RECORD = 38
_NO_WORDS: Words = np.empty((0, WORDS), np.int64)
_log = logging.getLogger("loaderscope")
_chains = itertools.count()
_living: weakref.WeakSet[Recorder] = weakref.WeakSet()
_pack_into = RECORD.pack_into
_STAGE = Kind.STAGE


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
        "_held",
        "_last",
        "_limit",
        "_names",
        "_offset",
        "_page",
        "_segment",
        "_stages",
        "_words",
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
        self._names = Names(directory, STAGES)
        self._header = SegmentHeader(
            role=role,
            worker=worker,
            rank=rank,
            pid=os.getpid(),
            serial=_new_serial(),
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
        self._words: Words = _NO_WORDS
        self._offset = self._limit = 0
        self._last = 0
        self._held = 0
        self._stages = bytearray()

    @property
    def detail(self) -> Detail:
        """How much to record, as the viewer wants it now: one byte of the control page."""
        control = self._control
        if not self.enabled:
            return Detail.BATCH
        return Detail.STAGE if control is None else _DETAILS[control.detail]

    @property
    def takes_stages(self) -> bool:
        """Whether STAGE events are wanted now: parts of a step always, for they are few; of a sample in most detail."""
        return self.enabled and (self._header.role is Role.CONSUMER or self.detail is Detail.STAGE)

    @property
    def last_ns(self) -> int:
        """The end of the newest event, stages that are held back included; 0 before the first."""
        if not self._held:
            return self._last
        (end,) = struct.unpack_from("<q", self._stages, self._held - RECORD.size + 8)
        return max(self._last, int(end))

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
        if self._held:
            self._write(self._take_held())
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
        except (TypeError, ValueError):  # what packing into a closed mapping raises
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
        np.maximum.accumulate(times, out=times)
        words = np.empty((count, WORDS), np.int64)
        words[:, 0] = times[:-1]
        words[:, 1] = times[1:]
        words[:, 2] = NOT_MEASURED if values is None else _integers(values, count)
        words[:, 3] = _integers(indices, count)
        words[:, _LAST] = _last_word(batch, self.epoch, Kind.ITEM)
        if self._held:
            words = np.concatenate([self._take_held(), words])
            words = words[np.argsort(words[:, 1], kind="stable")]
        self._write(words)

    def add_stage(self, name: str, start: int) -> None:
        """Record that the stage `name` of the current sample went on from `start` until now.

        It is held back until the batch's items are added, or any other event, or until `_MAX_HELD` of them are: stages
        end before the items around them are added, and a chain is in order of end.
        """
        number = self._names.number(name)
        held = self._held
        if held == len(self._stages):
            if held == _MAX_HELD * RECORD.size:
                self._write(self._take_held())
                held = 0
            else:
                self._stages += bytes(_HELD_STEP * RECORD.size)
        try:
            _pack_into(self._stages, held, start, now(), number, self.sample, self.batch, self.epoch, 0, _STAGE)
        except struct.error:  # a sampler's keys need not be integers
            _pack_into(self._stages, held, start, now(), number, NOT_MEASURED, NO_BATCH, 0, 0, _STAGE)
        self._held = held + RECORD.size

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
        header = self._header.following(created_ns=now(), limit_bytes=self._budget.limit_bytes // 16)
        try:
            self._budget.make_room(header.size_bytes)
            segment = SegmentWriter(self._budget.directory, header)
        except OSError as error:
            self._truncate(error)
            return False
        self._release(error=None)
        self._header, self._segment = header, segment
        self._page = segment.page
        self._words = np.frombuffer(segment.page, np.int64, header.capacity * WORDS, HEADER_BYTES).reshape(-1, WORDS)
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
        self._held = 0
        self._page = bytearray()
        self._release(error=error)
        if self._control is not None:
            self._control.close()

    def _release(self, *, error: int | None) -> None:
        """Seal the current segment and give its mapping back."""
        segment, self._segment = self._segment, None
        self._words = _NO_WORDS
        if segment is not None:
            with suppress(BufferError, ValueError):  # another thread is still writing: the mapping goes when it is done
                segment.seal(error=error)
                segment.close()

    def _disown(self) -> None:
        """In a forked child: the chain is the parent's. Unmap it without sealing it."""
        self.enabled = False
        self._offset = self._limit = 0
        self._held = 0
        self._page, self._words = bytearray(), _NO_WORDS
        segment, self._segment = self._segment, None
        if segment is not None:
            with suppress(BufferError):
                segment.close()

    # --- writing many -------------------------------------------------------------------------------------------------

    def _take_held(self) -> Words:
        """The stages held back, by end: `(n, WORDS) int64`."""
        held, self._held = self._held, 0
        return np.frombuffer(self._stages, np.int64, held // 8).reshape(-1, WORDS).copy()

    def _write(self, words: Words) -> None:
        """Write n records whose ends never decrease, `(n, WORDS) int64`, the words with the kinds last."""
        if words[0, 1] < self._last:
            words[:, 1] = np.maximum(words[:, 1], self._last)
        self._last = int(words[-1, 1])
        written = 0
        while written < len(words):
            if self._offset == self._limit and not self._roll():
                return
            first = (self._offset - HEADER_BYTES) // RECORD.size
            target = self._words[first : first + len(words) - written]
            if not len(target):
                return  # closed by another thread meanwhile
            source = words[written : written + len(target)]
            target[:, :_LAST] = source[:, :_LAST]
            target[:, _LAST] = source[:, _LAST]
            written += len(target)
            self._offset += target.nbytes

    def _pack_wrapped(self, offset: int, fields: tuple[int, ...]) -> None:
        """Write a record some of whose numbers do not fit their fields: they wrap around, and the run goes on."""
        start, end, value, sample, batch, epoch, flags, kind = map(int, fields)
        with suppress(struct.error, TypeError, ValueError):  # closed by another thread meanwhile
            _pack_into(
                self._page,
                offset,
                *(_wrap(number) for number in (start, end, value, sample)),
                batch & 0xFFFF_FFFF,
                epoch & 0xFFFF,
                flags & 0xFF,
                kind,
            )


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

    def add_stage(self, name: str, start: int) -> None:
        """Nothing."""


NULL_RECORDER: Recorder = _NullRecorder()
"""The recorder of a run that is not recorded: the same calls, no effect, `enabled` is False."""


def owner(header: SegmentHeader) -> str:
    """Whose lane it is, in words."""
    return f"worker {header.worker}" if header.role is Role.WORKER else f"the {header.role} lane"


def _integers(numbers: Sequence[int], count: int) -> np.ndarray[Any, np.dtype[np.int64]] | int:
    """The numbers as a column; or NOT_MEASURED when they are none, as a sampler's keys need not be integers."""
    try:
        column = np.asarray(numbers)
    except (TypeError, ValueError, OverflowError):
        return NOT_MEASURED
    return column if column.shape == (count,) and column.dtype == np.int64 else NOT_MEASURED


def _last_word(batch: int, epoch: int, kind: Kind) -> int:
    """Batch, epoch, no flags and kind as one signed word, wrapped to their fields."""
    return _wrap(batch & 0xFFFF_FFFF | (epoch & 0xFFFF) << 32 | kind << 56)


def _wrap(number: int) -> int:
    """A number as a signed 64-bit field holds it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _new_serial() -> int:
    """A number that no other chain of a process with this id has, even when the host uses process ids again.

    Milliseconds, and a count of this process's chains. Without a lock, which a fork could leave locked for ever.
    """
    return (time.time_ns() // 1_000_000 << 8 | next(_chains) & 0xFF) & 0xFFFF_FFFF


def _disown_all() -> None:
    for recorder in list(_living):
        recorder._disown()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_disown_all)
