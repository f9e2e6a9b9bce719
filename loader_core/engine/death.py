"""The death certificate of a worker: who died, how, at what, and what was likely the cause."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from loader_core.errors import WorkerDied


def certificate(
    *, worker: int, pid: int, exitcode: int, batch: int | None, indices: Sequence[object], deaths: int = 1
) -> WorkerDied:
    """The error to raise when worker process `worker` is gone. It begins as torch's text does.

    `batch` and `indices` are what it was making, if it was given anything; `deaths` workers have died of it.
    """
    doing = "while it had nothing to do" if batch is None else f"while making batch {batch}{_samples(indices)}"
    again = f" (the same batch has ended {deaths} workers)" if deaths > 1 else ""
    return WorkerDied(
        f"DataLoader worker (pid {pid}) exited unexpectedly: worker {worker} {_how(exitcode)} {doing}{again}. "
        f"{_why(exitcode)}"
    )


def _samples(indices: Sequence[object]) -> str:
    if not indices:
        return ""
    shown = ", ".join(str(index) for index in indices[:4])
    return f" (samples {shown}{', ...' if len(indices) > 4 else ''})"


def _how(exitcode: int) -> str:
    if exitcode >= 0:
        return f"left with exit code {exitcode}"
    try:
        return f"was killed by {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"was killed by signal {-exitcode}"


def _why(exitcode: int) -> str:
    if exitcode == -signal.SIGKILL:
        return (
            f"Nobody but the system or an operator sends that: likely out of memory. {_free_memory()}"
            "Use fewer workers or a smaller batch_size."
        )
    if exitcode in (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE, -signal.SIGABRT):
        return "A crash in native code: load the samples named here with num_workers=0 to see it happen."
    if exitcode < 0:
        return "Somebody sent that signal: look for what ends processes on this host."
    return "Code in the dataset or in a library ended the process: look for os._exit or sys.exit in it."


def _free_memory() -> str:
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return ""
    return f"The host has {free / 2**20:,.0f} MiB of free memory. "
