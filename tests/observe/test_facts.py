"""The facts about a loader that the linter reads: its indices, its sampler, its workers' random states and streams."""

from __future__ import annotations

import random
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, DistributedSampler

from loader_core.observe import observe
from loader_core.trace.facts import read_facts
from tests.observe.datasets import Noise, Stream
from tests.observe.experience import recorded

LENGTH, BATCH = 23, 4


def facts_of(loader: DataLoader[Any], directory: Path, *, epochs: int = 1) -> list[dict[str, Any]]:
    with recorded(directory) as recording:
        observe(loader, recording, detail="stage")
        for _ in range(epochs):
            for _ in loader:
                pass
    return read_facts(directory)


def test_the_indices_of_an_epoch_are_told(tmp_path: Path) -> None:
    loader = DataLoader(Noise(), batch_size=BATCH, shuffle=True, num_workers=1)
    facts = facts_of(loader, tmp_path / "run", epochs=2)
    first, second = [fact for fact in facts if fact["kind"] == "epoch"]
    for number, fact in enumerate((first, second)):
        assert (fact["epoch"], fact["drawn"], fact["distinct"], fact["complete"]) == (number, LENGTH, LENGTH, True)
        assert len(fact["first"]) == 8
    assert first["digest"] != second["digest"]
    same = facts_of(DataLoader(Noise(), sampler=[1, 1, 2]), tmp_path / "same", epochs=2)
    one, two = [fact for fact in same if fact["kind"] == "epoch"]
    assert (one["drawn"], one["distinct"], one["first"]) == (3, 2, [1, 1, 2])
    assert one["digest"] == two["digest"]


def test_the_dataset_and_its_sampler_are_told_once(tmp_path: Path) -> None:
    sampler = DistributedSampler(Noise(), num_replicas=2, rank=0)
    loader = DataLoader(Noise(), batch_size=BATCH, sampler=sampler, num_workers=1)
    facts = facts_of(loader, tmp_path / "run", epochs=2)
    [dataset] = [fact for fact in facts if fact["kind"] == "dataset"]
    assert dataset == {
        "kind": "dataset",
        "length": LENGTH,
        "type": "Noise",
        "iterable": False,
        "sampler": "DistributedSampler",
        "batch_size": BATCH,
        "drop_last": False,
        "num_workers": 1,
        "world_size": 2,
        "shuffle": True,
        "replacement": False,
        "weighted": False,
        "has_set_epoch": True,
    }
    [limits] = [fact for fact in facts if fact["kind"] == "limits"]
    assert limits["files"] > 0
    assert limits["memory_bytes"] > 0
    assert limits["shm_bytes"] > 0
    assert [fact for fact in facts if fact["kind"] == "set_epoch"] == []


def test_set_epoch_is_seen(tmp_path: Path) -> None:
    sampler = DistributedSampler(Noise(), num_replicas=2, rank=0)
    loader = DataLoader(Noise(), batch_size=BATCH, sampler=sampler)
    with recorded(tmp_path / "run") as recording:
        observe(loader, recording)
        for epoch in range(3):
            sampler.set_epoch(epoch)
            list(loader)
    told = [fact["epoch"] for fact in read_facts(tmp_path / "run") if fact["kind"] == "set_epoch"]
    assert told == [1, 2]


def test_random_states_of_workers_are_told_and_equal_ones_show(tmp_path: Path) -> None:
    def same_for_all(_: int) -> None:
        np.random.seed(0)

    loader = DataLoader(Noise(), batch_size=BATCH, num_workers=2, worker_init_fn=same_for_all)
    states = [fact for fact in facts_of(loader, tmp_path / "run") if fact["kind"] == "worker_seed"]
    started = {fact["worker"]: fact for fact in states if fact["when"] == "start"}
    assert started[0]["numpy"] == started[1]["numpy"]
    assert started[0]["torch"] != started[1]["torch"]
    assert started[0]["python"] != started[1]["python"]
    later = {fact["worker"]: fact for fact in states if fact["when"] == "first_batch"}
    assert later[0]["torch"] != started[0]["torch"]


def test_generators_of_the_dataset_itself_are_told(tmp_path: Path) -> None:
    dataset = Noise()
    dataset.rng = np.random.default_rng(0)  # type: ignore[attr-defined]
    dataset.other = random.Random(1)  # type: ignore[attr-defined]
    loader = DataLoader(dataset, batch_size=BATCH, num_workers=2)
    states = [fact for fact in facts_of(loader, tmp_path / "run") if fact["kind"] == "worker_seed"]
    started = {fact["worker"]: fact["own"] for fact in states if fact["when"] == "start"}
    assert started[0] == started[1]


def test_streams_are_told_by_their_first_samples(tmp_path: Path) -> None:
    class Repeated(Stream):
        def __iter__(self) -> Iterator[torch.Tensor]:
            return iter([torch.tensor([float(number)]) for number in range(12)])

    facts = facts_of(DataLoader(Repeated(), batch_size=BATCH, num_workers=2), tmp_path / "run")
    one, two = (fact["first"] for fact in facts if fact["kind"] == "stream")
    assert one == two
    assert len(one) == BATCH
    apart = facts_of(DataLoader(Stream(), batch_size=BATCH, num_workers=2), tmp_path / "apart")
    one, two = (fact["first"] for fact in apart if fact["kind"] == "stream")
    assert one != two


class Large(Noise):
    """Each sample needs 40 MB for a moment, which an allocator never keeps."""

    def __getitem__(self, index: int) -> Any:
        return float(np.ones(40 << 20, np.uint8)[::4096].sum())


def test_memory_that_comes_and_goes_is_counted(tmp_path: Path) -> None:
    facts = facts_of(DataLoader(Large(24), batch_size=4, num_workers=2), tmp_path / "run")
    latest = {fact["worker"]: fact for fact in facts if fact["kind"] == "page_faults"}
    assert {worker: fact["batches"] for worker, fact in latest.items()} == {0: 2, 1: 2}, "without the first of each"
    for fact in latest.values():
        assert fact["faults"] > 2 * 4 * (40 << 20) / resource.getpagesize() / 600, "huge pages are of 512 small ones"
        assert 0 < fact["system_ns"] <= fact["cpu_ns"]
