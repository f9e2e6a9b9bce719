"""The traces that are open, each used by one thread at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loader_core.trace.trace import Trace

MAX_OPEN = 8
"""Traces kept open. Past it the one unused for longest is closed, and opened again when it is asked for."""


@dataclass(slots=True, eq=False)
class _Shelved:
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    trace: Trace | None = None


class Traces:
    """Open traces by run directory. Any thread may use it; it is closed when no thread does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shelf: OrderedDict[Path, _Shelved] = OrderedDict()

    @contextmanager
    def reading(self, directory: Path) -> Iterator[Trace]:
        """The trace of this run directory, for the calling thread alone while the block lasts. It is as it was last
        refreshed. Blocks while another thread reads it. Raises TraceError."""
        shelved = self._take(directory)
        try:
            with shelved.lock:
                if shelved.trace is None:
                    shelved.trace = Trace.open(directory)
                yield shelved.trace
        finally:
            with self._lock:
                shelved.users -= 1
            self._close_excess()

    def forget(self, directory: Path) -> None:
        """Closes the trace of a directory that is going to be deleted, once nobody reads it."""
        with self._lock:
            shelved = self._shelf.pop(directory, None)
        if shelved is not None:
            with shelved.lock:
                _close(shelved)

    def close(self) -> None:
        """Closes all traces. Idempotent."""
        for directory in list(self._shelf):
            self.forget(directory)

    def _take(self, directory: Path) -> _Shelved:
        with self._lock:
            shelved = self._shelf.setdefault(directory, _Shelved())
            self._shelf.move_to_end(directory)
            shelved.users += 1
            return shelved

    def _close_excess(self) -> None:
        with self._lock:
            idle = [directory for directory, shelved in self._shelf.items() if shelved.users == 0]
            excess = [self._shelf.pop(directory) for directory in idle[: max(0, len(self._shelf) - MAX_OPEN)]]
        for shelved in excess:
            _close(shelved)


def _close(shelved: _Shelved) -> None:
    if shelved.trace is not None:
        shelved.trace.close()
        shelved.trace = None
