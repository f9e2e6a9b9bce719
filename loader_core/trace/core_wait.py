"""How long a thread that could run had no core to run on: what tells a busy host from a slow disk."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path

from loader_core.trace.event import Kind
from loader_core.trace.recorder import Recorder

WORTH_NS = 1_000_000
"""Only fetches that take about as long are looked at: the two looks of one cost 4 us."""

_STATISTICS = Path("/proc/thread-self/schedstat")


class CoreWait:
    """Records CORE_WAIT of the fetches of one thread, and is used by that thread alone.

    Linux tells, as its scheduler's run-queue delay (the second number of `/proc/thread-self/schedstat`, in ns; see
    Documentation/scheduler/sched-stats). Where nobody tells, nothing is recorded.
    """

    def __init__(self) -> None:
        self._file = -1
        self._is_open = False
        self._is_worth_it = True
        self._before = 0

    def begin(self) -> None:
        """A fetch begins."""
        if not self._is_worth_it:
            return
        if not self._is_open:
            self._open()
        if self._file >= 0:
            self._before = self._delay_ns()

    def end(self, recorder: Recorder, batch: int, took_ns: int) -> None:
        """It has ended, and is recorded."""
        if self._file < 0:
            return
        if self._is_worth_it:
            recorder.mark(Kind.CORE_WAIT, batch, value=self._delay_ns() - self._before)
        self._is_worth_it = took_ns >= WORTH_NS

    def _open(self) -> None:
        self._is_open = True
        with suppress(OSError):  # another system, or a kernel that does not count
            self._file = os.open(_STATISTICS, os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._file).atexit = False

    def _delay_ns(self) -> int:
        return int(os.pread(self._file, 64, 0).split()[1])
