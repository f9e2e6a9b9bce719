"""What an observer measures beside time: digests, memory, descriptors, and what each worker is at."""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import random
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from loader_core.observe import observe
from loader_core.observe.digests import digest, generator_state, random_states, sample_digest
from loader_core.observe.linting import MAX_INDICES, IndexTally
from loader_core.observe.progress import SAMPLE, Progress
from loader_core.trace import NOT_MEASURED, Kind, Recorder, Role, Trace, process_meter
from loader_core.trace.process_meter import ProcessMeter, limits, open_files, unique_bytes
from tests.observe.datasets import Noise
from tests.observe.experience import ROOT, recorded
from tests.trace.records import events

# --- digests ----------------------------------------------------------------------------------------------------------


def test_looking_at_random_states_draws_nothing() -> None:
    before = random_states()
    assert random_states() == before
    random.random()
    np.random.rand()
    torch.rand(())
    after = random_states()
    assert all(after[stream] != before[stream] for stream in ("python", "numpy", "torch"))


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: random.Random(seed),
        lambda seed: np.random.default_rng(seed),
        lambda seed: np.random.RandomState(seed),
        lambda seed: torch.Generator().manual_seed(seed),
    ],
)
def test_generators_are_compared_by_their_state(make: Any) -> None:
    assert generator_state(make(1)) == generator_state(make(1))
    assert generator_state(make(1)) != generator_state(make(2))
    assert generator_state(make(1)) is not None


def test_what_is_no_generator_has_no_state() -> None:
    assert [generator_state(thing) for thing in (None, 3, random, np.zeros(2), object())] == [None] * 5


def test_samples_are_compared_by_what_they_hold() -> None:
    def sample(value: float) -> Any:
        return {"image": torch.full((3, 3), value), "label": np.int64(3), "name": "cat", "sizes": [1, 2.5, None]}

    assert sample_digest(sample(1.0)) == sample_digest(sample(1.0))
    assert sample_digest(sample(1.0)) != sample_digest(sample(2.0))
    assert sample_digest(torch.zeros(4)) != sample_digest(torch.zeros(2, 2)), "shapes count"
    assert sample_digest(torch.zeros(2, requires_grad=True)) is not None
    assert sample_digest([1, object()]) is None, "what cannot be compared is not said to be equal"
    assert sample_digest(torch.zeros(2).to_sparse()) is None


def test_a_digest_is_sixteen_digits() -> None:
    assert digest(b"a", b"b") == digest(b"ab")
    assert len(digest(b"")) == 16


# --- indices ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 49), max_size=6), max_size=12))
def test_a_tally_counts_what_was_drawn(batches: list[list[int]]) -> None:
    tally = IndexTally(50)
    for batch in batches:
        tally.add(batch)
    flat = [index for batch in batches for index in batch]
    fact = tally.fact(4, complete=True)
    if not flat:
        assert fact is None
        return
    assert fact is not None
    assert (fact["drawn"], fact["distinct"], fact["first"]) == (len(flat), len(set(flat)), flat[:8])
    assert (fact["epoch"], fact["complete"]) == (4, True)


def test_an_order_has_a_digest_of_its_own() -> None:
    def of(*batches: list[int]) -> Any:
        tally = IndexTally(10)
        for batch in batches:
            tally.add(batch)
        fact = tally.fact(0, complete=True)
        assert fact is not None
        return fact["digest"]

    assert of([1, 2], [3]) == of([1, 2], [3])
    assert of([1, 2], [3]) != of([2, 1], [3])


@pytest.mark.parametrize(("length", "index"), [(None, 3), (MAX_INDICES + 1, 3), (4, 99), (4, -99)])
def test_what_cannot_be_counted_is_absent(length: int | None, index: int) -> None:
    tally = IndexTally(length)
    tally.add([index])
    fact = tally.fact(0, complete=False)
    assert fact is not None
    assert "distinct" not in fact


def test_keys_that_are_no_numbers_have_no_tally() -> None:
    tally = IndexTally(5)
    tally.add([1])
    tally.add(["a"])
    tally.add([2])
    assert tally.fact(0, complete=True) is None


# --- the process ------------------------------------------------------------------------------------------------------


def test_memory_of_ones_own_is_measured() -> None:
    before = unique_bytes()
    assert before is not None
    with mmap.mmap(-1, 32 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:  # never a reused block
        held.write(bytes(len(held)))
        after = unique_bytes()
        assert after is not None
        assert after - before > len(held) * 0.9


def test_open_files_are_counted() -> None:
    before = open_files()
    assert before is not None
    with Path(os.devnull).open() as _, Path(os.devnull).open() as _:
        assert open_files() == before + 2
    assert open_files() == before


def test_limits_are_those_of_this_process() -> None:
    found = limits()
    assert found["files"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert 0 < found["memory_bytes"] <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    shared = os.statvfs("/dev/shm")
    assert found["shm_bytes"] == shared.f_blocks * shared.f_frsize


def test_looks_are_as_rare_as_they_are_dear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = 0
    monkeypatch.setattr(process_meter, "now", lambda: at)

    def dear() -> int:
        nonlocal at
        at += 10_000_000
        return 5

    monkeypatch.setattr(process_meter, "unique_bytes", dear)
    recorder = Recorder(tmp_path, role=Role.WORKER, worker=0)
    meter = ProcessMeter()

    def looks(every_ns: int, times: int) -> list[int]:
        """Which of so many questions, so far apart, were followed by a look."""
        nonlocal at
        found = []
        for number in range(times):
            start = at
            meter.look(recorder)
            found += [number] if at > start else []
            at = start + every_ns
        return found

    assert looks(500_000_000, 42) == [0, 20, 40], "10 ms, at a thousandth of the time: every 10 s"
    assert looks(3_600_000_000_000, 12) == [9], "of an hour in which there were no batches, a second counts"
    recorder.close()
    values = [(event[7], event[2]) for event in events(tmp_path) if event[7] in (Kind.MEMORY, Kind.FILES)]
    assert [kind for kind, _ in values] == [Kind.MEMORY, Kind.FILES] * 4


@pytest.mark.parametrize("workers", [0, 1])
def test_the_main_process_is_not_looked_at_anew_in_each_epoch(workers: int, tmp_path: Path) -> None:
    with recorded(tmp_path / "run") as recording:
        loader = observe(DataLoader(Noise(), batch_size=4, num_workers=workers), recording)
        for _ in range(3):
            list(loader)
    trace = Trace.open(tmp_path / "run")
    rows, steps = (trace.window(0, 1 << 62, {kind}) for kind in (Kind.MEMORY, Kind.STEP))
    looks = [row for row in rows if trace.lanes[row["lane"]].role is Role.CONSUMER]
    seconds = (steps["end"].max() - steps["start"].min()) / 1e9
    assert 1 <= len(looks) <= 1 + seconds, "a second apart at least, whatever begins meanwhile"


# --- what each worker is at -------------------------------------------------------------------------------------------

PEER = """
import pickle, sys
progress = pickle.loads(bytes.fromhex(sys.argv[1]))
row = progress.row(1)
row.begin(117, 5)
row.words[1] = 4711
row.sent()
print(progress.epoch)
"""


def test_progress_is_seen_by_another_process_and_outlives_it(tmp_path: Path) -> None:
    progress = Progress.create(tmp_path, 2)
    progress.epoch = 7
    done = subprocess.run(
        [sys.executable, "-c", PEER, pickle.dumps(progress).hex()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == "7\n"
    rows = [progress.row(worker) for worker in range(2)]
    assert [(row.batch, row.sample, row.since_ns) for row in rows] == [(NOT_MEASURED, NOT_MEASURED, 0), (117, 4711, 5)]
    assert progress.sent == 1
    del rows
    progress.close()
    progress.close()
    assert list(tmp_path.iterdir()) == []
    assert (progress.row(1).batch, progress.sent) == (117, 1), "what it said last can still be read"


def test_without_a_place_progress_stays_in_the_process(tmp_path: Path) -> None:
    progress = Progress.create(tmp_path / "nowhere", 1)
    progress.row(0).begin(3, 4)
    progress.row(0).words[SAMPLE] = 9
    assert (progress.row(0).batch, progress.row(0).sample) == (3, 9)
    progress.close()
    gc.collect()


def test_a_failure_is_blamed_on_its_batch_only(tmp_path: Path) -> None:
    progress = Progress.create(tmp_path, 1)
    row = progress.row(0)
    assert row.blamed(2) == NOT_MEASURED
    row.fail(2, 41)
    row.begin(3, 0)
    assert (row.blamed(2), row.blamed(3)) == (41, NOT_MEASURED)
    del row
    progress.close()
