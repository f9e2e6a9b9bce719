"""The bound on a run directory's events: when it is reached, the oldest segment gives way to its roll-up.

Whoever rolls to a new segment makes room for it. No process is in charge, so none has to stay alive: the file lock
on the roll-up lets one of them fold at a time, and whoever does not get it goes on without waiting.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loader_core.errors import TraceError
from loader_core.trace.rollup import FoldFile, fold_segment
from loader_core.trace.segment import HEADER_BYTES, SUFFIX, SegmentHeader, SegmentId, alive

DEFAULT_BUDGET_BYTES = 512 * 1024 * 1024


class Budget:
    """At most `limit_bytes` of events in a run directory, as one writer sees it.

    A segment that is not sealed is not dropped while its writer lives, so the directory holds at most the limit and
    two segments per living writer (while it rolls, it has the full one and the new one). Each segment is folded into
    the roll-up before it is deleted; between the two a crash leaves both, and a reader that finds a segment in the
    roll-up ignores its file.
    """

    def __init__(self, directory: Path, *, limit_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes
        self._host = socket.gethostname()
        self._sealed: dict[str, SegmentHeader] = {}
        self._folds = FoldFile(directory)
        self._folded: set[SegmentId] = set()

    def make_room(self, wanted_bytes: int) -> None:
        """Drop the oldest segments until `wanted_bytes` more fit. Raises OSError when the roll-up cannot be written."""
        sizes = self._sizes()
        excess = sum(sizes.values()) + wanted_bytes - self.limit_bytes
        if excess <= 0:
            return
        with _locked(self._folds.path) as handle:
            if handle is None:
                return  # another writer is making room just now
            self._cut_torn_tail(handle)
            for name in self._oldest_first(sizes):
                if excess <= 0:
                    return
                self._drop(name, handle)
                excess -= sizes[name]

    def _sizes(self) -> dict[str, int]:
        sizes = {}
        with os.scandir(self.directory) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX):
                    with suppress(FileNotFoundError):
                        sizes[entry.name] = entry.stat().st_size
        return sizes

    def _oldest_first(self, names: dict[str, int]) -> list[str]:
        """Segments that may be dropped: sealed ones, and those whose writer is dead."""
        self._sealed = {name: header for name, header in self._sealed.items() if name in names}
        created = {}
        for name in names:
            header = self._sealed.get(name) or self._look(name)
            if header is not None and (header.sealed or self._orphaned(header)):
                created[name] = header.created_ns
        return sorted(created, key=created.__getitem__)

    def _look(self, name: str) -> SegmentHeader | None:
        try:
            with (self.directory / name).open("rb", buffering=0) as file:
                header = SegmentHeader.unpack(file.read(HEADER_BYTES), name=name)
        except (OSError, TraceError):
            return None  # gone meanwhile, or not ours to delete
        if header.sealed:
            self._sealed[name] = header
        return header

    def _orphaned(self, header: SegmentHeader) -> bool:
        return header.host == self._host and not alive(header.pid)

    def _cut_torn_tail(self, handle: int) -> None:
        """A writer that died while it appended left half a fold: with the lock held, what is no whole fold is that."""
        self._folded.update(fold.id for fold in self._folds.take())
        if os.fstat(handle).st_size > self._folds.end:
            os.ftruncate(handle, self._folds.end)

    def _drop(self, name: str, handle: int) -> None:
        path = self.directory / name
        try:
            fold = fold_segment(path)
        except (FileNotFoundError, TraceError):
            return
        if fold.id not in self._folded:
            _append(handle, fold.pack())
        path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """The file, open for appending and locked; or None when somebody else holds it."""
    import fcntl  # not on Windows, where nothing is recorded

    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        try:
            yield handle
        finally:
            # Said outright: a process forked meanwhile shares the lock, and closing here would not release it there.
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _append(handle: int, packed: bytes) -> None:
    """Append all of it or nothing. Raises OSError."""
    before = os.fstat(handle).st_size
    try:
        written = os.write(handle, packed)
        if written < len(packed):
            os.write(handle, packed[written:])  # a disk that is full says so now
    except OSError:
        os.ftruncate(handle, before)
        raise
