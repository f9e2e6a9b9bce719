"""Memory of the processes of a run, from outside: the run itself does nothing for it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import psutil

from app.wire import ProcessMemory

MAX_PROCESSES = 66
"""Processes of a run that are measured: as many as it may have workers, and the main process. The others are not."""


def process_memory(pids: Mapping[int, str]) -> list[ProcessMemory]:
    """The memory of the processes in `pids` (labels by process id) that are there, in their order.

    RSS counts memory that processes share once for each of them; PSS shares it out, and is None where the system does
    not say (other than Linux, or another user's process). Reads `/proc`, a few milliseconds per process: for a worker
    thread.
    """
    found = []
    for pid, label in islice(pids.items(), MAX_PROCESSES):
        try:
            process = psutil.Process(pid)
            rss_bytes = process.memory_info().rss
        except psutil.Error:  # it has gone
            continue
        if rss_bytes == 0:  # it has ended and waits to be reaped: nothing to measure, and not a process of no size
            continue
        found.append(ProcessMemory(pid=pid, label=label, rss_bytes=rss_bytes, pss_bytes=_pss_bytes(process)))
    return found


def _pss_bytes(process: psutil.Process) -> int | None:
    try:
        return getattr(process.memory_full_info(), "pss", None)
    except psutil.Error:
        return None
