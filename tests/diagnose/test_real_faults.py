"""Loaders of torch with a fault of each kind, recorded as they run; and such without it, which yield nothing.

Nothing here is simulated: torch's own DataLoader with real processes, seen into by `observe`.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset, Sampler, get_worker_info

from loader_core.diagnose.diagnosis import Diagnosis, examine
from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.memory import Limits
from loader_core.observe import observe
from loader_core.trace import Detail, Recording, Trace, process_meter, stage
from loader_core.trace.facts import read_facts

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # more workers than CPUs

STEP_S = 0.002


class Samples(Dataset[torch.Tensor]):
    """Small samples, each with its index."""

    def __init__(self, length: int = 64) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.full((16,), float(index))


class OneSlowFile(Samples):
    """One sample in 32 takes 150 ms, in the stage that decodes it."""

    def __getitem__(self, index: int) -> torch.Tensor:
        with stage("read"):
            time.sleep(0.0005)
        with stage("decode"):
            time.sleep(0.15 if index % 32 == 9 else 0.0005)
        return super().__getitem__(index)


class Augmented(Samples):
    """Adds noise from numpy's global stream."""

    def __getitem__(self, index: int) -> torch.Tensor:
        return super().__getitem__(index) + torch.from_numpy(np.random.random(16))


class OwnGenerator(Samples):
    """Adds noise from a generator made once, which every worker gets a copy of."""

    def __init__(self) -> None:
        super().__init__()
        self.random = np.random.default_rng(0)

    def __getitem__(self, index: int) -> torch.Tensor:
        return super().__getitem__(index) + torch.from_numpy(self.random.random(16))


class Leaky(Samples):
    """Keeps what it has read."""

    def __init__(self) -> None:
        super().__init__(600)
        self.kept: list[np.ndarray[Any, Any]] = []

    def __getitem__(self, index: int) -> torch.Tensor:
        self.kept.append(np.ones(1 << 16))  # 512 KiB, of which each page is written
        time.sleep(0.015)
        return super().__getitem__(index)


class Tight(Leaky):
    """The same without keeping."""

    def __getitem__(self, index: int) -> torch.Tensor:
        sample = super().__getitem__(index)
        self.kept.clear()
        return sample


class Stream(IterableDataset[torch.Tensor]):
    """`shards` shards of 16 samples. Divided among workers, or not."""

    def __init__(self, shards: int, *, divided: bool) -> None:
        self.shards = shards
        self.divided = divided

    def __iter__(self) -> Iterator[torch.Tensor]:
        info = get_worker_info()
        for shard in range(self.shards):
            if self.divided and info is not None and shard % info.num_workers != info.id:
                continue
            yield from (torch.full((4,), float(shard * 16 + i)) for i in range(16))


class Pieces(Samples):
    """Each sample is made of many tiny tensors."""

    def __init__(self, pieces: int, length: int = 16) -> None:
        super().__init__(length)
        self.pieces = pieces

    def __getitem__(self, index: int) -> Any:
        return [torch.tensor([float(index)]) for _ in range(self.pieces)]


class Forgetful(Sampler[int]):
    """Draws the first half twice, and the other half never."""

    def __len__(self) -> int:
        return 64

    def __iter__(self) -> Iterator[int]:
        return iter([*range(32), *range(32)])


def seed_alike(_: int) -> None:
    np.random.seed(42)


def as_pieces(batch: list[Any]) -> list[Any]:
    return batch


Make = Callable[[], DataLoader[Any]]


def recorded(
    loader: DataLoader[Any], directory: Path, *, epochs: int = 1, before: Callable[[int], None] | None = None
) -> Diagnosis:
    """Train with the loader, and read what was recorded."""
    with Recording.create(directory, run_id="run") as recording:
        recording.control.detail = Detail.STAGE
        assert observe(loader, recording) is loader
        for epoch in range(epochs):
            if before is not None:
                before(epoch)
            for _ in loader:
                time.sleep(STEP_S)
    del loader
    trace = Trace.open(directory)
    rows = trace.window(0, trace.duration_ns)
    excerpt = Excerpt(rows, 0, trace.duration_ns, trace.lanes, stages=trace.stages, places=trace.places)
    return examine(excerpt, Facts.of(read_facts(directory)), Limits(memory_available_bytes=1 << 34, files=65_536))


def codes(diagnosis: Diagnosis) -> set[str]:
    return {finding.code for finding in diagnosis.findings}


def test_a_slow_file_is_the_cause_of_the_longest_stalls(tmp_path: Path) -> None:
    loader = DataLoader(OneSlowFile(), batch_size=4, num_workers=2)
    diagnosis = recorded(loader, tmp_path / "run", epochs=2)
    slow = [stall for stall in diagnosis.stalls if stall.batch == 10]  # that of sample 41, of either epoch
    assert len(slow) == 2
    for stall in slow:
        assert (stall.cause, stall.worker, stall.start_up) == ("fetch", 0, False), stall.sentence.en
        assert stall.item is not None
        assert stall.item.sample == 41
        assert stall.stage is not None
        assert (stall.stage.name, stall.stage.sample) == ("decode", 41)
        assert "sample 41 alone" in stall.sentence.en
    assert diagnosis.samples is not None
    assert {slow.sample for slow in diagnosis.samples.slowest[:2]} == {9, 41}
    assert diagnosis.samples.slowest[0].stages[0].name == "decode"
    assert [part.name for part in diagnosis.stages][:2] == ["decode", "read"]
    assert diagnosis.budget is not None
    assert diagnosis.budget.head_of_line is not None
    assert diagnosis.budget.head_of_line.hol_ns > 0
    assert codes(diagnosis) == set()


def test_what_the_loop_did_is_the_budget_of_its_steps(tmp_path: Path) -> None:
    diagnosis = recorded(DataLoader(Samples(), batch_size=4, num_workers=2), tmp_path / "run", epochs=2)
    budget = diagnosis.budget
    assert budget is not None
    assert budget.steps == 32
    assert sum(part.total_ns for part in budget.parts) == budget.elapsed_ns
    assert sum(phase.total_ns for phase in budget.waiting) == budget.parts[0].total_ns
    assert budget.step_median_ns >= STEP_S * 1e9


def test_numpy_seeded_alike_in_each_worker(tmp_path: Path) -> None:
    loader = DataLoader(Augmented(), batch_size=4, num_workers=3, worker_init_fn=seed_alike)
    (finding,) = recorded(loader, tmp_path / "run").findings
    assert (finding.code, finding.level, finding.workers) == ("SAME_RANDOM_STREAM", "error", [0, 1, 2])
    assert "random numbers from numpy" in finding.sentence.en


def test_a_generator_made_in_init(tmp_path: Path) -> None:
    (finding,) = recorded(DataLoader(OwnGenerator(), batch_size=4, num_workers=2), tmp_path / "run").findings
    assert (finding.code, finding.level) == ("SAME_RANDOM_STREAM", "error")
    assert "the dataset's own generator" in finding.sentence.en


def test_a_stream_that_every_worker_repeats(tmp_path: Path) -> None:
    loader = DataLoader(Stream(4, divided=False), batch_size=4, num_workers=2)
    (finding,) = recorded(loader, tmp_path / "run").findings
    assert (finding.code, finding.level, finding.workers) == ("REPEATED_STREAM", "error", [0, 1])


def test_more_workers_than_shards(tmp_path: Path) -> None:
    loader = DataLoader(Stream(2, divided=True), batch_size=4, num_workers=4)
    (finding,) = recorded(loader, tmp_path / "run").findings
    assert (finding.code, finding.level, finding.workers) == ("IDLE_WORKER", "warning", [2, 3])
    assert "num_workers=2" in finding.advice.en


def with_sampler(told: bool) -> tuple[DataLoader[Any], Callable[[int], None]]:
    dataset = Samples(64)
    sampler: DistributedSampler[Any] = DistributedSampler(dataset, num_replicas=2, rank=0, shuffle=True)

    def before(epoch: int) -> None:
        if told:
            sampler.set_epoch(epoch)

    return DataLoader(dataset, batch_size=4, sampler=sampler, num_workers=2), before


def test_a_forgotten_set_epoch(tmp_path: Path) -> None:
    loader, before = with_sampler(told=False)
    (finding,) = recorded(loader, tmp_path / "run", epochs=3, before=before).findings
    assert (finding.code, finding.level, finding.epoch) == ("NO_SET_EPOCH", "error", 1)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Room for the descriptors of 4,000 tensors: each one takes up two in the worker that sends it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 16_384:
        pytest.skip(f"this process may have {hard} descriptors at most: raise ulimit -Hn to 16384")
    resource.setrlimit(resource.RLIMIT_NOFILE, (16_384, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_thousands_of_tiny_tensors_in_a_batch(tmp_path: Path) -> None:
    loader = DataLoader(Pieces(2_000, length=4), batch_size=2, num_workers=1, collate_fn=as_pieces)
    (finding,) = recorded(loader, tmp_path / "run").findings
    assert (finding.code, finding.level) == ("MANY_TENSORS", "warning")
    assert finding.sentence.en.startswith("Each batch is made of at least 2,048 tensors: each travels on its own")


def test_a_sampler_that_draws_half_of_the_dataset_twice(tmp_path: Path) -> None:
    loader = DataLoader(Samples(), batch_size=4, sampler=Forgetful(), num_workers=2)
    (finding,) = recorded(loader, tmp_path / "run").findings
    assert (finding.code, finding.level) == ("DUPLICATED_INDEX", "warning")


@pytest.mark.parametrize(("dataset", "trend"), [(Leaky(), "growing"), (Tight(), "steady")], ids=["leaky", "tight"])
def test_a_dataset_that_keeps_what_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Samples, trend: str
) -> None:
    monkeypatch.setattr(process_meter, "SMALLEST_GAP_NS", 50_000_000)
    monkeypatch.setattr(process_meter, "COST_SHARE", 1.0)
    loader = DataLoader(dataset, batch_size=2, num_workers=2, multiprocessing_context="fork")
    diagnosis = recorded(loader, tmp_path / "run")
    workers = [found for found in diagnosis.memory.memory if found.worker is not None]
    assert [found.trend for found in workers] == [trend, trend]
    if trend == "steady":
        assert codes(diagnosis) == set()
        return
    assert codes(diagnosis) == {"MEMORY_GROWTH"}
    rate = 600 * (1 << 19) / (diagnosis.end_ns / 1e9)
    assert diagnosis.memory.memory_forecast is not None
    assert diagnosis.memory.memory_forecast.per_s == pytest.approx(rate, rel=0.5)
    assert diagnosis.findings[0].workers == [0, 1]


HEALTHY: dict[str, tuple[Make, int]] = {
    "shuffled": (lambda: DataLoader(Samples(), batch_size=4, shuffle=True, num_workers=2), 3),
    "in the main process": (lambda: DataLoader(Samples(), batch_size=4, shuffle=True), 3),
    "persistent": (lambda: DataLoader(Augmented(), batch_size=4, num_workers=3, persistent_workers=True), 3),
    "divided stream": (lambda: DataLoader(Stream(4, divided=True), batch_size=4, num_workers=4), 2),
    "stream in the main process": (lambda: DataLoader(Stream(4, divided=False), batch_size=4), 2),
    "augmented": (lambda: DataLoader(Augmented(), batch_size=4, num_workers=2, shuffle=True, drop_last=True), 2),
    "packed": (lambda: DataLoader(Pieces(4), batch_size=4, num_workers=2), 2),
    "out of order": (lambda: DataLoader(Samples(), batch_size=4, num_workers=2, in_order=False), 2),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_loaders_yield_no_finding(tmp_path: Path, name: str) -> None:
    make, epochs = HEALTHY[name]
    diagnosis = recorded(make(), tmp_path / "run", epochs=epochs)
    assert diagnosis.findings == [], [finding.sentence.en for finding in diagnosis.findings]


def test_a_distributed_sampler_that_is_told_yields_no_finding(tmp_path: Path) -> None:
    loader, before = with_sampler(told=True)
    assert recorded(loader, tmp_path / "run", epochs=3, before=before).findings == []
