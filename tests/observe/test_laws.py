"""An observed loader is the loader that it would be: same batches, order, types, random states, errors and warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

from tests.observe import datasets
from tests.observe.datasets import Failing, FailingSampler, Keys, Many, Nested, Noise, Stream, ToldStream, Twos
from tests.observe.experience import Make, both

pytestmark = pytest.mark.usefixtures("nothing_swallowed")


def made(dataset: Dataset[Any], **arguments: Any) -> Make:
    """Makes the loader anew each time, with a generator of its own if it has a seed."""
    seed = arguments.pop("seed", None)

    def make() -> DataLoader[Any]:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return DataLoader(dataset, generator=generator, **arguments)

    return make


MAKERS: dict[str, Make] = {
    "plain": made(Noise(), batch_size=4),
    "shuffled": made(Noise(), batch_size=4, shuffle=True),
    "seeded": made(Noise(), batch_size=4, shuffle=True, seed=3),
    "drop_last": made(Noise(), batch_size=4, drop_last=True),
    "one by one": made(Noise(), batch_size=None),
    "one by one, shuffled": made(Noise(), batch_size=None, shuffle=True),
    "lists as indices": made(
        TensorDataset(torch.rand(9, 2)), batch_size=None, sampler=BatchSampler(range(9), 4, False)
    ),
    "batch sampler": made(Noise(), batch_sampler=Twos()),
    "replacement": made(Noise(), batch_size=4, sampler=RandomSampler(range(23), replacement=True, num_samples=40)),
    "weighted": made(Noise(), batch_size=4, sampler=WeightedRandomSampler([1.0] * 23, 12)),
    "keys": made(Keys(), batch_size=2, sampler=["a", "b", "c"]),
    "many at once": made(Many(), batch_size=4),
    "subset": made(Subset(Noise(), [3, 1, 4, 1, 5]), batch_size=2),
    "subset of many at once": made(Subset(Many(), [3, 1, 4, 1, 5]), batch_size=2),
    "collate_fn": made(Noise(), batch_size=4, collate_fn=datasets.collate_to_list),
    "a list": made([torch.tensor(1), torch.tensor(2), torch.tensor(3)], batch_size=2),  # type: ignore[arg-type]
    "empty": made(Noise(0), batch_size=4),
    "stream": made(Stream(), batch_size=4),
    "stream, drop_last": made(Stream(), batch_size=4, drop_last=True),
    "stream, one by one": made(Stream(), batch_size=None),
    "stream longer than told": made(ToldStream(), batch_size=4),
    "pin_memory without a device": made(Noise(), batch_size=4, pin_memory=True),
    "a loader within": made(Nested(), batch_size=2),
}
WITH_WORKERS: dict[str, dict[str, Any]] = {
    "fork 1": {"num_workers": 1},
    "fork 2": {"num_workers": 2},
    "persistent": {"num_workers": 2, "persistent_workers": True},
    "any order": {"num_workers": 1, "in_order": False},
    "far ahead": {"num_workers": 2, "prefetch_factor": 5, "worker_init_fn": datasets.seed_by_number},
}


def with_workers(make: Make, **arguments: Any) -> Make:
    """The same loader with workers."""

    def made_so() -> DataLoader[Any]:
        plain = make()
        shape: dict[str, Any] = {"collate_fn": plain.collate_fn, "pin_memory": plain.pin_memory}
        if isinstance(plain.dataset, Stream):
            shape |= {"batch_size": plain.batch_size, "drop_last": plain.drop_last}
        elif plain.batch_sampler is not None:
            shape["batch_sampler"] = plain.batch_sampler
        else:
            shape |= {"batch_size": None, "sampler": plain.sampler}
        return DataLoader(plain.dataset, generator=plain.generator, **shape, **arguments)

    return made_so


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("detail", ["batch", "stage"])
def test_without_workers_nothing_differs(name: str, detail: str, tmp_path: Path) -> None:
    both(MAKERS[name], tmp_path / "run", detail=detail)


@pytest.mark.parametrize(
    "how", ["fork 2", *(pytest.param(how, marks=pytest.mark.soak) for how in WITH_WORKERS if how != "fork 2")]
)
@pytest.mark.parametrize("name", MAKERS)
def test_with_forked_workers_nothing_differs(name: str, how: str, tmp_path: Path) -> None:
    both(with_workers(MAKERS[name], **WITH_WORKERS[how]), tmp_path / "run")


@pytest.mark.soak
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize(
    ("name", "more"),
    [("shuffled", {"persistent_workers": True}), ("stream", {"worker_init_fn": datasets.seed_by_number})],
)
def test_with_other_start_methods_nothing_differs(method: str, name: str, more: dict[str, Any], tmp_path: Path) -> None:
    arguments = {"num_workers": 2, "multiprocessing_context": method, **more}
    seen, trace = both(with_workers(MAKERS[name], **arguments), tmp_path / "run")
    assert all(seen.batches)
    assert sorted(lane.worker for lane in trace.lanes if lane.role == "worker") == [0, 1]


@pytest.mark.timeout(180)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    length=st.integers(1, 40),
    batch_size=st.one_of(st.none(), st.integers(1, 9)),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    workers=st.integers(0, 2),
    prefetch=st.integers(1, 4),
    persistent=st.booleans(),
    leave_after=st.one_of(st.none(), st.integers(1, 5)),
    detail=st.sampled_from(["batch", "sample", "stage"]),
)
def test_whatever_the_arguments_nothing_differs(
    length: int,
    batch_size: int | None,
    shuffle: bool,
    drop_last: bool,
    workers: int,
    prefetch: int,
    persistent: bool,
    leave_after: int | None,
    detail: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    assume(batch_size is not None or not drop_last)
    arguments: dict[str, Any] = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last}
    if workers:
        arguments |= {"num_workers": workers, "prefetch_factor": prefetch, "persistent_workers": persistent}
    directory = tmp_path_factory.mktemp("law") / "run"
    both(made(Noise(length), **arguments), directory, leave_after=leave_after, detail=detail)


FAILURES: dict[str, Make] = {
    "a sample raises": made(Failing(7, "raise"), batch_size=4),
    "a sample raises from another": made(Failing(7, "raise within"), batch_size=4),
    "a sample raises StopIteration": made(Failing(7, "stop"), batch_size=4),
    "collate raises": made(Noise(), batch_size=4, collate_fn=datasets.collate_and_fail),
    "the sampler raises": made(Noise(), batch_size=4, sampler=FailingSampler()),
    "samples do not fit": made([torch.zeros(1), torch.zeros(2)], batch_size=2),  # type: ignore[arg-type]
    "an index too far": made(Noise(), batch_size=2, sampler=["no", "index"]),
}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", FAILURES)
def test_failures_are_the_same_to_the_last_line_of_the_traceback(name: str, workers: int, tmp_path: Path) -> None:
    make = FAILURES[name]
    seen, _ = both(with_workers(make, num_workers=workers) if workers else make, tmp_path / "run", epochs=1)
    assert (seen.error is None) == (name == "a sample raises StopIteration"), "which torch takes for the epoch's end"


def test_a_worker_that_cannot_start_fails_the_same(tmp_path: Path) -> None:
    make = made(Noise(), batch_size=4, num_workers=2, worker_init_fn=datasets.fail_to_start)
    seen, _ = both(make, tmp_path / "run", epochs=1)
    assert seen.error[0] is datasets.BadSample


@pytest.mark.parametrize("act", ["die", "leave"])
def test_a_worker_that_dies_is_told_the_same(act: str, tmp_path: Path) -> None:
    # One batch at a time: a worker that dies takes the batches it has not yet handed over with it, or not.
    make = made(Failing(7, act), batch_size=4, num_workers=1, prefetch_factor=1)
    seen, _ = both(make, tmp_path / "run", epochs=1)
    assert [len(batches) for batches in seen.batches] == [1]
    assert seen.error[0] is RuntimeError


def test_a_loader_that_cannot_be_pickled_fails_the_same(tmp_path: Path) -> None:
    make = made(Noise(), batch_size=4, num_workers=1, multiprocessing_context="spawn", collate_fn=lambda batch: batch)
    seen, _ = both(make, tmp_path / "run", epochs=1)
    assert seen.error is not None


def test_too_many_workers_are_warned_of_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._utils, "cpu_count", lambda: 1)
    seen, _ = both(made(Noise(4), batch_size=2, num_workers=2), tmp_path / "run", epochs=1)
    assert len(seen.warned) >= 2


@pytest.mark.parametrize("workers", [0, 1])
def test_two_iterators_at_once_see_what_they_would_see(workers: int, tmp_path: Path) -> None:
    class Twice(DataLoader[Any]):
        def __iter__(self) -> Any:
            first = super().__iter__()
            second = super().__iter__()
            return iter([*zip(first, second, strict=True)])

    both(lambda: Twice(Noise(), batch_size=4, shuffle=True, num_workers=workers), tmp_path / "run")


def test_samplers_stay_the_users_own(tmp_path: Path) -> None:
    sampler = SequentialSampler(range(8))

    def make() -> DataLoader[Any]:
        return DataLoader(Noise(), batch_size=2, sampler=sampler)

    both(make, tmp_path / "run")
    assert vars(sampler).keys() == {"data_source"}


@pytest.mark.parametrize("workers", [0, 2])
def test_datapipes_are_the_same(workers: int, tmp_path: Path) -> None:
    pipes = pytest.importorskip("torch.utils.data.datapipes.iter")

    def make() -> DataLoader[Any]:
        pipe = pipes.IterableWrapper(list(range(20))).shuffle().map(datasets.double).sharding_filter()
        more: dict[str, Any] = {"persistent_workers": True} if workers else {}
        return DataLoader(pipe, batch_size=4, num_workers=workers, shuffle=True, **more)

    seen, _ = both(make, tmp_path / "run")
    assert seen.batches[0] != seen.batches[1]
