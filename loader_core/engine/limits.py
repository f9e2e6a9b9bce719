"""Does this host have what the loader will need? Said before it runs out, with the numbers."""

from __future__ import annotations

import os
import sys
import warnings
from multiprocessing.process import BaseProcess
from pathlib import Path

from loader_core.errors import SharedMemoryError

DESCRIPTORS_PER_WORKER = 5
"""A pipe each way, two that tell of the worker's end, and one that tells it of ours."""

_SPARE_DESCRIPTORS = 16


def check_descriptors(*, slots: int, workers: int) -> None:
    """Raises SharedMemoryError if the process may not open as many files as shared slots and workers need."""
    try:
        import resource
    except ImportError:  # not on this system, nor then the limit
        return
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    folder = Path("/proc/self/fd")
    used = len(list(folder.iterdir())) if folder.is_dir() else 0
    needed = slots + DESCRIPTORS_PER_WORKER * workers
    if allowed != resource.RLIM_INFINITY and used + needed + _SPARE_DESCRIPTORS > allowed:
        raise SharedMemoryError(
            f"this loader needs {needed} file descriptors ({slots} slots, {DESCRIPTORS_PER_WORKER} for each of "
            f"{workers} workers), and {used} of {allowed} are in use. Allow more (ulimit -n), or use fewer workers "
            "or a smaller prefetch_factor."
        )


def warn_of_memory(*, slots: int, batch_bytes: int) -> None:
    """Warn once the size of a batch is known, if the slots will not fit into what memory is available."""
    available = available_bytes()
    if available is not None and slots * batch_bytes > available:
        warnings.warn(
            f"batches of {batch_bytes / 2**20:,.0f} MiB in {slots} slots will need {slots * batch_bytes / 2**30:.1f} "
            f"GiB, and {available / 2**30:.1f} GiB are available. Use a smaller batch_size, fewer workers or a smaller "
            "prefetch_factor.",
            RuntimeWarning,
            stacklevel=2,
        )


def available_bytes() -> int | None:
    """Memory that can still be had: the host's, or what the control group allows if that is less. None: not known."""
    found = [size for size in (_host_bytes(), _group_bytes()) if size is not None]
    return min(found, default=None)


def shared_memory_bytes() -> int | None:
    """What is free where Linux keeps shared memory that has a name. None: not known."""
    try:
        room = os.statvfs("/dev/shm")  # noqa: S108 - looked at, not written to
    except (AttributeError, OSError):  # another system
        return None
    return room.f_bavail * room.f_frsize


def join_and_weigh(process: BaseProcess) -> int | None:
    """Join a process that is ending; the most memory that it held at once, in bytes, what it shared included.

    The kernel keeps that of the largest child alone. None: a child before was larger, or this one is somebody else's
    (a fork server's), or the system does not tell.
    """
    before = _largest_child_bytes()
    process.join()
    largest = _largest_child_bytes()
    return largest if largest > before else None


def _largest_child_bytes() -> int:
    try:
        import resource
    except ImportError:  # not on this system
        return 0
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory since it started. None: not known."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _host_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _group_bytes() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        return int((folder / "memory.max").read_text()) - int((folder / "memory.current").read_text())
    except (OSError, ValueError):  # no such controller here, or "max"
        return None
