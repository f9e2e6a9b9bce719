"""A script run again with other arguments: which run it is held against, and what is said of it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.proof import run_before
from app.scores import Scores
from app.settings import Settings
from loader_core.trace.recording import Recording
from loader_core.trace.run_file import read_run_file
from tests.app.conftest import ORIGIN, TOKEN

ROOT = Path(__file__).resolve().parents[2]

STARVED = """
import time
from torch.utils.data import DataLoader, Dataset

class Waiting(Dataset):
    def __len__(self):
        return 240

    def __getitem__(self, index):
        time.sleep(0.004)
        return float(index)

loader = DataLoader(Waiting(), batch_size=8)
for epoch in range(3):
    for batch in loader:
        time.sleep(0.002)
"""


def script_run(home: Path, run_id: str, *, workers: int, live: bool = False, name: str = "", **fields: Any) -> Path:
    """The recording of a loader in a script, with nothing in it."""
    script = {"group": run_id, "argv": ["train.py"], "file": "/a/train.py", "line": 10, "site": "train.py:10"}
    script |= {"what": "train", "loader": "", "rank": 0, "cwd": "/a", "ranks": 1} | fields
    directory = home / run_id
    loader = {"num_workers": workers, "batch_size": 8, "dataset": "Pictures"}
    recording = Recording.create(directory, run_id=run_id, name=name or "train.py:10", script=script, loader=loader)
    if not live:
        recording.finish("finished")
    return directory


def before(home: Path, directory: Path) -> str | None:
    found = run_before(read_run_file(directory), home)
    return found and found.name


def test_a_run_is_held_against_the_newest_one_before_it_with_other_arguments(tmp_path: Path) -> None:
    first = script_run(tmp_path, "a", workers=0)
    script_run(tmp_path, "b", workers=1)
    again = script_run(tmp_path, "c", workers=1)
    assert before(tmp_path, first) is None
    assert before(tmp_path, again) == "a", "one with the same arguments promised nothing"
    later = script_run(tmp_path, "d", workers=4, line=12)
    assert before(tmp_path, later) == "c", "lines move when a file is edited"


def test_trials_live_runs_other_loaders_and_other_scripts_promise_nothing(tmp_path: Path) -> None:
    script_run(tmp_path, "a", workers=0, name="tune: num_workers=0")
    script_run(tmp_path, "b", workers=0, what="val")
    script_run(tmp_path, "c", workers=0, file="/b/train.py")
    script_run(tmp_path, "d", workers=0, rank=1)
    live = script_run(tmp_path, "e", workers=0, live=True)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "run.json").write_text("nonsense")
    assert before(tmp_path, script_run(tmp_path, "g", workers=4)) is None
    assert live.exists()


def test_of_two_loaders_in_a_file_the_one_at_the_nearest_line_is_meant(tmp_path: Path) -> None:
    script_run(tmp_path, "a", workers=0, group="first", line=10)
    script_run(tmp_path, "b", workers=1, group="first", line=30)
    assert before(tmp_path, script_run(tmp_path, "c", workers=4, line=11)) == "a"
    assert before(tmp_path, script_run(tmp_path, "d", workers=4, line=29)) == "b"


def command(arguments: list[str], script: Path, home: Path) -> str:
    """What the terminal shows."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "run", "--home", str(home), *arguments, script.name],
        cwd=script.parent,
        env={"PYTHONPATH": str(ROOT), "COLUMNS": "400", "PATH": "", "LANG": "en_US.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stderr


def test_from_a_starved_script_to_the_gain_that_was_measured(settings: Settings, tmp_path: Path) -> None:
    """As a new user would: run it, run what the terminal says, read what came of it; and the same on the page."""
    script = tmp_path / "train.py"
    script.write_text(STARVED)
    told = command([], script, settings.home)
    assert "Too few workers: " in told
    assert "had been predicted" not in told
    [line] = re.findall(r"To measure it without touching the script: (loaderscope run .*)", told)
    program, verb, *arguments, last = shlex.split(line)
    assert (program, verb, last) == ("loaderscope", "run", "train.py")
    assert arguments[-2:] == ["--at", "train.py:13"]
    told = command(arguments, script, settings.home)
    proof = re.search(
        r"Since run (\S+): num_workers=\d+, .*persistent_workers=True: ([\d,.]+) → ([\d,.]+) samples/s \(×([\d.]+)\); "
        r"[\d,.]+ had been predicted \([\d,.]+ to [\d,.]+\): it (came true|gave more|did not come true)",
        told,
    )
    assert proof, told
    assert float(proof[4]) > 1.2
    assert Scores(settings.home).score().pairs == 1
    runs = sorted(settings.runs_home.iterdir())
    with TestClient(create_app(settings), base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        assert client.get(f"/api/runs/{runs[0].name}/proof").json() is None
        found = client.get(f"/api/runs/{runs[1].name}/proof").json()
    assert (found["of"], found["run"]) == (proof[1], runs[1].name)
    assert found["samples_per_s"] / found["before_per_s"] == pytest.approx(float(proof[4]), rel=0.06)
    assert found["score"]["pairs"] == 1, "reading counts nothing"
    assert script.read_text() == STARVED


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--with", "num_workers=x"], "--with num_workers=x: num_workers is a whole number from 0 to 1024"),
        (["--with", "prefetch_factor=0"], "--with prefetch_factor=0: prefetch_factor is a whole number from 1 to 1024"),
        (["--with", "in_order=maybe"], "--with in_order=maybe: in_order is True or False"),
        (["--with", "batch_size=4"], "say one of num_workers, prefetch_factor, persistent_workers, in_order"),
        (["--at", "train.py:3"], "--at says which loader --with changes: add --with num_workers=4, say"),
    ],
)
def test_an_argument_that_cannot_be_changed_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from app.cli import main

    assert main(["run", *arguments, "train.py"]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
