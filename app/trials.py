"""Trials: short runs of settings, one after the other in one process that has torch and the samples already.

A run of its own costs seconds before its first batch. Whoever compares settings asks `Trials` instead: a child process
that takes a `RunOrder` after the other and records each into a directory of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import TracebackType
from typing import Self

from app.order import RunOrder
from app.process import run_environment
from app.wire import RunSettings
from loader_core.errors import LoaderscopeError, last_line
from loader_core.trace.home import new_run_directory
from loader_core.trace.recording import Recording
from loader_core.trace.trace import Trace


class TrialFailed(LoaderscopeError):
    """A setting could not be tried. The text says why."""


class Trials:
    """A process for trials. `with` it; belongs to one thread. Runs are kept in `runs`, as all runs are."""

    def __init__(self, runs: Path, *, data_roots: tuple[Path, ...] = ()) -> None:
        self._runs = runs
        self._data_roots = data_roots
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def run(self, settings: RunSettings) -> Trace:
        """Try `settings` for as many seconds as they say. Raises TrialFailed."""
        directory = new_run_directory(self._runs)
        RunOrder(settings=settings, data_roots=self._data_roots).write(directory)
        process = self._process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{directory}\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # told by the empty line below
        answer = process.stdout.readline()
        if not answer:
            raise TrialFailed(f"the process of the trials ended with exit code {process.wait()}")
        reason = json.loads(answer)
        if reason:
            raise TrialFailed(reason)
        return Trace.open(directory)

    @staticmethod
    def _started() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "app.trials"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=run_environment(),
        )


def serve() -> None:
    """Run the directories whose names come on standard input, and answer each with the reason of its failure, or ""."""
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # many workers are tried on purpose
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a dataset prints is no answer
    for line in sys.stdin:
        answers.write(json.dumps(_tried(Path(line.strip()))) + "\n")
        answers.flush()


def _tried(directory: Path) -> str:
    from app.runner import Run

    try:
        order = RunOrder.read(directory)
        with Recording.create(
            directory,
            run_id=directory.name,
            name=order.settings.name,
            settings=order.settings.model_dump(mode="json"),
            budget_bytes=order.budget_bytes,
        ) as recording:
            Run(recording, order).run()
    except Exception as error:  # noqa: BLE001 - whatever a dataset raises is why this trial failed
        return last_line(error)
    return ""


if __name__ == "__main__":
    serve()
