"""`observe`: what it takes, what it gives back, and where it records."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import arange
from torch.utils.data import DataLoader, TensorDataset

from loader_core.observe import observe
from loader_core.trace import Detail, Kind, Recording, Trace
from tests.observe.datasets import Noise
from tests.observe.experience import ROOT, recorded


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    with recorded(tmp_path / "run") as recording:
        yield recording


def steps_of(recording: Recording) -> list[tuple[int, int]]:
    recording.finish("finished")
    rows = Trace.open(recording.directory).window(0, 1 << 62, {Kind.STEP})
    return list(zip(rows["epoch"].tolist(), rows["batch"].tolist(), strict=True))


def test_a_loader_of_torchs_is_given_back_as_it_is(recording: Recording) -> None:
    loader = DataLoader(Noise(4))
    assert observe(loader, recording, detail=Detail.BATCH, name="mine") is loader
    assert recording.control.detail == Detail.STAGE, "nothing is touched before the first iteration"
    list(loader)
    assert recording.control.detail == Detail.BATCH
    assert steps_of(recording) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert Trace.open(recording.directory).run.name == "mine"


def test_any_other_iterable_is_iterated_as_often_as_the_original(recording: Recording) -> None:
    batches = [[1, 2], [3]]
    stand_in = observe(batches, recording)
    assert [list(stand_in), list(stand_in)] == [batches, batches]
    assert (len(stand_in), bool(stand_in)) == (2, True)
    assert stand_in.index([3]) == 1, "all else is the original's"
    assert steps_of(recording) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_an_iterable_without_a_length_has_none(recording: Recording) -> None:
    class Endless:
        def __iter__(self) -> Iterator[int]:
            return iter((1, 2))

    stand_in = observe(Endless(), recording)
    assert not hasattr(stand_in, "__len__")
    assert bool(stand_in)
    assert list(stand_in) == [1, 2]


def test_a_generator_gives_a_generator(recording: Recording) -> None:
    def batches() -> Iterator[int]:
        yield from (1, 2, 3)

    walk = observe(batches(), recording)
    assert next(walk) == 1
    assert list(walk) == [2, 3]
    assert steps_of(recording) == [(0, 0), (0, 1), (0, 2)]


def test_a_loader_that_makes_its_own_iterators_is_an_iterable_like_any_other(recording: Recording) -> None:
    class Own(DataLoader[Any]):
        def _get_iterator(self) -> Any:
            return iter([1, 2])

    loader = Own(Noise(4), batch_size=2)
    stand_in = observe(loader, recording)
    assert stand_in is not loader
    assert list(stand_in) == [1, 2]
    assert (len(stand_in), stand_in.batch_size) == (2, 2)
    assert steps_of(recording) == [(0, 0), (0, 1)]


def test_a_viewer_cannot_stop_a_script(recording: Recording) -> None:
    recording.control.stop = True
    assert list(observe([1, 2], recording)) == [1, 2]


def test_a_detail_that_is_none_is_refused(recording: Recording) -> None:
    with pytest.raises(ValueError, match=r"detail is 'everything'; it is one of batch, sample, stage"):
        observe([1], recording, detail="everything")


SCRIPT = """
import torch
from torch.utils.data import DataLoader, TensorDataset
from loader_core.observe import observe

dataset = TensorDataset(torch.arange(8))
for epoch in range(3):
    loader = observe(DataLoader(dataset, batch_size=4), detail="batch")
    list(loader)
kept = [observe(DataLoader(dataset, batch_size=2), name="kept") for _ in range(2)]
list(zip(*kept))
shards = observe([[1], [2]])
list(shards)
print("done")
if ENDS:
    raise LookupError("as it happens")
"""


@pytest.mark.parametrize("ends", [False, True])
def test_without_a_recording_runs_are_made_in_the_users_folder(ends: bool, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT.replace("ENDS", str(ends)))
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LOADERSCOPE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout) == (int(ends), "done\n"), done.stderr
    assert ("LookupError: as it happens" in done.stderr) == ends
    traces = [Trace.open(path) for path in sorted((tmp_path / "home" / "runs").iterdir())]
    assert sorted((trace.run.name, trace.batches) for trace in traces) == [
        ("kept", 4),
        ("kept", 4),
        ("train.py:12 shards", 2),
        ("train.py:8 loader", 6),
    ]
    assert {trace.run.state for trace in traces} == {"failed" if ends else "finished"}
    if ends:
        assert {trace.run.reason for trace in traces} == {"LookupError: as it happens"}
    rebuilt = next(trace for trace in traces if trace.run.name.endswith("loader"))
    epochs = rebuilt.window(0, 1 << 62, {Kind.STEP})["epoch"].tolist()
    assert epochs == [0, 0, 1, 1, 2, 2], "a loader made anew at the same line goes on in the same run"
    assert rebuilt.run.loader is not None
    assert rebuilt.run.loader["batch_size"] == 4


def test_inside_a_worker_it_does_nothing(tmp_path: Path) -> None:
    class Nested(Noise):
        def __getitem__(self, index: int) -> Any:
            inner = DataLoader(TensorDataset(arange(3)))
            assert observe(inner) is inner
            observe([1])
            return sum(int(value) for (value,) in inner)

    with recorded(tmp_path / "run") as recording:
        loader = observe(DataLoader(Nested(4), num_workers=1), recording)
        assert [int(batch) for batch in loader] == [3] * 4
    home = Path(os.environ["LOADERSCOPE_HOME"]) / "runs"
    assert not home.exists() or not list(home.iterdir())
