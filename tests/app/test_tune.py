"""`loaderscope tune`, on a sample dataset and on a user's script, for real and without a claim on speed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.cli import main
from app.scores import Scores
from app.script_subject import ScriptSubject
from app.trials import TrialFailed, Trials
from app.tuner import CatalogueSubject, setting_of, tune, with_setting
from app.wire import RunSettings
from loader_core.diagnose.service import TooFewBatches, service_of
from loader_core.diagnose.tune import Bounds
from loader_core.trace.home import runs_home

QUICK = RunSettings(dataset="gapminder", batch_size=64, consumer="step", step_ms=0.5, seconds=0.8, detail="batch")

UNSURE = "Nothing that was measured is surely faster"
"""What it may say on a machine that does much else meanwhile."""

SLOW = """
import time
from torch.utils.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 4000

    def __getitem__(self, index):
        time.sleep(0.002)
        return float(index)

loader = DataLoader(Slow(), batch_size=8)
other = DataLoader(Slow(), batch_size=2)
for _ in range(100):
    for batch in loader:
        time.sleep(0.001)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


def test_trials_share_a_process_and_keep_their_runs(home: Path) -> None:
    with Trials(runs_home(home)) as trials:
        traces = [trials.run(QUICK.model_copy(update={"num_workers": workers})) for workers in (0, 1)]
    assert len({trace.run.pid for trace in traces}) == 1
    assert [trace.run.state for trace in traces] == ["finished", "finished"]
    for workers, trace in enumerate(traces):
        service = service_of(trace.window(0, 1 << 62), workers=workers)
        assert service.epoch_batches == 27
        assert service.step_cpu_known
        assert service.batches_per_s > 0


def test_a_trial_that_fails_says_why_and_the_next_goes_on(home: Path) -> None:
    with Trials(runs_home(home)) as trials:
        with pytest.raises(TrialFailed, match="SettingsError: there is no dataset 'nothing'"):
            trials.run(QUICK.model_copy(update={"dataset": "nothing"}))
        assert trials.run(QUICK).run.state == "finished"


def test_settings_and_back() -> None:
    settings = RunSettings(num_workers=3, prefetch_factor=4, in_order=False, batch_size=16)
    setting = setting_of(settings)
    assert (setting.num_workers, setting.prefetch_factor, setting.batch_size) == (3, 4, 16)
    again = with_setting(settings, setting, 2.0)
    assert setting_of(again) == setting
    assert (again.seconds, again.detail) == (2.0, "batch")


class Seen(Exception):
    """What there was to see is seen."""


def test_few_batches_are_watched_for_longer(home: Path) -> None:
    tuned: list[str] = []

    def tell(what: str, share: float) -> None:
        tuned.append(what)
        if not what.startswith("observe"):
            raise Seen

    settings = QUICK.model_copy(update={"step_ms": 300})
    bounds = Bounds(max_workers=1)
    with CatalogueSubject(settings, runs_home(home)) as subject, pytest.raises(Seen):
        tune(subject, bounds, budget_s=20, scores=Scores(home), tell=tell)
    assert tuned[:2] == ["observe: num_workers=0"] * 2
    with CatalogueSubject(settings, runs_home(home)) as subject, pytest.raises(TooFewBatches, match="needs 8 of both"):
        tune(subject, bounds, budget_s=1, scores=Scores(home))


def test_tune_a_sample_dataset(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--dataset", "gapminder", "--consumer", "none", "--set", "dials.storage_latency_ms=2"]
    code = main(["tune", "--seconds", "12", "--batch-size", "8", "--max-workers", "4", *options])
    out = capsys.readouterr().out
    assert code == 0, out
    assert "num_workers=0: " in out
    line = r"loader_core.DataLoader\(dataset, batch_size=8, num_workers=[1-4], .*\)"
    change = rf"Change it to  {line}\nGain: \+.* pairs?\)"
    assert re.search(f"{change}|{UNSURE}", out), out
    assert Scores(home).score().pairs >= 1 or UNSURE in out


def test_tune_a_script_of_ones_own(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "train.py"
    script.write_text(SLOW)
    code = main(["tune", "--seconds", "30", "--max-workers", "4", str(script)])
    out = capsys.readouterr().out
    assert code == 0, out
    assert re.search(
        r"Change it to  train.py:13: DataLoader\(\.\.\., num_workers=[2-4], .*persistent_workers=True", out
    )
    assert script.read_text() == SLOW
    states = {json.loads(path.read_text())["state"] for path in runs_home(home).glob("*/run.json")}
    assert "running" not in states


def test_a_script_without_a_loader_says_so(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "train.py"
    script.write_text("import sys; sys.exit('no data here')")
    assert main(["tune", "--seconds", "5", str(script)]) == 2
    error = capsys.readouterr().err
    assert "the script ended with exit code 1 before a DataLoader gave 3 batches: no data here" in error.replace(
        "\n", ""
    )


def test_the_loader_to_tune_can_be_named(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SLOW.replace("in loader:", "in other:"))
    subject = ScriptSubject([str(script)], home, place="train.py:14", first_s=0.3)
    assert subject.place == "train.py:14"
    assert (subject.start.num_workers, subject.start.batch_size) == (0, 2)
    trace = subject.run(with_workers := subject.start.__class__(2, 4, 2, cores=1.0), 0.3)
    assert trace.run.loader is not None
    assert (trace.run.loader["num_workers"], trace.run.loader["prefetch_factor"]) == (2, 4)
    assert trace.run.loader["batch_size"] == with_workers.batch_size
