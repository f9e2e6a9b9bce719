"""Pipelines split by transform, with the user's own objects as they were."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from loader_core.observe import observe
from loader_core.observe.pipelines import MAX_OBJECTS, Pipelines, TimedList, find, reachable, step_name
from loader_core.trace import Kind, Recorder, Role, Trace, set_current
from loader_core.trace.facts import read_facts
from loader_core.trace.recorder import NULL_RECORDER
from tests.observe.experience import both, recorded


class Compose:
    """As torchvision's first version writes it."""

    def __init__(self, transforms: Any) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for t in self.transforms:
            img = t(img)
        return img

    def __repr__(self) -> str:
        format_string = self.__class__.__name__ + "("
        for t in self.transforms:
            format_string += "\n"
            format_string += f"    {t}"
        format_string += "\n)"
        return format_string


class ModuleCompose(nn.Module):
    """As torchvision's second version writes it."""

    def __init__(self, transforms: Any) -> None:
        super().__init__()
        self.transforms = transforms

    def forward(self, *inputs: Any) -> Any:
        needs_unpacking = len(inputs) > 1
        for transform in self.transforms:
            outputs = transform(*inputs)
            inputs = outputs if needs_unpacking else (outputs,)
        return outputs


class Jitter:
    """Draws a random number."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return image * torch.rand(())

    def __repr__(self) -> str:
        return "Jitter()"


class Scale(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * 2


def shift(image: torch.Tensor, by: float = 1.0) -> torch.Tensor:
    return image + by


class Pictures(Dataset[Any]):
    """A dataset that looks at its own pipeline each time."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        image = self.transform(torch.full((2,), float(index)))
        inner = self.transform
        again = pickle.loads(pickle.dumps(inner))
        return (
            image,
            repr(inner),
            isinstance(inner.transforms, list | tuple),
            repr(again),
            len(inner.transforms),
            inner.transforms == copy.copy(inner).transforms,
        )


PIPELINES: dict[str, Callable[[], Any]] = {
    "first version": lambda: Compose([Jitter(), shift, partial(shift, by=3.0), Scale()]),
    "second version": lambda: ModuleCompose([Jitter(), Scale(), torch.abs]),
    "tuple": lambda: Compose((Jitter(), shift)),
    "nested": lambda: Compose([Jitter(), Compose([shift, Scale()])]),
}
NAMES = {
    "first version": {"Jitter", "shift", "Scale"},
    "second version": {"Jitter", "Scale", "abs"},
    "tuple": {"Jitter", "shift"},
    "nested": {"Jitter", "Compose", "shift", "Scale"},
}


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("name", PIPELINES)
def test_each_step_is_a_stage_and_nothing_differs(name: str, workers: int, tmp_path: Path) -> None:
    pipeline = PIPELINES[name]()
    steps = pipeline.transforms

    def make() -> DataLoader[Any]:
        return DataLoader(Pictures(pipeline), batch_size=2, num_workers=workers)

    _, trace = both(make, tmp_path / "run", epochs=2)
    assert pipeline.transforms is steps, "the user's own list is where it was"
    assert set(trace.stages.values()) - {"start of the worker"} == NAMES[name]
    parts = trace.window(0, 1 << 62, {Kind.STAGE})
    items = trace.window(0, 1 << 62, {Kind.ITEM})
    assert {trace.lanes[lane].role for lane in parts["lane"].tolist()} == {Role.WORKER}
    jitters = [row for row in parts if trace.stages[int(row["value"])] == "Jitter"]
    by_sample = {(int(item["epoch"]), int(item["sample"])): item for item in items}
    for row in jitters:
        item = by_sample[int(row["epoch"]), int(row["sample"])]
        assert item["start"] <= row["start"] <= row["end"] <= item["end"]


def test_less_detail_splits_nothing(tmp_path: Path) -> None:
    def make() -> DataLoader[Any]:
        return DataLoader(Pictures(PIPELINES["first version"]()), batch_size=2)

    _, trace = both(make, tmp_path / "run", detail="sample")
    assert trace.stages == {}


def test_a_step_that_raises_raises_the_same(tmp_path: Path) -> None:
    def fails(image: Any) -> Any:
        raise LookupError("no such colour")

    def make() -> DataLoader[Any]:
        return DataLoader(Pictures(Compose([Jitter(), fails, Scale()])), batch_size=2, num_workers=1)

    seen, trace = both(make, tmp_path / "run", epochs=1)
    assert seen.error[0] is LookupError
    assert "Scale" not in trace.stages.values()


MODULE_WIDE = Compose([Jitter(), shift])


class ByName(Dataset[Any]):
    """Uses a pipeline of its module."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return MODULE_WIDE(torch.zeros(index + 1).sum())


def test_pipelines_are_found_wherever_a_dataset_keeps_them() -> None:
    def in_closure() -> Callable[[Any], Any]:
        hidden = Compose([shift])

        def apply(image: Any) -> Any:
            return hidden(image)

        return apply

    deep = Pictures(Compose([Scale()]))
    deep.wrapped = {"a": [partial(in_closure())]}  # type: ignore[attr-defined]
    deep.method = Compose([Jitter()]).__call__  # type: ignore[attr-defined]
    assert len(list(find(deep))) == 3
    assert list(find(ByName())) == [MODULE_WIDE]
    assert list(find(lambda image: MODULE_WIDE(image))) == [MODULE_WIDE]


def test_the_search_is_bounded_and_evaluates_nothing() -> None:
    class Trap:
        @property
        def transform(self) -> Any:
            raise AssertionError("evaluated")

        def __len__(self) -> int:
            raise AssertionError("evaluated")

    chain: Any = Trap()
    for _ in range(MAX_OBJECTS + 10):
        chain = [chain, Trap(), Trap()]
    assert len(list(reachable(chain, Trap()))) <= MAX_OBJECTS
    ring = Pictures(None)
    ring.transform = ring
    assert list(find(ring)) == []
    assert len(list(reachable([object() for _ in range(10_000)]))) < 100


def test_the_list_is_a_list_in_all_else() -> None:
    plain = [Jitter(), shift]
    timed = TimedList(plain)
    assert timed == plain
    assert repr(timed) == repr(plain)
    for copied in (copy.copy(timed), copy.deepcopy([timed])[0], timed[:]):
        assert type(copied) is list
    assert type(pickle.loads(pickle.dumps(TimedList([shift])))) is list
    assert timed[1] is shift
    assert len(timed) == 2
    timed.append(abs)
    assert timed[-1] is abs


def test_a_loop_that_changes_its_list_goes_on_as_it_would(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, role=Role.WORKER, worker=0)
    set_current(recorder)
    try:
        timed = TimedList([1, 2])
        seen = []
        for number in timed:
            seen.append(number)
            if number == 2:
                timed.append(3)
    finally:
        set_current(NULL_RECORDER)
        recorder.close()
    assert seen == [1, 2, 3]


def test_splitting_can_be_undone() -> None:
    pipeline = Compose([shift])
    steps = pipeline.transforms
    found = Pipelines(Pictures(pipeline))
    found.split()
    found.split()
    assert isinstance(pipeline.transforms, TimedList)
    found.join()
    assert pipeline.transforms is steps


def test_steps_are_named_by_what_they_are() -> None:
    assert [step_name(step) for step in (Jitter(), shift, partial(partial(shift), by=1), torch.abs, Scale(), int)] == [
        "Jitter",
        "shift",
        "shift",
        "abs",
        "Scale",
        "int",
    ]


def test_lines_that_hold_the_time_are_found(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    loader = DataLoader(Busy(), batch_size=1, num_workers=1)
    with recorded(directory) as recording:
        observe(loader, recording)
        list(loader)
    trace = Trace.open(directory)
    looks = trace.window(0, 1 << 62, {Kind.STACK})
    places = [trace.places[int(value)] for value in looks["value"]]
    assert places, "a second of work was never looked at"
    spins = [place for place in places if "Busy.spin | total += sum(range(1_000))" in place]
    assert len(spins) > len(places) / 2
    assert spins[0].startswith("tests/observe/test_pipelines.py:")
    assert set(looks["sample"].tolist()) <= {0, 1, 2, 3}
    told = [fact for fact in read_facts(directory) if fact["kind"] == "sampling"]
    assert told[-1]["looks"] >= len(looks)
    assert 0 < told[-1]["cpu_ns"] < told[-1]["elapsed_ns"]


class Busy(Dataset[int]):
    """Spends its time in one line."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        return self.spin()

    def spin(self) -> int:
        total = 0
        for _ in range(12_000):
            total += sum(range(1_000))
        return total % 7
