"""The traces that are open, each used by one thread at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loader_core.trace.trace import Trace

MAX_OPEN = 40
"""Traces kept open, more than there are browsers. Past it the one unused for longest is dropped, and read again when it
is asked for; a cursor into its tail means nothing then. A Trace holds no file open and at most some 11 MB."""


@dataclass(slots=True, eq=False)
class _Shelved:
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    trace: Trace | None = None


class Traces:
    """Open traces by run directory. Any thread may use it."""

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
            self._drop_excess()

    def forget(self, directory: Path) -> None:
        """Lets go of the trace of a directory that is deleted."""
        with self._lock:
            self._shelf.pop(directory, None)

    def _take(self, directory: Path) -> _Shelved:
        with self._lock:
            shelved = self._shelf.setdefault(directory, _Shelved())
            self._shelf.move_to_end(directory)
            shelved.users += 1
            return shelved

    def _drop_excess(self) -> None:
        with self._lock:
            idle = [directory for directory, shelved in self._shelf.items() if shelved.users == 0]
            for directory in idle[: max(0, len(self._shelf) - MAX_OPEN)]:
                del self._shelf[directory]
