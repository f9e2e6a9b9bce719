"""The process of a run: started, watched, and stopped within a deadline.

A run that the server started is its child and leads a process group of its own, which is what `kill` ends: the
workers of a run that was killed would live on. A run that another server started, or a user's own script, is known by
its process id and the time at which that process began, because ids are used again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

import psutil

import app
from app.problems import RequestError
from loader_core import start

LOG_FILE = "log.txt"
"""In the run directory: what the run's process writes to its standard output and error."""

LOG_TAIL_BYTES = 8192
REASON_LENGTH = 300
"""Longest piece of a log line that is shown."""

CHUNK_BYTES = 256 * 1024
"""Of an export that is being sent."""

SECRET_VARIABLES = ("LOADERSCOPE_TOKEN", "LOADERSCOPE_TOKEN_FILE", "LOADERSCOPE_VIEW_TOKEN")
"""Never handed down: a data set's code has no business with them."""

UNWANTED_VARIABLES = (*SECRET_VARIABLES, start.ON)
"""... and a run of ours records itself: it is not to be observed beside that."""

ID_SLACK_S = 2.0
"""A process that began this much later than its run was recorded is another one with the same id."""


class RunProcess(Protocol):
    """What both kinds of process can do."""

    pid: int

    def alive(self) -> bool:
        """Whether it still runs."""

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for its end; False when `timeout_s` passed first."""

    def terminate(self) -> None:
        """Asks it to end (SIGTERM). Does nothing when it has ended."""

    def kill(self) -> None:
        """Ends it and its workers at once (SIGKILL). Does nothing when they have ended."""


class ChildProcess:
    """A run's process that this server started. Belongs to the event loop."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(cls, directory: Path) -> Self:
        """Starts `python -m app.runner directory`. Raises OSError."""
        with (directory / LOG_FILE).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "app.runner",
                str(directory),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=run_environment(),
                start_new_session=True,
            )
        return cls(process)

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.returncode

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for its end; False when `timeout_s` passed first."""
        try:
            await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def terminate(self) -> None:
        """Asks it to end (SIGTERM). Does nothing when it has ended."""
        if self.alive():
            self._process.terminate()

    def kill(self) -> None:
        """Ends the whole process group at once (SIGKILL), also when its leader has ended before its workers."""
        kill_group(self.pid)


class ForeignProcess:
    """A run's process that this server did not start, known by its id."""

    def __init__(self, process: psutil.Process, *, ours: bool) -> None:
        self._process = process
        self._ours = ours
        self.pid = process.pid

    @classmethod
    def find(cls, pid: int, *, started_unix_ns: int, ours: bool) -> Self | None:
        """The process of a recording that began at `started_unix_ns`; None when it is gone.

        `ours`: an earlier server started it for a run, so it may be ended. A user's own script never is.
        """
        try:
            process = psutil.Process(pid)
            if process.create_time() > started_unix_ns / 1e9 + ID_SLACK_S or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.Error:
            return None
        return cls(process, ours=ours)

    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for its end; False when `timeout_s` passed first."""
        try:
            await asyncio.to_thread(self._process.wait, timeout_s)
        except psutil.TimeoutExpired:
            return False
        return True

    def terminate(self) -> None:
        """Asks it to end (SIGTERM), if a server started it."""
        if self._ours:
            with suppress(psutil.NoSuchProcess):
                self._process.terminate()

    def kill(self) -> None:
        """Ends its process group at once (SIGKILL), if a server started it."""
        if self._ours and self.alive():
            kill_group(self.pid)


def kill_group(leader: int) -> None:
    """SIGKILL to each process of the group that `leader` led; its id stays taken as long as one of them lives."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # all gone (macOS says EPERM for zombies)
        return


def run_environment() -> dict[str, str]:
    """The environment of a run's process: this one's, without secrets, with this package on the path."""
    environment = {name: value for name, value in os.environ.items() if name not in UNWANTED_VARIABLES}
    root = str(Path(app.__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


async def export_chunks(directory: Path, form: str) -> AsyncGenerator[bytes, None]:
    """What `loaderscope export DIRECTORY FORM -` writes, piece by piece; that process ends with the generator.

    Raises RequestError when it fails, with the last line that it wrote.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "app", "export", str(directory), form, "-"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=run_environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        while chunk := await process.stdout.read(CHUNK_BYTES):
            yield chunk
        said = (await process.stderr.read(LOG_TAIL_BYTES)).decode("utf-8", "replace").strip()
        if await process.wait() != 0:
            raise RequestError(f"the export failed: {said[-REASON_LENGTH:]}", status=409, code="export_failed")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def reason_of_death(returncode: int, directory: Path) -> str:
    """Why a run's process ended before the run did, in a sentence."""
    if returncode < 0:
        return _reason_of_signal(-returncode)
    line = last_log_line(directory)
    return f"its process ended with exit code {returncode}" + (f": {line}" if line else f"; {LOG_FILE} is empty")


def _reason_of_signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if number == signal.SIGKILL:
        memory = psutil.virtual_memory()
        return (
            f"its process was killed by {name}; likely out of memory: {memory.available / 2**30:.1f} of "
            f"{memory.total / 2**30:.1f} GiB are free now. Use fewer workers or a smaller batch"
        )
    if number == signal.SIGBUS:
        return f"its process was killed by {name}; likely shared memory is full: use fewer workers or a smaller batch"
    return f"its process was killed by {name}"


def last_log_line(directory: Path) -> str:
    """The last line that is not empty of what the run's process wrote, shortened; "" where there is none."""
    try:
        with (directory / LOG_FILE).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return line if len(line) <= REASON_LENGTH else line[: REASON_LENGTH - 1] + "…"
