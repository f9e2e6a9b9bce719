"""What happened, to whom and on which index, when an observed loader raises, or is interrupted because it hangs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from loader_core.diagnose import rules_hang
from loader_core.diagnose.verdict import judge_run
from loader_core.diagnose.verdict_types import Code
from loader_core.observe import observe, walk
from loader_core.trace import NOT_MEASURED, Kind, Recording, Trace
from loader_core.trace.facts import read_facts
from tests.observe.datasets import Failing

pytestmark = pytest.mark.usefixtures("nothing_swallowed")

BATCH = 4


def rows_of(trace: Trace, kind: Kind) -> Any:
    return trace.window(0, 1 << 62, {kind})


def failure_of(loader: DataLoader[Any], directory: Path) -> tuple[Trace, dict[str, Any]]:
    """Iterate until it raises, as a script that does not expect it; what was recorded, and the fact of the failure."""
    recording = Recording.create(directory, run_id="run")
    observe(loader, recording)
    with pytest.raises(Exception), recording:  # noqa: B017 - whichever
        for _ in loader:
            pass
    [failure] = [fact for fact in read_facts(directory) if fact["kind"] == "failure"]
    return Trace.open(directory), failure


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sample_that_raises_is_told_with_its_index(workers: int, tmp_path: Path) -> None:
    loader = DataLoader(Failing(6, "raise"), batch_size=BATCH, num_workers=workers)
    trace, failure = failure_of(loader, tmp_path / "run")
    errors = rows_of(trace, Kind.ERROR)
    assert {(trace.lanes[row["lane"]].role.value, int(row["batch"]), int(row["sample"])) for row in errors} == {
        ("worker", 1, 6),
        ("main", 1, NOT_MEASURED),
    }
    assert (failure["batch"], failure["sample"], failure["error"]) == (1, 6, "BadSample")
    assert failure["indices"] == [4, 5, 6, 7]
    assert trace.run.state == "failed"
    who = "the main process" if workers == 0 else f"worker 0 (pid {failure['pid']})"
    told = f"BadSample: sample 6 is broken ({who} raised BadSample while reading sample 6 of batch 1)"
    assert trace.run.reason == told


def test_a_worker_that_is_killed_is_told_with_its_sample(tmp_path: Path) -> None:
    loader = DataLoader(Failing(6, "die"), batch_size=BATCH, num_workers=1)
    trace, failure = failure_of(loader, tmp_path / "run")
    [died] = rows_of(trace, Kind.DIED)
    assert (int(died["batch"]), int(died["sample"]), int(died["value"])) == (1, 6, -9)
    assert (failure["worker"], failure["sample"], failure["exitcode"]) == (0, 6, -9)
    text = f"worker 0 (pid {failure['pid']}) was killed by SIGKILL while reading sample 6 of batch 1"
    assert failure["text"] == text
    assert trace.run.reason.startswith("RuntimeError: DataLoader worker (pid")
    assert trace.run.reason.endswith(f"exited unexpectedly ({text})")


def test_a_worker_that_leaves_is_told_with_its_exit_code(tmp_path: Path) -> None:
    loader = DataLoader(Failing(6, "leave"), batch_size=BATCH, num_workers=1)
    _, failure = failure_of(loader, tmp_path / "run")
    assert failure["text"].endswith("ended with exit code 3 while reading sample 6 of batch 1")


def test_a_worker_that_hangs_is_told_with_its_sample(tmp_path: Path) -> None:
    loader = DataLoader(Failing(6, "hang"), batch_size=BATCH, num_workers=2, timeout=1)
    trace, failure = failure_of(loader, tmp_path / "run")
    assert (failure["worker"], failure["batch"], failure["sample"]) == (1, 1, 6)
    assert " had not answered for " in failure["text"]
    assert failure["text"].endswith(" s while reading sample 6 of batch 1")
    assert len(rows_of(trace, Kind.DIED)) == 0
    for worker in list(torch.multiprocessing.active_children()):
        worker.kill()
        worker.join()


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


@contextmanager
def ctrl_c(after_s: float) -> Iterator[None]:
    """SIGINT for this process after so long, as the terminal sends it."""
    timer = threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def interrupted(directory: Path, *, after_s: float) -> list[dict[str, Any]]:
    """A loader whose second worker hangs, interrupted after so long; the facts of failures."""
    loader = DataLoader(Failing(6, "hang"), batch_size=BATCH, num_workers=2)
    recording = Recording.create(directory, run_id="run")
    observe(loader, recording)
    with pytest.raises(KeyboardInterrupt), recording, ctrl_c(after_s):
        for _ in loader:
            pass
    for worker in torch.multiprocessing.active_children():
        worker.kill()
        worker.join()
    return [fact for fact in read_facts(directory) if fact["kind"] == "failure"]


def test_who_interrupts_a_loader_that_hangs_is_told_who_had_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "STUCK_NS", 1_000_000)
    monkeypatch.setattr(rules_hang, "HANG_NS", 100_000_000)
    monkeypatch.setattr(rules_hang, "LONGER", 0)
    [failure] = interrupted(tmp_path / "run", after_s=2)
    assert (failure["worker"], failure["batch"], failure["sample"], failure["exitcode"]) == (1, 1, 6, None)
    assert (failure["error"], failure["indices"]) == ("KeyboardInterrupt", [4, 5, 6, 7])
    run = Trace.open(tmp_path / "run").run
    assert (run.state, run.reason) == ("stopped", f"interrupted from the keyboard ({failure['text']})")
    assert f"worker 1 (pid {failure['pid']}) had not answered for " in failure["text"]
    assert failure["text"].endswith(" s while reading sample 6 of batch 1")
    assert len(rows_of(Trace.open(tmp_path / "run"), Kind.DIED)) == 0
    [found] = judge_run(tmp_path / "run").findings
    assert found.code is Code.HANG
    assert " Worker 1 was reading its samples and was at sample 6, in " in found.sentence.en
    assert "datasets.py:" in str(found.place)


def test_who_interrupts_a_short_wait_is_told_nothing(tmp_path: Path) -> None:
    assert interrupted(tmp_path / "run", after_s=1) == []
    run = Trace.open(tmp_path / "run").run
    assert (run.state, run.reason) == ("stopped", "interrupted from the keyboard")
