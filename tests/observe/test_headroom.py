"""Headroom: the loop gets earlier batches again for some steps, and afterwards every batch that it would have got."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from app.cli import main
from app.summary import diagnose_run
from loader_core.diagnose.rules_hang import HANG_NS, find_hang
from loader_core.diagnose.stored import read_excerpt
from loader_core.observe import observe
from loader_core.observe.headroom import KEPT, WARM
from loader_core.start import HEADROOM
from loader_core.trace import Kind, Recording, Trace

STEPS = 15


class Slow(Dataset[torch.Tensor]):
    """Samples of which each takes 3 ms to come, and is its own index."""

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(0.003)
        return torch.tensor([float(index)])


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HEADROOM, str(STEPS))


def seen(directory: Path, *, epochs: int = 1, workers: int = 0, grad: bool = True) -> list[list[float]]:
    """The batches that a loop gets; it changes each of them in place."""
    with Recording.create(directory, run_id=directory.name) as recording, torch.set_grad_enabled(grad):
        loader = DataLoader(Slow(), batch_size=2, num_workers=workers)
        observe(loader, recording, detail="batch")
        got = []
        for _ in range(epochs):
            for batch in loader:
                got.append(batch.flatten().tolist())
                batch.zero_()
        return got


@pytest.mark.parametrize("workers", [0, 1])
def test_earlier_batches_come_again_and_then_all_others(workers: int, tmp_path: Path) -> None:
    got = seen(tmp_path / "run", workers=workers, epochs=2)
    plain = [[float(first), float(first + 1)] for first in range(0, 100, 2)]
    before, replayed, after = got[: WARM + KEPT], got[WARM + KEPT : WARM + KEPT + STEPS], got[WARM + KEPT + STEPS :]
    assert before + after == plain + plain, "once, and nothing is lost"
    assert all(batch in plain[WARM : WARM + KEPT] for batch in replayed)


def test_it_says_what_a_perfect_loader_would_save(tmp_path: Path) -> None:
    seen(tmp_path / "run")
    diagnosis = diagnose_run(tmp_path / "run")
    found = diagnosis.headroom
    assert found is not None
    assert (found.steps, found.epoch_batches) == (STEPS, 50)
    assert found.before_ns > 6_000_000
    assert found.cached_ns < found.before_ns / 2
    assert diagnosis.headroom_says is not None
    assert diagnosis.headroom_says.en.startswith("Measured with batches that were ready (15 steps): a batch every ")
    assert diagnosis.headroom_says.en.endswith(" per epoch.")
    rows = Trace.open(tmp_path / "run").window(0, 2**62)
    assert (rows["kind"] == Kind.STEP).sum() == 50, "what came again is no step of the loader's"
    assert (rows["kind"] == Kind.PAUSE).sum() == 1


def test_while_it_is_measured_the_loop_is_not_taken_for_stuck(tmp_path: Path) -> None:
    seen(tmp_path / "run", workers=1)
    trace = Trace.open(tmp_path / "run")
    [pause] = trace.window(0, 2**62, {Kind.PAUSE})
    excerpt = read_excerpt(trace, 0)
    so_far = excerpt.rows[excerpt.rows["end"] <= pause["start"]]
    assert find_hang(replace(excerpt, rows=so_far, end_ns=int(pause["start"]) + 10 * HANG_NS)) is None


def test_a_validation_is_left_alone(tmp_path: Path) -> None:
    assert len(seen(tmp_path / "run", grad=False)) == 50
    assert diagnose_run(tmp_path / "run").headroom is None


class Grudging(torch.Tensor):
    """A tensor of a user's own class that cannot be copied."""

    def clone(self, *_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("no copies")


def test_what_cannot_be_copied_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Recording.create(tmp_path / "run", run_id="run") as recording:
        loader = DataLoader(Slow(), batch_size=2, collate_fn=lambda samples: torch.stack(samples).as_subclass(Grudging))
        observe(loader, recording, detail="batch")
        got = [batch.flatten().tolist() for batch in loader]
    assert got == [[float(first), float(first + 1)] for first in range(0, 100, 2)]
    assert "measuring the headroom failed; the script goes on without it" in caplog.text


@pytest.mark.parametrize("steps", ["-1", "10001"])
def test_too_many_steps_are_refused_in_words(steps: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--headroom", steps, "train.py"]) == 2
    assert f"--headroom {steps}: say 1 to 10000 steps, or leave it out" in capsys.readouterr().err
