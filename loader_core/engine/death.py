"""The death certificate of a worker: who died, how, at what, and what was likely the cause."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from loader_core.engine.limits import available_bytes, shared_memory_bytes
from loader_core.errors import WorkerDied


def certificate(
    *,
    worker: int,
    pid: int,
    exitcode: int,
    batch: int | None,
    indices: Sequence[object],
    deaths: int = 1,
    held_bytes: int | None = None,
    starved: bool | None = None,
) -> WorkerDied:
    """The error to raise when worker process `worker` is gone. It begins as torch's text does.

    `batch` and `indices` are what it was making, if it was given anything; `deaths` workers have died of it.
    `held_bytes`: the most memory that it held; None: not known.
    `starved`: the kernel has killed for want of memory since the loader began; None: not known.
    """
    doing = "while it had nothing to do" if batch is None else f"while making batch {batch}{_samples(indices)}"
    again = f" (the same batch has ended {deaths} workers)" if deaths > 1 else ""
    return WorkerDied(
        f"DataLoader worker (pid {pid}) exited unexpectedly: worker {worker} {_how(exitcode)} {doing}{again}. "
        f"{_held(held_bytes)}{_why(exitcode, starved)}".rstrip()
    )


def _held(nbytes: int | None) -> str:
    return "" if nbytes is None else f"It had held up to {nbytes / 2**20:,.0f} MiB. "


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


def _why(exitcode: int, starved: bool | None) -> str:
    if exitcode == -signal.SIGKILL:
        return (
            f"Nobody but the system or an operator sends that: {_who_killed(starved)}. {_room()}"
            "Use fewer workers or a smaller batch_size."
        )
    if exitcode == -signal.SIGBUS:
        return f"That is what writing to shared memory does when there is none left. {_room()}{_NATIVE}"
    if exitcode in (-signal.SIGSEGV, -signal.SIGILL, -signal.SIGFPE, -signal.SIGABRT):
        return f"{_NATIVE} {_room()}".rstrip()
    if exitcode < 0:
        return f"Somebody sent that signal: look for what ends processes on this host. {_room()}".rstrip()
    return (
        "Code in the dataset or in a library ended the process: look for os._exit or sys.exit in it, and for a "
        f"traceback above. {_room()}"
    ).rstrip()


_NATIVE = "A crash in native code: load the samples named here with num_workers=0 to see it happen."


def _who_killed(starved: bool | None) -> str:
    if starved:
        return "the kernel has killed for want of memory since this loader began, so out of memory"
    if starved is None:
        return "likely out of memory"
    return "likely out of memory, by a limit or a daemon of its own, for the kernel has counted no such kill"


def _room() -> str:
    memory, shared = available_bytes(), shared_memory_bytes()
    found = [
        f"{size / 2**20:,.0f} MiB of {what}"
        for size, what in ((memory, "memory"), (shared, "shared memory"))
        if size is not None
    ]
    return f"Now that it is gone, {' and '.join(found)} are free. " if found else ""
