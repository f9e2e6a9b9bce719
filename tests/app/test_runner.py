"""The process of a run, really started: what it records, how it obeys, and what it leaves when it ends or is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from app.order import RunOrder
from app.runner import loader_arguments
from app.wire import Dials, RunSettings
from loader_core.errors import DatasetError, SettingsError, last_line
from loader_core.scenarios import catalogue
from loader_core.trace import Control, Kind, Role, Trace

PATIENCE_S = 40
ROOT = Path(__file__).parents[2]
TINY: dict[str, Any] = {"dataset": "gapminder", "seconds": 0, "batch_size": 32}
BATCHES = 54
"""Batches of 32 in the table's 1,704 rows."""


class Started:
    """A run in a process of its own, as a server would start it."""

    def __init__(self, directory: Path, *roots: Path, **fields: Any) -> None:
        directory.mkdir()
        self.directory = directory
        self.roots = roots
        self.settings = RunSettings(**fields)
        RunOrder(settings=self.settings, data_roots=roots).write(directory)
        self.control = Control.create(directory)
        self.process = launch(str(directory))
        self.trace: Trace | None = None

    def change(self, **fields: Any) -> None:
        self.settings = self.settings.model_copy(update=fields)
        order = RunOrder(settings=self.settings, data_roots=self.roots)
        order.write(self.directory)
        order.turn(self.control)
        self.control.generation += 1

    def rows(self, *kinds: Kind) -> np.ndarray:
        """What has been recorded so far."""
        if self.trace is None:
            if not (self.directory / "run.json").exists():
                return np.empty(0)
            self.trace = Trace.open(self.directory)
        self.trace.refresh()
        return self.trace.window(0, 2**62, set(kinds))

    def until(self, reached: Callable[[], bool]) -> None:
        """Waits for something that the recording shows."""
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert self.process.poll() is None, f"the run ended too early:\n{self.process.communicate()[1]}"
            assert time.monotonic() < deadline, "the run did not get there"
            time.sleep(0.02)

    def until_steps(self, count: int) -> None:
        self.until(lambda: len(self.rows(Kind.STEP)) >= count)

    def end(self) -> tuple[int, str]:
        """Waits for its end: the exit code, and what it wrote to stderr."""
        _, log = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, log

    def result(self) -> Trace:
        self.rows()
        assert self.trace is not None
        return self.trace


def launch(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "app.runner", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@contextmanager
def running(directory: Path, *roots: Path, **fields: Any) -> Iterator[Started]:
    run = Started(directory, *roots, **fields)
    try:
        yield run
    finally:
        run.control.close()
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.communicate()


def broken_images(directory: Path) -> Path:
    directory.mkdir()
    for number in range(6):
        Image.new("RGB", (20, 20)).save(directory / f"{number}.png")
    (directory / "4.png").write_bytes(b"no image at all")
    return directory


# --- what it records --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"num_workers": 0},
        {"num_workers": 2},
        {"num_workers": 2, "persistent_workers": False},
        {"num_workers": 2, "worker_method": "thread"},
        {"num_workers": 1, "multiprocessing_context": "forkserver"},
        {"num_workers": 1, "multiprocessing_context": "spawn"},
        {"num_workers": 1, "device": "simulated"},
        {"num_workers": 0, "engine": "torch"},
        {"num_workers": 2, "engine": "torch"},
    ],
    ids=lambda fields: "-".join(str(value) for value in fields.values()),
)
def test_two_epochs_of_training(tmp_path: Path, fields: dict[str, Any]) -> None:
    with running(tmp_path / "run", **TINY, epochs=2, **fields) as run:
        assert run.end() == (0, "")
        trace = run.result()
        assert (trace.run.state, trace.run.reason) == ("finished", "")
        assert (trace.batches, trace.samples) == (2 * BATCHES, 2 * 1704)
        assert trace.run.classes == ["Africa", "Americas", "Asia", "Europe", "Oceania"]
        steps = run.rows(Kind.STEP)
        assert steps["epoch"].tolist() == [0] * BATCHES + [1] * BATCHES
        assert steps["batch"].tolist() == list(range(BATCHES)) * 2
        losses = run.rows(Kind.LOSS)["value"]
        assert losses[-20:].mean() < 0.7 * losses[:5].mean()
        if run.settings.engine == "loaderscope":
            items = run.rows(Kind.ITEM)
            for epoch in (0, 1):
                drawn = items["sample"][items["epoch"] == epoch]
                assert sorted(drawn.tolist()) == list(range(1704))
            workers = [lane for lane in trace.lanes if lane.role is Role.WORKER and lane.worker >= 0]
            assert len(workers) == run.settings.num_workers
            assert set(trace.stages.values()) == {"read", "transform"}


@pytest.mark.parametrize("engine", ["loaderscope", "torch"])
def test_both_engines_train_on_the_same_batches(tmp_path: Path, engine: str) -> None:
    losses = []
    for workers in (0, 1):
        with running(tmp_path / f"{workers}", **TINY, epochs=1, engine=engine, num_workers=workers, seed=7) as run:
            run.end()
            losses.append(run.rows(Kind.LOSS)["value"].tolist())
    assert losses[0] == losses[1]


def test_a_run_ends_when_its_time_is_over(tmp_path: Path) -> None:
    with running(tmp_path / "run", **TINY | {"seconds": 0.2, "consumer": "none"}) as run:
        assert run.end() == (0, "")
        assert run.result().run.state == "finished"
        assert len(run.rows(Kind.STEP)) > 0
        assert len(run.rows(Kind.LOSS)) == 0


@pytest.mark.parametrize("engine", ["loaderscope", "torch"])
@pytest.mark.parametrize("workers", [0, 1])
def test_the_last_step_is_recorded_too(tmp_path: Path, engine: str, workers: int) -> None:
    with running(tmp_path / "run", **TINY | {"seconds": 0.2}, engine=engine, num_workers=workers) as run:
        assert run.end() == (0, "")
        assert len(run.rows(Kind.STEP)) == len(run.rows(Kind.LOSS)) > 0


def test_the_detail_is_what_the_settings_say(tmp_path: Path) -> None:
    with running(tmp_path / "run", **TINY, epochs=1, consumer="none", detail="batch") as run:
        run.end()
        assert len(run.rows(Kind.FETCH)) == BATCHES
        assert len(run.rows(Kind.ITEM, Kind.STAGE)) == 0


# --- how it obeys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_a_viewer_stops_it(tmp_path: Path, workers: int) -> None:
    with running(tmp_path / "run", **TINY, num_workers=workers) as run:
        run.until_steps(3)
        run.control.stop = True
        assert run.end() == (0, "")
        assert (run.result().run.state, run.result().run.reason) == ("stopped", "")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_viewer_stops_it_in_the_middle_of_a_slow_batch(tmp_path: Path, workers: int) -> None:
    with running(tmp_path / "run", **TINY, num_workers=workers, dials=Dials(storage_latency_ms=10_000)) as run:
        run.until(lambda: len(run.rows(Kind.DISPATCH)) > 0)
        run.control.stop = True
        assert run.end() == (0, "")
        assert run.result().run.state == "stopped"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_signal_stops_it_while_it_waits_for_a_batch(tmp_path: Path, number: signal.Signals, workers: int) -> None:
    slow = Dials(storage_latency_ms=10_000)
    with running(tmp_path / "run", **TINY, num_workers=workers, dials=slow) as run:
        run.until(lambda: len(run.rows(Kind.DISPATCH)) > 0)
        os.kill(run.process.pid, number)
        assert run.end() == (128 + number, "")
        assert (run.result().run.state, run.result().run.reason) == ("stopped", f"stopped by {number.name}")


def test_a_signal_waits_until_torch_is_imported_which_an_interrupt_would_abort(tmp_path: Path) -> None:
    with running(tmp_path / "run", **TINY) as run:
        run.until(lambda: "libtorch_python" in Path(f"/proc/{run.process.pid}/maps").read_text())
        os.kill(run.process.pid, signal.SIGTERM)
        assert run.end() == (128 + signal.SIGTERM, "")
        assert (run.result().run.state, run.result().run.reason) == ("stopped", "stopped by SIGTERM")


def test_an_error_that_a_library_made_of_the_interrupt_is_no_failure(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from app import runner
from loader_core.trace import Recording

class Run:
    def run(self):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException as error:
            raise ImportError("a module failed to import") from error

sys.exit(runner._finish(Recording.create(Path(sys.argv[1]), run_id="run"), Run()))
"""
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "run")], cwd=ROOT, check=False)
    assert ended.returncode == 128 + signal.SIGTERM
    assert Trace.open(tmp_path / "run").run.state == "stopped"


def test_a_pause_is_recorded_and_does_not_count_as_time(tmp_path: Path) -> None:
    def paused_ns() -> int:
        rows = run.rows(Kind.PAUSE)
        return int((rows["end"] - rows["start"]).sum())

    with running(tmp_path / "run", **TINY | {"seconds": 1, "consumer": "step", "step_ms": 1}) as run:
        run.until_steps(2)
        run.control.pause = True
        run.until(lambda: paused_ns() > 1_200_000_000)
        before = len(run.rows(Kind.STEP))
        run.control.pause = False
        run.end()
        assert len(run.rows(Kind.STEP)) > before + 2
        assert run.result().run.state == "finished"


def test_live_settings_change_without_a_new_loader(tmp_path: Path) -> None:
    with running(tmp_path / "run", **TINY, num_workers=1, consumer="step", step_ms=1, detail="batch") as run:
        run.until_steps(3)
        run.change(step_ms=3.0, dials=Dials(cpu_ms=0.5), detail="sample", name="renamed")
        run.until(lambda: len(run.rows(Kind.ITEM)) > 100)
        assert run.control.step_ns == 3_000_000
        assert run.control.cpu_ns == 500_000
        run.change(epochs=1)
        assert run.end() == (0, "")
        trace = run.result()
        first, second = trace.run.changes
        assert set(first["fields"]) == {"step_ms", "dials", "detail", "name"}
        assert (first["restarted_loader"], second["restarted_loader"]) == (False, False)
        assert second["fields"] == {"epochs": 1}
        assert (trace.run.name, trace.run.settings["step_ms"]) == ("renamed", 3.0)
        assert len(run.rows(Kind.CHANGE)) == 2
        worker = next(lane for lane in trace.lanes if lane.role is Role.WORKER)
        assert len(worker.pids) == 1


def test_other_settings_change_with_a_new_loader_and_training_goes_on(tmp_path: Path) -> None:
    with running(tmp_path / "run", **TINY, num_workers=1) as run:
        run.until_steps(2 * BATCHES)
        run.change(num_workers=2, batch_size=64)
        run.until(lambda: (run.rows(Kind.STEP)["value"] == 64).sum() > 3)
        run.change(engine="torch", dataset="help", collate="pad")
        known = len(run.rows(Kind.STEP))
        run.until_steps(known + 5)
        run.control.stop = True
        assert run.end() == (0, "")
        trace = run.result()
        assert [change["restarted_loader"] for change in trace.run.changes] == [True, True]
        assert len(trace.run.classes) > 70
        steps, losses = run.rows(Kind.STEP), run.rows(Kind.LOSS)
        assert (np.diff(steps["epoch"].astype(int)) >= 0).all()
        larger = int(steps["start"][steps["value"] == 64][0])
        before, after = losses[losses["start"] < larger], losses[losses["start"] > larger]
        assert after["value"][:3].mean() < before["value"][:3].mean()


def test_changed_settings_that_do_not_fit_end_the_run_with_the_reason(tmp_path: Path) -> None:
    with running(tmp_path / "run", **TINY) as run:
        run.until_steps(2)
        run.change(dataset="help")
        code, log = run.end()
        assert code == 1
        assert "use collate 'pad'" in run.result().run.reason
        assert "SettingsError" in log


# --- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["loaderscope", "torch"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_failure_is_told_in_a_line_and_in_full(tmp_path: Path, engine: str, workers: int) -> None:
    images = broken_images(tmp_path / "pictures")
    (entry,) = catalogue.entries([images])[3:]
    fields = {"dataset": entry.id, "batch_size": 2, "num_workers": workers, "engine": engine, "seconds": 0}
    with running(tmp_path / "run", images, **fields) as run:
        code, log = run.end()
        assert code == 1
        trace = run.result()
        assert trace.run.state == "failed"
        assert trace.run.reason.startswith(f"DatasetError: {images / '4.png'} is not an image that Pillow can decode")
        assert "Traceback" in log
        assert "images.py" in log


def test_a_dataset_too_small_for_a_batch_fails_instead_of_turning_round_for_ever(tmp_path: Path) -> None:
    with running(tmp_path / "run", **TINY | {"batch_size": 4096}, drop_last=True) as run:
        assert run.end()[0] == 1
        assert run.result().run.reason == (
            "SettingsError: the dataset has 1704 samples, too few for a batch of 4096 with drop_last: "
            "use a smaller batch_size, or drop_last False"
        )


@pytest.mark.parametrize("workers", [0, 2])
def test_kill_leaves_a_recording_that_can_be_read_to_its_last_event(tmp_path: Path, workers: int) -> None:
    with running(tmp_path / "run", **TINY, num_workers=workers) as run:
        run.until_steps(20)
        family = psutil.Process(run.process.pid).children(recursive=True)
        run.process.kill()
        assert run.process.wait(PATIENCE_S) == -signal.SIGKILL
        steps = run.rows(Kind.STEP)
        assert len(steps) >= 20
        order = steps["epoch"].astype(int) * BATCHES + steps["batch"]
        assert order.tolist() == list(range(len(steps)))
        assert run.result().run.state == "running"
        _, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
        assert alive == []


def test_an_order_that_is_missing_or_wrong_is_said_on_stderr(tmp_path: Path) -> None:
    for content, word in ((None, "No such file"), ('{"settings": {"batch_size": 0}}', "batch_size")):
        if content is not None:
            (tmp_path / "settings.json").write_text(content)
        process = launch(str(tmp_path))
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert f"cannot run what is in {tmp_path}" in log
        assert word in log
        assert not (tmp_path / "run.json").exists()


def test_without_a_directory_it_says_how_to_use_it() -> None:
    process = launch()
    _, log = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, log) == (2, "usage: python -m app.runner RUN_DIRECTORY\n")


# --- in this process --------------------------------------------------------------------------------------------------


def test_the_last_line_of_an_error_is_the_one_that_says_what_happened() -> None:
    assert last_line(DatasetError("x.png is broken")) == "DatasetError: x.png is broken"
    assert last_line(KeyError("a")) == "KeyError: 'a'"
    assert last_line(RuntimeError()) == "RuntimeError"
    in_a_worker = RuntimeError(
        "Caught ValueError in worker 0.\nOriginal Traceback:\n  ...\nmy.module.Odd: 7: too odd\n"
    )
    assert last_line(in_a_worker) == "Odd: 7: too odd"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"worker_method": "thread", "num_workers": 1}, "torch's DataLoader has no thread workers"),
        ({"device": "simulated"}, "torch's DataLoader copies nothing to a device"),
        ({"collate": "pad"}, "there is nothing to pad"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(fields: dict[str, Any], words: str) -> None:
    workload = catalogue.build("gapminder")
    with pytest.raises(SettingsError, match=words):
        loader_arguments(RunSettings(engine="torch", **fields), workload)


def test_arguments_for_workers_are_given_only_where_there_are_workers() -> None:
    workload = catalogue.build("gapminder")
    for_workers = {"prefetch_factor", "persistent_workers", "multiprocessing_context"}
    fields: dict[str, Any] = {"prefetch_factor": 5, "multiprocessing_context": "spawn"}
    assert not for_workers & set(loader_arguments(RunSettings(**fields), workload))
    arguments = loader_arguments(RunSettings(num_workers=1, **fields), workload)
    assert [arguments[name] for name in sorted(for_workers)] == ["spawn", True, 5]
    threads = loader_arguments(RunSettings(num_workers=1, worker_method="thread", **fields), workload)
    assert "multiprocessing_context" not in threads
