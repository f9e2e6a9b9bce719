"""Light sampling of a worker's stack: which lines of the user's code hold the time, with no mark in it.

A thread in the worker looks about thirty times a second at where the worker's own thread is while it makes a batch,
and records the innermost line of the user's code as a STACK mark. What that costs is measured, and told as a fact.
"""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import threading
import time
from pathlib import Path
from types import CodeType, FrameType

from loader_core.trace import NO_BATCH, Detail, Kind, Recorder, RecordingShare, Role, now
from loader_core.trace.facts import append_fact
from loader_core.trace.names import PLACES, Names

EVERY_S = 0.03
"""Time between two looks. The thread asks for the interpreter's lock each time, so much shorter would be felt."""

IDLE_S = 0.25
"""Time between two looks at whether samples are wanted in such detail."""

COST_SHARE = 0.005
"""Of the time at most, spent on looking: where looks are dear (deep stacks), they become rarer."""

_MOST_PLACES = 4_096
_OURS = str(Path(__file__).resolve().parents[1]) + os.sep
_DOORS = str(Path(__file__).resolve().parent / "fetching.py")
"""What calls the user's code. Other frames of ours, innermost, are our own work."""
_LIBRARIES = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(Path(os.__file__).parent) + os.sep}
)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class StackSampler:
    """Samples the thread that makes it, from a thread of its own, in a worker process."""

    def __init__(self, share: RecordingShare, worker: int, watched: Recorder) -> None:
        """Begin. `watched` is the recorder of the calling thread: it says what is being made, and in which detail."""
        self._directory = share.directory
        self._worker = worker
        self._watched = watched
        self._recorder = share.recorder(Role.WORKER, worker)
        self._names = Names(share.directory, PLACES)
        self._numbers: dict[tuple[CodeType, int], int] = {}
        self._target = threading.get_ident()
        self._over = threading.Event()
        self._looks = 0
        self._cost_ns = 0
        self._started_ns = now()
        self._tell_at_ns = self._started_ns + 1_000_000_000
        self._thread = threading.Thread(target=self._run, name="loaderscope-stacks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread. Idempotent."""
        if not self._over.is_set():
            self._over.set()
            self._thread.join()

    def _run(self) -> None:
        pause = EVERY_S
        while not self._over.wait(pause):
            pause = self._turn()
        self._tell()
        self._recorder.close()

    def _turn(self) -> float:
        """Look once if that is wanted; the time until the next turn."""
        watched = self._watched
        if watched.detail is not Detail.STAGE:
            return IDLE_S if watched.enabled else 3600.0
        if watched.batch == NO_BATCH:
            return EVERY_S
        cpu = time.thread_time_ns()
        self._look()
        cost = time.thread_time_ns() - cpu
        self._looks += 1
        self._cost_ns += cost
        if now() > self._tell_at_ns:
            self._tell_at_ns = 2 * now() - self._started_ns  # after 1, 2, 4 ... seconds: few facts
            self._tell()
        return max(EVERY_S, cost / 1e9 / COST_SHARE)

    def _look(self) -> None:
        frame = sys._current_frames().get(self._target)
        batch, sample, epoch = self._watched.batch, self._watched.sample, self._watched.epoch
        place = place_of(frame)
        if place is None or batch == NO_BATCH:
            return
        number = self._numbers.get(place)
        if number is None:
            if len(self._numbers) == _MOST_PLACES:
                return
            number = self._numbers[place] = self._names.number(place_name(*place))
        self._recorder.epoch = epoch
        self._recorder.mark(Kind.STACK, batch, value=number, sample=sample)

    def _tell(self) -> None:
        append_fact(
            self._directory,
            {
                "kind": "sampling",
                "worker": self._worker,
                "looks": self._looks,
                "cpu_ns": self._cost_ns,
                "elapsed_ns": now() - self._started_ns,
            },
        )


def place_of(frame: FrameType | None) -> tuple[CodeType, int] | None:
    """The innermost line of the user's own code; else the outermost of a library's that was called to make samples.

    None when there is neither: the worker is in torch's code, or at our own work.
    """
    outermost = None
    while frame is not None:
        code = frame.f_code
        name, place = code.co_filename, (code, frame.f_lineno or code.co_firstlineno)
        if name.startswith(_OURS):
            return outermost if name == _DOORS else None
        if name.startswith(_LIBRARIES) or any(folder in name for folder in _INSTALLED) or name.startswith("<frozen"):
            outermost = outermost if _is_torchs(name) else place
        else:
            return place
        frame = frame.f_back
    return None


def _is_torchs(name: str) -> bool:
    return f"{os.sep}torch{os.sep}" in name and any(folder in name for folder in _INSTALLED)


def place_name(code: CodeType, line: int) -> str:
    """`file:line function | source line`, the file with the folder that it is in."""
    path = Path(code.co_filename)
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else Path(*path.parts[-2:])
    source = linecache.getline(code.co_filename, line).strip()
    return f"{shown}:{line} {code.co_qualname} | {source}".rstrip(" |")
