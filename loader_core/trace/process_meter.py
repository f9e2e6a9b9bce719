"""A process's own memory and open files, looked at now and then, at a cost that bounds itself."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

from loader_core.trace.event import Kind
from loader_core.trace.recorder import Recorder, now

SMALLEST_GAP_NS = 1_000_000_000
"""Looks are at least this far apart."""

COST_SHARE = 0.001
"""Of the time at most, spent on looking: a look that took 2 ms is followed by two seconds of none."""

LONGEST_PAUSE_NS = 1_000_000_000
"""Between two questions: of a longer one no more counts. The time that is meant is that in which there are batches."""

_SMAPS = Path("/proc/self/smaps_rollup")
_FILES = Path("/proc/self/fd")
_SHARED = Path("/dev/shm")  # noqa: S108 - the kernel's shared memory, not a place for files of ours
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_PRIVATE = (b"Private_Clean:", b"Private_Dirty:", b"Private_Hugetlb:")


class ProcessMeter:
    """Records MEMORY and FILES of the calling process, of which it should be the only one in a run.

    Used by the thread of the recorder that it is given. Linux alone tells them.
    """

    def __init__(self) -> None:
        self._asked_ns = 0
        self._passed_ns = 0
        self._gap_ns = 0

    def look(self, recorder: Recorder) -> None:
        """Record both, if it is time again. To be asked once per batch."""
        if not recorder.enabled:
            return
        start = now()
        self._passed_ns += min(start - self._asked_ns, LONGEST_PAUSE_NS)
        self._asked_ns = start
        if self._passed_ns < self._gap_ns:
            return
        memory, files = unique_bytes(), open_files()
        if memory is not None:
            recorder.mark(Kind.MEMORY, value=memory)
        if files is not None:
            recorder.mark(Kind.FILES, value=files)
        self._passed_ns, self._gap_ns = 0, max(SMALLEST_GAP_NS, round((now() - start) / COST_SHARE))


def unique_bytes() -> int | None:
    """Memory that the calling process alone holds (USS), as the kernel's smaps_rollup has it; None where there is none.

    Pages that workers still share with the process that forked them are not in it.
    """
    try:
        lines = _SMAPS.read_bytes().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_PRIVATE))


def open_files() -> int | None:
    """How many file descriptors the calling process has open; None where the system does not tell."""
    try:
        return len(os.listdir(_FILES)) - 1  # noqa: PTH208 - half the cost; one is that of the listing itself
    except OSError:
        return None


def limits() -> dict[str, Any]:
    """What bounds the calling process: `files` (descriptors), `memory_bytes` (of the control group, or the host) and
    `shm_bytes` (shared memory); without what the system does not tell.
    """
    import resource  # not on Windows, where nothing is recorded

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    found: dict[str, Any] = {} if soft == resource.RLIM_INFINITY else {"files": soft}
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found["memory_bytes"] = min([total, *_group_limits()])
    with contextlib.suppress(OSError):
        found["shm_bytes"] = shutil.disk_usage(_SHARED).total
    return found


def _group_limits() -> list[int]:
    texts = [path.read_text().strip() for path in _MEMORY_LIMITS if path.is_file()]
    return [int(text) for text in texts if text.isdecimal()]
