"""Bad samples and dying workers, and what a loader can do about them."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset

from loader_core.engine import DataLoader, PackedList, PermutationSampler
from loader_core.errors import QuarantineFull, SettingsError, WorkerDied
from loader_core.trace import Kind, Recording, Trace
from tests.engine.datasets import Numbers, Stream

POOLS: dict[str, dict[str, Any]] = {
    "inline": {},
    "thread": {"num_workers": 2, "worker_method": "thread"},
    "process": {"num_workers": 2},
}


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(POOLS[request.param])


class Rotten(Dataset[int]):
    """Every multiple of 5 is broken, and batches 12..15 altogether."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> int:
        if index % 5 == 0 or 12 <= index < 16:
            raise ValueError(f"broken file {index}.jpg")
        return index


class RottenBatches(Rotten):
    def __getitems__(self, indices: list[int]) -> list[int]:
        return [self[index] for index in indices]


GOOD = [index for index in range(40) if index % 5 and not 12 <= index < 16]


@pytest.mark.parametrize("dataset", [Rotten(), RottenBatches()])
def test_bad_samples_are_skipped_and_named(pool: dict[str, Any], dataset: Any) -> None:
    loader = DataLoader(dataset, 4, on_error="skip", **pool)
    assert torch.cat(list(loader)).tolist() == GOOD
    assert torch.cat(list(loader)).tolist() == GOOD
    quarantined = {bad.index: (bad.error, bad.message, count) for bad, count in loader.quarantine}
    assert sorted(quarantined) == sorted(set(range(40)) - set(GOOD))
    assert quarantined[5] == ("ValueError", "broken file 5.jpg", 2)


@pytest.mark.parametrize("sampler", [None, [[1, 2], [5], [7]]], ids=["indices", "lists"])
def test_bad_samples_are_skipped_without_automatic_batches(pool: dict[str, Any], sampler: Any) -> None:
    class OfLists(Rotten):
        def __getitem__(self, index: Any) -> Any:
            return (
                super().__getitem__(index) if sampler is None else [super(OfLists, self).__getitem__(i) for i in index]
            )

    loader = DataLoader(OfLists(), batch_size=None, sampler=sampler, on_error="skip", **pool)
    assert list(loader) == (GOOD if sampler is None else [[1, 2], [7]])
    assert [bad.index for bad, _ in loader.quarantine][:1] == ([0] if sampler is None else [[5]])


def test_past_the_budget_it_raises(pool: dict[str, Any]) -> None:
    loader = DataLoader(Rotten(), 4, on_error="skip", error_budget=2, **pool)
    with pytest.raises(
        QuarantineFull, match=r"3 samples could not be had, more than error_budget=2.*broken file 10.jpg"
    ):
        list(loader)


@pytest.mark.parametrize("argument", [{"on_error": "skip"}, {"on_worker_death": "restart"}])
def test_streams_cannot_be_asked_again(argument: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="need a map-style dataset"):
        DataLoader(Stream(), 4, **argument)


def test_wrong_choices_are_named() -> None:
    with pytest.raises(SettingsError, match="on_error must be 'raise' or 'skip', not 'ignore'"):
        DataLoader(Numbers(), on_error="ignore")  # type: ignore[arg-type]


class Deadly(Numbers):
    """Kills its worker at one sample, the first time: a file remembers."""

    def __init__(self, folder: Path, at: set[int], times: int = 1) -> None:
        super().__init__(60)
        self.folder, self.deadly, self.times = folder, at, times

    def __getitem__(self, index: int) -> int:
        if index in self.deadly:
            killed = len(list(self.folder.glob(f"{index}-*")))
            if killed < self.times:
                (self.folder / f"{index}-{killed}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return index


@pytest.mark.parametrize("in_order", [True, False])
def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(tmp_path: Path, in_order: bool) -> None:
    loader = DataLoader(
        Deadly(tmp_path, {9, 31, 58}), 4, num_workers=2, on_worker_death="restart", in_order=in_order
    )  # fmt: skip
    seen = torch.cat([batch.clone() for batch in loader]).tolist()
    assert (seen if in_order else sorted(seen)) == list(range(60))
    assert len(list(tmp_path.iterdir())) == 3


def test_a_batch_that_kills_again_is_the_cause(tmp_path: Path) -> None:
    loader = DataLoader(Deadly(tmp_path, {9}, times=5), 4, num_workers=2, on_worker_death="restart")
    with pytest.raises(
        WorkerDied, match=r"making batch 2 \(samples 8, 9, 10, 11\) \(the same batch has ended 3 workers"
    ):
        list(loader)


def test_a_death_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "dead").mkdir()
    with Recording.create(tmp_path / "run", run_id="run") as recording:
        dataset = Deadly(tmp_path / "dead", {9})
        for _ in DataLoader(dataset, 4, num_workers=2, on_worker_death="restart", recording=recording):
            pass
    rows = Trace.open(tmp_path / "run").window(0, 2**62)
    died = rows[rows["kind"] == Kind.DIED]
    assert died["value"].tolist() == [-9]
    assert died["batch"].tolist() == [2]


def test_a_certificate_says_how_much_memory_the_worker_had_held() -> None:
    script = (
        "import os, signal\n"
        "from loader_core import DataLoader\n"
        "class Large:\n"
        "    def __len__(self): return 9\n"
        "    def __getitem__(self, index):\n"
        "        held = b'1' * (300 << 20)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "try: next(iter(DataLoader(Large(), num_workers=1)))\n"
        "except RuntimeError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=50).stdout
    held = re.search(r"batch 0 \(samples 0\)\. It had held up to ([\d,]+) MiB\. Nobody but the system", said)
    assert held, said
    assert 300 < int(held[1].replace(",", "")) < 2000


class Greedy(Numbers):
    """At sample 9 its worker enters a control group, and takes more memory than that allows."""

    def __init__(self, group: Path) -> None:
        super().__init__(20)
        self.group = group

    def __getitem__(self, index: int) -> int:
        if index == 9:
            (self.group / "cgroup.procs").write_text(str(os.getpid()))
            return len(b"1" * (400 << 20))
        return index


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group whose processes may have 100 MiB."""
    for home, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):  # versions 1 and 2
        group = Path("/sys/fs/cgroup") / home / f"loaderscope-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(100 << 20))
            yield group
            return
        except OSError:
            continue
        finally:
            group.rmdir()
    pytest.skip("needs the right to make a control group that limits memory: root, and not in every container")


def test_a_worker_that_the_kernel_ends_for_want_of_memory_is_told_so(small_group: Path) -> None:
    with pytest.raises(WorkerDied) as caught:
        list(DataLoader(Greedy(small_group), 4, num_workers=1))
    text = str(caught.value)
    assert "worker 0 was killed by SIGKILL while making batch 2 (samples 8, 9, 10, 11)" in text
    assert "the kernel has killed for want of memory since this loader began, so out of memory" in text


@settings(max_examples=12)
@given(kills=st.lists(st.lists(st.integers(0, 14), max_size=2), min_size=2, max_size=2), in_order=st.booleans())
def test_random_kills_lose_and_repeat_nothing(kills: list[list[int]], in_order: bool) -> None:
    loader = DataLoader(
        Numbers(60), 4, num_workers=2, on_worker_death="restart", in_order=in_order, persistent_workers=True
    )  # fmt: skip
    seen: list[int] = []
    batches: Any = iter(loader)
    for number, batch in enumerate(batches):
        seen += batch.tolist()
        for worker, whens in enumerate(kills):  # at most twice each: a third death at the same batch is the batch's
            if number in whens:
                os.kill(batches.pids()[worker], signal.SIGKILL)
    assert sorted(seen) == list(range(60))
    del batches, loader


def test_a_worker_that_dies_between_two_epochs_is_replaced() -> None:
    loader = DataLoader(Numbers(40), 4, num_workers=2, on_worker_death="restart", persistent_workers=True)
    for _ in range(3):
        batches: Any = iter(loader)
        next(batches)
        os.kill(batches.pids()[1], signal.SIGKILL)  # it takes with it that a new epoch shall begin
    assert torch.cat([batch.clone() for batch in loader]).tolist() == list(range(40))


def test_a_plan_that_was_thrown_away_is_told_again() -> None:
    loader = DataLoader(Numbers(40), 4, num_workers=2, persistent_workers=True)
    for _ in range(3):
        for batch in loader:
            assert batch.tolist() == [0, 1, 2, 3]
            break  # the second worker's first batch, which tells of its plan, is never looked at
    assert torch.cat([batch.clone() for batch in loader]).tolist() == list(range(40))


def test_too_few_descriptors_are_said_with_the_numbers() -> None:
    script = (
        "import resource\n"
        "from loader_core import DataLoader\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "try: iter(DataLoader(range(9), num_workers=2, prefetch_factor=8))\n"
        "except RuntimeError as error: print(type(error).__name__, error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=50).stdout
    assert said.startswith(
        "SharedMemoryError this loader needs 29 file descriptors (19 slots, 5 for each of 2 workers)"
    )
    assert "of 40 are in use" in said
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 40


# --- sampler and packed list ------------------------------------------------------------------------------------------


@given(n=st.integers(1, 5000), seed=st.integers(0, 2**63), epoch=st.integers(0, 100))
def test_a_permutation_has_each_index_once(n: int, seed: int, epoch: int) -> None:
    sampler = PermutationSampler(n, seed)
    sampler.set_epoch(epoch)
    assert sorted(sampler) == list(range(n))


@given(n=st.integers(1, 300), world_size=st.integers(1, 7))
def test_ranks_share_the_permutation_evenly(n: int, world_size: int) -> None:
    parts = [list(PermutationSampler(n, 3, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert {len(part) for part in parts} == {-(-n // world_size)}
    assert set().union(*parts) == set(range(n))


def test_a_trillion_indices_begin_at_once() -> None:
    first = [index for index, _ in zip(PermutationSampler(10**12, 1), range(5000), strict=False)]
    assert len(set(first)) == 5000
    assert 0.45e12 < np.mean(first) < 0.55e12


def test_the_permutation_is_uniform() -> None:
    # Each of the 24 orders of 4, and each (position, value) pair of 10, as often as chance has it: chi-squared.
    orders = np.zeros(256, int)
    pairs = np.zeros((10, 10), int)
    draws = 6000
    for seed in range(draws):
        a, b, c, _ = PermutationSampler(4, seed)
        orders[a * 64 + b * 16 + c * 4] += 1
        pairs[np.arange(10), list(PermutationSampler(10, seed))] += 1
    orders = orders[orders > 0]
    assert len(orders) == 24
    assert ((orders - draws / 24) ** 2 / (draws / 24)).sum() < 49.7  # 23 degrees of freedom, p = 0.001
    assert ((pairs - draws / 10) ** 2 / (draws / 10)).sum() < 126.1  # 81 degrees of freedom, p = 0.001


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    sampler = PermutationSampler(100, 1)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(PermutationSampler(100, 2)) != first


@pytest.mark.parametrize(("wrong", "message"), [((0,), "n must be 1 to 2"), ((5, 0, 3, 3), "rank must be 0 to")])
def test_a_wrong_permutation_is_named(wrong: tuple[int, ...], message: str) -> None:
    n, seed, rank, world_size = (*wrong, 0, 0, 1)[:4] if len(wrong) == 1 else wrong
    with pytest.raises(SettingsError, match=message):
        PermutationSampler(n, seed, rank=rank, world_size=world_size)


@given(st.lists(st.one_of(st.integers(), st.text(), st.dictionaries(st.text(), st.integers())), max_size=20))
def test_a_packed_list_holds_what_it_was_given(objects: list[Any]) -> None:
    packed = PackedList(objects)
    assert list(packed) == objects
    assert packed[-1:] == objects[-1:]
    with pytest.raises(IndexError, match=f"outside a PackedList of {len(objects)} objects"):
        packed[len(objects)]


def test_a_packed_list_is_a_dataset() -> None:
    packed = PackedList({"x": index} for index in range(20))
    batches = list(DataLoader(packed, 5, num_workers=2))  # type: ignore[arg-type]
    assert [batch["x"].tolist() for batch in batches] == [list(range(n, n + 5)) for n in range(0, 20, 5)]
