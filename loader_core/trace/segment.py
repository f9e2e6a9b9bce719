"""One segment: a file of fixed size that one writer fills with events and any number of readers read meanwhile.

A writer's events form a *chain* of segments, named `<role>-<worker>.<pid>.<serial>.<seq>.events`. A segment is a
256-byte header and then `capacity` records. Its space is reserved before the file is mapped, so that a full disk is an
`OSError` when the segment is made and never a SIGBUS when it is written.

**Publishing.** A fresh segment is all zeros. A record is written field by field and its kind last, so a record whose
kind is 0 is not there yet. A reader first looks for the last published kind and then copies, in this order: on x86-64
stores become visible in program order, and on weaker machines the copy begins many microseconds after the look. No
lock, and nothing for a writer to wait for.

**Reading.** Readers use `pread`, not a mapping: no file handle is held between two looks, and a file that somebody
cuts short is a short read instead of a SIGBUS.

The header, little-endian (offsets in bytes)::

    0 magic (8s) | 8 schema (u16) | 10 role (u8) | 11 flags (u8) | 12 error number (i32) | 16 capacity (u32)
    20 worker (i32) | 24 rank (i32) | 28 pid (u32) | 32 serial (u32) | 36 seq (u32) | 40 index of the first record (u64)
    48 clock anchor ns (i64) | 56 created ns (i64) | 64 host (64s) | 128..255 zero
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from dataclasses import dataclass, replace
from enum import IntFlag
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from loader_core.errors import NewerSchema, TraceError
from loader_core.trace.event import EVENT_DTYPE, RECORD, SCHEMA_VERSION, Role

Rows = np.ndarray[Any, np.dtype[np.void]]
"""A structured array; which dtype it has is said where it is used."""

MAGIC = b"LSEVENTS"
HEADER_BYTES = 256
SUFFIX = ".events"
SMALLEST_SEGMENT_BYTES = 16 * 1024
LARGEST_SEGMENT_BYTES = 1024 * 1024

ROLES = (Role.MAIN, Role.WORKER, Role.PIN, Role.DEVICE, Role.CONSUMER)
"""Roles by their number in headers and roll-ups."""

_HEADER = struct.Struct("<8sHBBiIiiIIIQqq64s")
_FLAGS_OFFSET = 11
_ERROR = struct.Struct("<i")
_ERROR_OFFSET = 12
_READ_RECORDS = 1638
"""Records looked at in one read (64 KiB): what lies behind the last published record is mostly not read at all."""


class SegmentFlag(IntFlag):
    """What a writer has said about a segment as a whole."""

    NONE = 0
    SEALED = 1
    """No more records will be written here."""
    TRUNCATED = 2
    """The recording stopped here although the run went on; the header's error number says why."""


class SegmentId(NamedTuple):
    """What names a segment within its run directory."""

    role: int
    worker: int
    pid: int
    serial: int
    seq: int

    @property
    def chain(self) -> tuple[int, int, int, int]:
        """What all segments of one writer have in common."""
        return self[:4]

    @property
    def filename(self) -> str:
        """The name of the segment's file."""
        return f"{ROLES[self.role]}-{self.worker}.{self.pid}.{self.serial}.{self.seq:06d}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """The header of a segment: who wrote it, where it stands in its chain, and on which clock."""

    role: Role
    worker: int
    rank: int
    pid: int
    serial: int
    seq: int
    first: int
    """Index, in the chain, of the segment's first record."""
    capacity: int
    anchor_ns: int
    """`perf_counter_ns` of run time 0."""
    created_ns: int
    host: str
    flags: SegmentFlag = SegmentFlag.NONE
    error: int = 0
    """The errno that truncated the recording, or 0."""

    @property
    def id(self) -> SegmentId:
        """The segment's name within its run directory."""
        return SegmentId(ROLES.index(self.role), self.worker, self.pid, self.serial, self.seq)

    @property
    def size_bytes(self) -> int:
        """Size of the whole file."""
        return HEADER_BYTES + self.capacity * RECORD.size

    @property
    def sealed(self) -> bool:
        """No more records will be written here."""
        return bool(self.flags & SegmentFlag.SEALED)

    def following(self, *, created_ns: int, limit_bytes: int) -> SegmentHeader:
        """The header of the chain's next segment: twice as large, from 16 KiB up to 1 MiB or the given limit."""
        seq = self.seq + 1
        size = min(SMALLEST_SEGMENT_BYTES << min(seq, 16), LARGEST_SEGMENT_BYTES, limit_bytes)
        capacity = (max(SMALLEST_SEGMENT_BYTES, size) - HEADER_BYTES) // RECORD.size
        return replace(self, seq=seq, first=self.first + self.capacity, capacity=capacity, created_ns=created_ns)

    def pack(self) -> bytes:
        """The header as it stands in the file: `HEADER_BYTES` bytes."""
        packed = _HEADER.pack(
            MAGIC,
            SCHEMA_VERSION,
            ROLES.index(self.role),
            self.flags,
            self.error,
            self.capacity,
            self.worker,
            self.rank,
            self.pid,
            self.serial,
            self.seq,
            self.first,
            self.anchor_ns,
            self.created_ns,
            self.host.encode()[:64],
        )
        return packed.ljust(HEADER_BYTES, b"\0")

    @classmethod
    def unpack(cls, packed: bytes, *, name: str) -> SegmentHeader:
        """The inverse of `pack`; `name` is the file's, for the error's text.

        Raises NewerSchema for a file of a newer schema and TraceError for anything that is no segment.
        """
        if len(packed) < HEADER_BYTES:
            raise TraceError(f"{name} has {len(packed)} bytes, a segment's header has {HEADER_BYTES}")
        magic, schema, role, flags, error, capacity, *numbers, host = _HEADER.unpack_from(packed)
        if magic != MAGIC:
            raise TraceError(f"{name} begins with {magic!r}, a segment begins with {MAGIC!r}")
        if schema > SCHEMA_VERSION:
            raise NewerSchema(newer_schema(name, schema))
        if role >= len(ROLES):
            raise TraceError(f"{name} names role {role}, there are {len(ROLES)}")
        worker, rank, pid, serial, seq, first, anchor_ns, created_ns = numbers
        return cls(
            role=ROLES[role],
            worker=worker,
            rank=rank,
            pid=pid,
            serial=serial,
            seq=seq,
            first=first,
            capacity=capacity,
            anchor_ns=anchor_ns,
            created_ns=created_ns,
            host=host.rstrip(b"\0").decode(errors="replace"),
            flags=SegmentFlag(flags & 3),
            error=error,
        )


def newer_schema(name: str, schema: int) -> str:
    """The sentence that says so."""
    return (
        f"{name} was recorded with schema version {schema}, this version of Loaderscope reads up to {SCHEMA_VERSION}. "
        "Open it with a newer Loaderscope"
    )


class SegmentWriter:
    """A segment being written: a shared mapping, and the two flags that are set at its end.

    Belongs to the thread that records. Raises OSError when the space cannot be had; then no file is left behind.
    """

    __slots__ = ("header", "page", "path")

    def __init__(self, directory: Path, header: SegmentHeader) -> None:
        self.header = header
        self.path = directory / header.id.filename
        unfinished = directory / (header.id.filename + ".new")
        # Under another name until the header stands: no reader ever sees a segment without one.
        handle = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            reserve(handle, header.size_bytes)
            self.page = mmap.mmap(handle, header.size_bytes)
            self.page[:HEADER_BYTES] = header.pack()
            unfinished.rename(self.path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)

    def seal(self, *, error: int | None = None) -> None:
        """Say that no more records come; with an `error` (an errno) also that the run went on without them."""
        flags = SegmentFlag.SEALED
        if error is not None:
            _ERROR.pack_into(self.page, _ERROR_OFFSET, error)
            flags |= SegmentFlag.TRUNCATED
        self.page[_FLAGS_OFFSET] = flags

    def close(self) -> None:
        """Give the mapping back."""
        self.page.close()


def reserve(handle: int, size_bytes: int) -> None:
    """Give a new file its space now, on disk or in memory, so that its lack is an error here and not a SIGBUS later.

    Raises OSError (ENOSPC, EDQUOT, EFBIG, ENOMEM).
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size_bytes)
        return
    written = 0  # macOS has no posix_fallocate: blocks that were written are blocks that are there
    while written < size_bytes:
        written += os.pwrite(handle, bytes(min(size_bytes - written, 1 << 16)), written)


class SegmentReader:
    """A segment as a reader sees it: what was already taken from it, and whether more can come.

    `read` counts the records taken so far; `complete` says that no more will come. Holds no file handle.
    """

    __slots__ = ("complete", "end_ns", "header", "path", "read", "start_ns")

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError, and TraceError (NewerSchema) when the file is no segment of a schema we know."""
        self.path = path
        with path.open("rb", buffering=0) as file:
            self.header = SegmentHeader.unpack(file.read(HEADER_BYTES), name=path.name)
        self.read = 0
        self.complete = False
        self.start_ns = 0
        self.end_ns = 0

    def take(self) -> Rows:
        """Records published since the last call: `(n,) EVENT_DTYPE`. Raises FileNotFoundError when it was dropped."""
        pieces = []
        with self.path.open("rb", buffering=0) as file:
            handle = file.fileno()
            # The flags before the records: a seal seen here was set after the last of them.
            header = SegmentHeader.unpack(os.pread(handle, HEADER_BYTES, 0), name=self.path.name)
            while (piece := _published(handle, self.read, header.capacity)).size:
                pieces.append(piece)
                self._took(piece)
            # A mirror that is still being written is short, although its header may say already that it is sealed.
            self.complete = header.sealed and os.fstat(handle).st_size >= header.size_bytes
        self.header = header
        return np.concatenate(pieces) if pieces else np.empty(0, EVENT_DTYPE)

    def _took(self, rows: Rows) -> None:
        start, end = int(rows["start"].min()), int(rows["end"][-1])
        self.start_ns = start if not self.read else min(self.start_ns, start)
        self.end_ns = end
        self.read += len(rows)

    def rows(self, start_ns: int, end_ns: int) -> Rows:
        """Records taken before that overlap a span of the host's clock, by end: `(n,) EVENT_DTYPE`.

        Raises FileNotFoundError when the segment was dropped meanwhile.
        """
        if not self.read or self.end_ns < start_ns or self.start_ns > end_ns:
            return np.empty(0, EVENT_DTYPE)
        rows = np.fromfile(self.path, EVENT_DTYPE, self.read, offset=HEADER_BYTES)
        rows = rows[np.searchsorted(rows["end"], start_ns) :]
        return rows[rows["start"] <= end_ns]


def _published(handle: int, first: int, capacity: int) -> Rows:
    """The whole and published records from index `first` on, at most `_READ_RECORDS` of them."""
    wanted = min(_READ_RECORDS, capacity - first)
    if wanted <= 0:
        return np.empty(0, EVENT_DTYPE)
    offset = HEADER_BYTES + first * RECORD.size
    look = os.pread(handle, wanted * RECORD.size, offset)
    marks = np.frombuffer(look, EVENT_DTYPE, len(look) // RECORD.size)["kind"]
    missing = np.flatnonzero(marks == 0)
    count = int(missing[0]) if len(missing) else len(marks)
    # A second read, after the look: a record whose mark was seen is whole by now.
    return np.frombuffer(os.pread(handle, count * RECORD.size, offset), EVENT_DTYPE)


def seal_file(path: Path) -> None:
    """Seal a segment whose writer is gone. A file that is no segment is left alone."""
    with path.open("r+b", buffering=0) as file:
        try:
            header = SegmentHeader.unpack(file.read(HEADER_BYTES), name=path.name)
        except TraceError:
            return
        os.pwrite(file.fileno(), bytes([header.flags | SegmentFlag.SEALED]), _FLAGS_OFFSET)


def alive(pid: int) -> bool:
    """A process of this host with that id exists (whoever owns it)."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True
