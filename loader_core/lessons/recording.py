"""Starts an execution and takes its log: what the command line, the server and a notebook have in common."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loader_core.errors import LessonError
from loader_core.lessons.catalogue import find
from loader_core.lessons.log import MAX_LOG_BYTES, Log, from_json

GRACE_S = 15.0
"""What an execution may take beyond its own limit: to start, to import torch, to write its log."""

MEASURING_S = 60.0
"""For what a lesson measures before its program is traced."""

OWN_SECONDS = 10.0
"""For a user's own program."""

REFUSED = 3
"""Exit status of an execution that says in its last line why there is no log."""

MAX_ANSWER_BYTES = 4 * MAX_LOG_BYTES
_REASON_LENGTH = 400
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Order:
    """One execution that is to be made: the request for its process, and how long that may take."""

    request: str
    seconds: float
    subject: str

    @property
    def command(self) -> list[str]:
        """The process, which reads the request from its standard input."""
        return [sys.executable, "-P", "-m", "loader_core.lessons.record"]


@contextlib.contextmanager
def lesson_order(
    name: str, *, variant: str = "", language: str = "en", parameters: Mapping[str, object] | None = None
) -> Iterator[Order]:
    """The order for a lesson, checked; its folder lives as long as the block. Raises ParameterError."""
    lesson = find(name)
    checked = lesson.checked(parameters or {})
    with tempfile.TemporaryDirectory(prefix="lesson-", ignore_cleanup_errors=True) as folder:
        request = {
            "lesson": name,
            "variant": lesson.checked_variant(variant),
            "language": language,
            "parameters": checked,
            "folder": folder,
        }
        seconds = lesson.seconds + GRACE_S + (MEASURING_S if lesson.measure else 0)
        yield Order(json.dumps(request), seconds, f"lesson {name}")


def file_order(file: Path, call: str = "") -> Order:
    """The order for a user's own file. Raises LessonError."""
    file = file.resolve()
    if not file.is_file():
        raise LessonError(f"{file} is not a file: give the Python file that has your iterator or generator")
    request = {"file": str(file), "call": call, "seconds": OWN_SECONDS}
    return Order(json.dumps(request), OWN_SECONDS + GRACE_S, file.name)


def run_lesson(
    name: str, *, variant: str = "", language: str = "en", parameters: Mapping[str, object] | None = None
) -> Log:
    """The log of a lesson's execution on this host, now. Raises ParameterError, LessonError."""
    with lesson_order(name, variant=variant, language=language, parameters=parameters) as order:
        return from_json(carry_out(order))


def run_file(file: Path, call: str = "") -> Log:
    """The log of a user's own program. Raises LessonError."""
    return from_json(carry_out(file_order(file, call)))


def carry_out(order: Order) -> bytes:
    """Runs an order and waits for its log, as JSON. Raises LessonError."""
    process = subprocess.Popen(
        order.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    try:
        answer, said = process.communicate(order.request.encode(), timeout=order.seconds)
    except subprocess.TimeoutExpired as error:
        raise took_too_long(order) from error
    finally:
        end_group(process.pid)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            stream.close()
    return checked_answer(order, process.returncode, answer, said)


def environment() -> dict[str, str]:
    """The environment of an execution: this one's without the server's secrets, with this package on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOADERSCOPE_")}
    if "LOADERSCOPE_HOME" in os.environ:
        kept["LOADERSCOPE_HOME"] = os.environ["LOADERSCOPE_HOME"]
    kept["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return kept


def checked_answer(order: Order, returncode: int, answer: bytes, said: bytes) -> bytes:
    """The log that a process has written. Raises LessonError when it ended without one."""
    if returncode == 0 and answer:
        if len(answer) > MAX_ANSWER_BYTES:
            raise LessonError(f"{order.subject}: its log has {len(answer):,} bytes, of {MAX_ANSWER_BYTES:,} at most")
        return answer
    lines = said.decode("utf-8", "replace").strip().splitlines()
    why = f": {lines[-1][-_REASON_LENGTH:]}" if lines else ""
    if returncode == REFUSED and lines:
        raise LessonError(f"{order.subject}: {lines[-1][-_REASON_LENGTH:]}")
    if returncode < 0:
        how = f"its process was ended by {signal.Signals(-returncode).name}"
    elif returncode == 0:
        how = "its process ended by itself, before its log was written"
    else:
        how = f"its process ended with exit code {returncode}, before its log was written"
    raise LessonError(f"{order.subject}: {how}{why}")


def took_too_long(order: Order) -> LessonError:
    """What is said of a process that was ended because its time was over."""
    return LessonError(f"{order.subject}: it took more than {order.seconds:g} s, and was ended")


def end_group(leader: int) -> None:
    """Ends a process and all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all gone (macOS says EPERM for zombies)
        os.killpg(leader, signal.SIGKILL)
