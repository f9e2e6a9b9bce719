"""Going on in mid-epoch: what was delivered and what comes after the resume is each sample exactly once."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, IterableDataset, RandomSampler, Sampler, get_worker_info

from loader_core.engine import DataLoader, PermutationSampler
from loader_core.errors import SettingsError
from tests.engine.datasets import Numbers, Stream

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """As a checkpoint does it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True)
    return loaded


def samples(batches: Any) -> list[int]:
    return [int(index) for batch in batches for index in (batch[1] if isinstance(batch, list | tuple) else batch)]


class Stateful(IterableDataset[tuple[int, int]]):
    """A stream whose iterator knows where it stands."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        worker = get_worker_info()
        return Standing(0, 1) if worker is None else Standing(worker.id, worker.num_workers)


class Standing:
    def __init__(self, at: int, step: int) -> None:
        self.at, self.step = at, step

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return self

    def __next__(self) -> tuple[int, int]:
        if self.at >= 31:
            raise StopIteration
        self.at += self.step
        return 0, self.at - self.step

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.at = state["at"]


WORKERS = {"inline": {}, "threads": {"num_workers": 2, "worker_method": "thread"}, "processes": {"num_workers": 2}}


@pytest.mark.parametrize("before", WORKERS)
@pytest.mark.parametrize("after", WORKERS)
@pytest.mark.parametrize("shuffle", ["no", "seeded", "default"])
def test_map_style_with_other_workers_on_resume(before: str, after: str, shuffle: str) -> None:
    def loader(workers: str) -> DataLoader[Any]:
        generator = torch.Generator().manual_seed(4) if shuffle == "seeded" else None
        return DataLoader(Numbers(43), 4, shuffle=shuffle != "no", generator=generator, **WORKERS[workers])

    torch.manual_seed(1)
    whole = loader(before)
    expected = [samples(whole), samples(whole)]
    torch.manual_seed(1)
    first = loader(before)
    seen = samples(islice(first, 5))
    state = through_a_file(first.state_dict())
    torch.manual_seed(99)  # another process has another history
    second = loader(after)
    second.load_state_dict(state)
    assert seen + samples(second) == expected[0]
    assert second.epoch == 1
    if shuffle != "default":
        assert samples(second) == expected[1]


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("dataset", [Stream, Stateful])
@pytest.mark.parametrize("taken", [0, 1, 3, 6])
def test_streams_go_on_behind_what_was_delivered(workers: str, dataset: Any, taken: int) -> None:
    everything = sorted(samples(DataLoader(dataset(), 4, **WORKERS[workers])))
    first = DataLoader(dataset(), 4, **WORKERS[workers])
    batches = iter(first)
    seen = samples(islice(batches, taken))
    state = through_a_file(first.state_dict())
    del batches
    second = DataLoader(dataset(), 4, **WORKERS[workers])
    second.load_state_dict(state)
    assert sorted(seen + samples(second)) == everything


@settings(max_examples=25)
@given(
    size=st.integers(1, 40),
    batch=st.integers(1, 7),
    taken=st.integers(0, 12),
    in_order=st.booleans(),
    again=st.integers(0, 5),
)
def test_exactly_once_however_often_it_is_resumed(
    size: int, batch: int, taken: int, in_order: bool, again: int
) -> None:
    def loader() -> DataLoader[Any]:
        return DataLoader(
            Numbers(size), batch, sampler=PermutationSampler(size, 5), num_workers=2, worker_method="thread",
            in_order=in_order,
        )  # fmt: skip

    seen: list[int] = []
    state: dict[str, Any] | None = None
    for count in (taken, again, 1000):
        current = loader()
        if state is not None:
            current.load_state_dict(state)
        batches = iter(current)
        seen += samples(islice(batches, count))
        state = current.state_dict()
        if len(seen) == size:
            break
        del batches
    assert sorted(seen) == list(range(size))


def test_a_persistent_loader_resumes_in_the_epoch_it_was_told() -> None:
    def loader() -> DataLoader[Any]:
        return DataLoader(
            Numbers(20), 4, shuffle=True, generator=torch.Generator().manual_seed(2), num_workers=2,
            persistent_workers=True,
        )  # fmt: skip

    whole = loader()
    epochs = [samples(whole) for _ in range(3)]
    first = loader()
    list(first)
    seen = samples(islice(first, 2))
    second = loader()
    second.load_state_dict(first.state_dict())
    assert seen + samples(second) == epochs[1]
    assert samples(second) == epochs[2]


def test_batches_on_their_way_to_a_device_count_when_they_are_handed_over() -> None:
    first = DataLoader(Numbers(40), 4, num_workers=2, device="simulated")
    seen = samples(islice(first, 3))
    second = DataLoader(Numbers(40), 4)
    second.load_state_dict(first.state_dict())
    assert seen + samples(second) == list(range(40))


def test_the_callers_random_numbers_are_not_touched() -> None:
    def loader() -> DataLoader[Any]:
        return DataLoader(Numbers(40), 4, shuffle=True, generator=torch.Generator().manual_seed(1))

    first = loader()
    next(iter(first))
    second = loader()
    second.load_state_dict(first.state_dict())
    torch.manual_seed(8)
    before = torch.get_rng_state()
    next(iter(second))
    assert torch.equal(torch.get_rng_state(), before)


def test_after_a_crash_of_the_process(tmp_path: Path) -> None:
    script = f"""
import os, torch
from loader_core import DataLoader
from tests.engine.datasets import Numbers
loader = DataLoader(Numbers(40), 4, shuffle=True, generator=torch.Generator().manual_seed(3), num_workers=2)
seen = []
for number, batch in enumerate(loader):
    seen += batch.tolist()
    torch.save((seen, loader.state_dict()), {str(tmp_path / "checkpoint")!r})
    if number == 4:
        os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=50).returncode == -9
    seen, state = torch.load(tmp_path / "checkpoint", weights_only=True)
    loader = DataLoader(Numbers(40), 4, shuffle=True, generator=torch.Generator().manual_seed(99))
    loader.load_state_dict(state)
    assert len(seen) == 20
    assert sorted(seen + samples(loader)) == list(range(40))


@pytest.mark.parametrize("workers", WORKERS)
def test_a_batch_samplers_own_generator_is_remembered(workers: str) -> None:
    def loader(seed: int) -> DataLoader[Any]:
        drawn = RandomSampler(range(30), generator=torch.Generator().manual_seed(seed))
        return DataLoader(Numbers(30), batch_sampler=BatchSampler(drawn, 4, drop_last=False), **WORKERS[workers])

    first = loader(1)
    seen = samples(islice(first, 3))
    second = loader(2)
    second.load_state_dict(through_a_file(first.state_dict()))
    assert sorted(seen + samples(second)) == list(range(30))


class Shuffled(Sampler[int]):
    """A sampler of one's own, with the random numbers of Python and of numpy."""

    def __len__(self) -> int:
        return 30

    def __iter__(self) -> Iterator[int]:
        order = list(range(30))
        random.shuffle(order)
        np.random.shuffle(order)
        return iter(order)


@pytest.mark.parametrize("workers", WORKERS)
def test_a_sampler_of_ones_own_draws_the_same_again(workers: str) -> None:
    first = DataLoader(Numbers(30), 4, sampler=Shuffled(), **WORKERS[workers])
    seen = samples(islice(first, 3))
    state = through_a_file(first.state_dict())
    random.seed(8)
    np.random.seed(8)
    second = DataLoader(Numbers(30), 4, sampler=Shuffled())
    second.load_state_dict(state)
    seen += samples(islice(second, 1))
    state = through_a_file(second.state_dict())
    random.seed(9)
    np.random.seed(9)
    third = DataLoader(Numbers(30), 4, sampler=Shuffled(), **WORKERS[workers])
    third.load_state_dict(state)
    assert sorted(seen + samples(third)) == list(range(30))


class Endless(Numbers):
    def __len__(self) -> int:
        return 10**12


def test_a_trillion_indices_are_resumed_without_drawing_those_before() -> None:
    def loader() -> DataLoader[Any]:
        return DataLoader(Endless(), 256, sampler=PermutationSampler(10**12, 3))

    first = loader()
    next(iter(first))
    state = first.state_dict()
    state["position"]["done"] = 3 * 10**9
    second = loader()
    second.load_state_dict(state)
    expected = next(PermutationSampler(10**12, 3).runs(3 * 10**9 * 256))[:256]
    assert next(iter(second)).tolist() == expected.tolist()


@pytest.mark.parametrize("taken", range(1, 4))
def test_what_is_still_on_its_way_to_a_device_at_the_end_is_not_lost(taken: int) -> None:
    first = DataLoader(Numbers(12), 4, device="simulated")
    seen = samples(islice(first, taken))
    second = DataLoader(Numbers(12), 4)
    second.load_state_dict(first.state_dict())
    assert seen + samples(second) == list(range(12))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"batch_size": 5}, "counts batches of 4, and the loader's batch_size is 5"),
        ({"batch_size": 4, "shuffle": True}, "of a SequentialSampler, and this loader draws them by a RandomSampler"),
        ({"batch_size": 4, "generator": torch.Generator()}, "with 1 random generators, and this loader has 2"),
    ],
)
def test_a_state_of_another_kind_of_loader_is_refused(other: dict[str, Any], message: str) -> None:
    state = DataLoader(Numbers(), 4).state_dict()
    with pytest.raises(SettingsError, match=message):
        DataLoader(Numbers(), **other).load_state_dict(state)


def test_a_stream_resumes_with_as_many_workers() -> None:
    first = DataLoader(Stream(), 4, num_workers=2)
    batches = iter(first)
    next(batches)
    next(batches)
    with pytest.raises(SettingsError, match="resumes with the same number of workers"):
        DataLoader(Stream(), 4).load_state_dict(first.state_dict())


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(SettingsError, match="this state has version 7; this loader reads version 2"):
        DataLoader(Numbers(), 4).load_state_dict({"version": 7})
