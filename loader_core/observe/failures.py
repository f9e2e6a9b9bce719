"""What happened, to whom and on which index, when an observed loader raises."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loader_core.observe.progress import Row
from loader_core.trace import NOT_MEASURED, Kind, Recorder, Recording, now
from loader_core.trace.facts import append_fact

SHOWN_INDICES = 64
"""Indices of the batch that are written down."""


@dataclass(frozen=True, slots=True)
class Task:
    """A batch on its way: who makes it, of which indices (as the sampler gave them)."""

    worker: int
    indices: Any


@dataclass(frozen=True, slots=True)
class Culprit:
    """The worker that a failure is about. -1: the main process, which fetches by itself."""

    worker: int
    pid: int | None
    exitcode: int | None
    batch: int
    sample: int
    since_ns: int


def tell_failure(
    run: Recording,
    recorder: Recorder,
    error: BaseException,
    number: int,
    tasks: Mapping[int, Task],
    workers: Any,
    rows: Callable[[int], Row | None],
) -> None:
    """Write down what is known of `error`, which a loader raised in the place of batch `number`.

    `workers` are the processes, by number, and `rows` gives what each was at. A worker that died is marked DIED. Where
    `error` is no Exception the loop was interrupted, and workers that ended meanwhile did so for the same reason.
    """
    interrupted = not isinstance(error, Exception)
    culprits = _culprits(number, tasks, list(workers or ()), rows, look_for_dead=not interrupted)
    for culprit in culprits:
        if culprit.exitcode is not None:
            recorder.mark(Kind.DIED, culprit.batch if culprit.batch >= 0 else number, culprit.exitcode, culprit.sample)
        batch = culprit.batch if culprit.batch >= 0 else number
        sentence = _sentence(culprit, batch, error)
        run.failure = sentence
        append_fact(
            run.directory,
            {
                "kind": "failure",
                "epoch": recorder.epoch,
                "batch": batch,
                "worker": culprit.worker,
                "pid": culprit.pid,
                "exitcode": culprit.exitcode,
                "sample": None if culprit.sample == NOT_MEASURED else culprit.sample,
                "indices": _shown(tasks.get(batch)),
                "error": type(error).__name__,
                "text": sentence,
            },
        )


def killed_by(error: BaseException, workers: list[Any]) -> bool:
    """Whether torch raised `error` because one of `workers` has died."""
    return any(process.exitcode not in (None, 0) and f"(pid {process.pid})" in str(error) for process in workers)


def _culprits(
    number: int,
    tasks: Mapping[int, Task],
    workers: list[Any],
    rows: Callable[[int], Row | None],
    *,
    look_for_dead: bool,
) -> Iterator[Culprit]:
    """The workers that died; if none did, the one that was to make the batch."""
    dead = [at for at, process in enumerate(workers) if look_for_dead and process.exitcode not in (None, 0)]
    if not dead:
        task = tasks.get(number)
        dead = [task.worker] if task is not None else []
    for worker in dead:
        process = workers[worker] if 0 <= worker < len(workers) else None
        row = rows(worker)
        pid = None if process is None else process.pid
        exitcode = None if process is None or not look_for_dead else process.exitcode
        if row is not None and row.batch >= 0 and (exitcode is not None or row.batch == number):
            yield Culprit(worker, pid, exitcode, row.batch, row.sample, row.since_ns)
        elif exitcode is not None:
            yield Culprit(worker, pid, exitcode, _oldest(worker, tasks, number), NOT_MEASURED, 0)
        else:  # it has raised, and gone on to another batch since
            yield Culprit(worker, pid, exitcode, number, NOT_MEASURED if row is None else row.blamed(number), 0)


def _oldest(worker: int, tasks: Mapping[int, Task], otherwise: int) -> int:
    return min((number for number, task in tasks.items() if task.worker == worker), default=otherwise)


def _sentence(culprit: Culprit, batch: int, error: BaseException) -> str:
    """Such as `worker 1 (pid 812) was killed by SIGKILL while reading sample 4711 of batch 117`."""
    who = "the main process" if culprit.worker < 0 else f"worker {culprit.worker} (pid {culprit.pid})"
    what = f"raised {type(error).__name__}"
    if culprit.exitcode is not None:
        what = _death(culprit.exitcode)
    elif not isinstance(error, Exception) or (type(error) is RuntimeError and "timed out" in str(error)):
        since = f" for {(now() - culprit.since_ns) / 1e9:.1f} s" if culprit.since_ns else ""
        what = f"had not answered{since}"
    where = f"reading sample {culprit.sample} of batch {batch}" if culprit.sample >= 0 else f"making batch {batch}"
    return f"{who} {what} while {where}"


def _death(exitcode: int) -> str:
    if exitcode >= 0:
        return f"ended with exit code {exitcode}"
    try:
        return f"was killed by {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"was killed by signal {-exitcode}"


def _shown(task: Task | None) -> list[Any]:
    indices = task.indices if task is not None else None
    if type(indices) is int:
        return [indices]
    return [index for index in indices[:SHOWN_INDICES] if type(index) is int] if isinstance(indices, list) else []
