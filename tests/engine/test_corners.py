"""Corners where a loader is used in ways of its own: ours does there what torch's does, or better than to hang."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, Dataset, IterableDataset, SequentialSampler
from torch.utils.data import DataLoader as TorchDataLoader

from loader_core.engine import DataLoader
from loader_core.errors import WorkerDied, WorkerTimeout
from tests.engine.datasets import Numbers

POOLS: dict[str, dict[str, Any]] = {
    "inline": {},
    "thread": {"num_workers": 1, "worker_method": "thread"},
    "process": {"num_workers": 1},
}


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(POOLS[request.param])


# --- whatever a sampler draws -----------------------------------------------------------------------------------------


class Told(Dataset[str]):
    """Each sample says by what it was asked for."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: Any) -> str:
        writeable = getattr(getattr(index, "flags", None), "writeable", True)
        return f"{type(index).__name__} {np.asarray(index).tolist()} {writeable}"


class Drawn:
    """A sampler that draws what it was told to, anew in each epoch."""

    def __init__(self, draw: Callable[[], list[Any]]) -> None:
        self.draw = draw

    def __len__(self) -> int:
        return len(self.draw())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.draw())


BATCHES: dict[str, Callable[[], list[Any]]] = {
    "short arrays": lambda: [np.array([1, 2], np.int16), np.array([3], np.int16)],
    "arrays of 32 bits": lambda: [np.array([1, 2], np.int32), np.array([3], np.int32)],
    "arrays of 64 bits": lambda: [np.array([1, 2]), np.array([3])],
    "tensors": lambda: [torch.tensor([1, 2])],
    "tuples, sets and ranges": lambda: [(1, 2), {3}, range(4, 6)],
    "dicts": lambda: [{1: "a", 2: "b"}],
}


@pytest.mark.parametrize("draw", BATCHES.values(), ids=BATCHES)
def test_batches_of_any_kind_of_indices(pool: dict[str, Any], draw: Callable[[], list[Any]]) -> None:
    ours: Any = DataLoader(Told(), batch_sampler=Drawn(draw), **pool)  # type: ignore[arg-type]
    theirs: Any = TorchDataLoader(Told(), batch_sampler=Drawn(draw))  # type: ignore[arg-type]
    assert list(ours) == list(theirs)


def test_batches_that_are_generators(pool: dict[str, Any]) -> None:
    """torch takes them without workers; with workers, which cannot be sent one, it hangs."""
    draw = Drawn(lambda: [(index for index in (first, first + 1)) for first in range(3)])
    theirs: Any = TorchDataLoader(Told(), batch_sampler=draw)  # type: ignore[arg-type]
    ours: Any = DataLoader(Told(), batch_sampler=draw, **pool)  # type: ignore[arg-type]
    assert list(ours) == list(theirs)


INDICES: dict[str, Any] = {
    "torch's batches": BatchSampler(SequentialSampler(range(5)), 2, drop_last=False),
    "arrays": Drawn(lambda: [np.array([1, 2], np.int32), np.array([3]), np.array([[1], [2]])]),
    "strings": ["one", "two"],
}


@pytest.mark.parametrize("sampler", INDICES.values(), ids=INDICES)
def test_indices_of_any_kind_without_automatic_batches(pool: dict[str, Any], sampler: Any) -> None:
    ours = DataLoader(Told(), batch_size=None, sampler=sampler, **pool)
    theirs: Any = TorchDataLoader(Told(), batch_size=None, sampler=sampler)
    assert list(ours) == list(theirs)


# --- arguments --------------------------------------------------------------------------------------------------------


def test_what_torch_refuses_at_the_first_iteration_is_refused() -> None:
    for cls in (DataLoader, TorchDataLoader):
        with pytest.raises(AssertionError, match=r"Iter.* requires timeout == 0"):
            iter(cls(Numbers(), timeout=5))
    with pytest.raises(AssertionError, match=r"prefetch_factor must be greater than 0 for .*Iter"):
        iter(DataLoader(Numbers(), num_workers=1, prefetch_factor=0))


# --- exceptions that are not errors, and errors that come again -------------------------------------------------------


class Raising(Numbers):
    """Raises what it was told to, at index 2."""

    def __init__(self, make: Callable[[], BaseException]) -> None:
        super().__init__(6, at=2)
        self.make = make

    def happen(self) -> None:
        raise self.make()


def outcomes(loader: Any, count: int) -> list[Any]:
    """What `count` calls of next() give: numbers, or names of exceptions."""
    batches, seen = iter(loader), list[Any]()
    for _ in range(count):
        try:
            seen.append(int(next(batches)))
        except BaseException as error:  # noqa: BLE001 - it is what we look at
            seen.append(type(error).__name__)
    return seen


def test_a_dataset_that_raises_stop_iteration_does_not_end_the_loader(pool: dict[str, Any]) -> None:
    ours = outcomes(DataLoader(Raising(StopIteration), **pool), 8)
    assert ours == outcomes(TorchDataLoader(Raising(StopIteration)), 8)
    assert ours == [0, 1, "StopIteration", 3, 4, 5, "StopIteration", "StopIteration"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_batch_is_not_waited_for(interrupt: type[BaseException]) -> None:
    assert outcomes(DataLoader(Raising(interrupt)), 7) == outcomes(TorchDataLoader(Raising(interrupt)), 7)


def test_a_thread_that_wants_to_exit_says_so_and_goes_on() -> None:
    loader = DataLoader(Raising(lambda: SystemExit(4)), num_workers=1, worker_method="thread")
    assert outcomes(loader, 7) == [0, 1, "SystemExit", 3, 4, 5, "StopIteration"]


def test_an_exception_that_cannot_be_pickled_arrives_as_its_nearest_kind() -> None:
    class OfItsOwn(ValueError):
        pass

    batches = iter(DataLoader(Raising(lambda: OfItsOwn("no such pixel")), num_workers=1))
    assert [int(next(batches)) for _ in range(2)] == [0, 1]
    with pytest.raises(
        ValueError, match=r"Caught ValueError in DataLoader worker process 0(.|\n)*OfItsOwn: no such pixel"
    ):
        next(batches)
    assert [int(batch) for batch in batches] == [3, 4, 5]


class OpensOnce(IterableDataset[int]):
    """A stream that can be opened `times` times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __iter__(self) -> Iterator[int]:
        if self.times == 0:
            raise OSError("the tape is at its end")
        self.times -= 1
        return iter(range(3))


def test_a_stream_that_cannot_be_opened_says_so_when_torchs_does() -> None:
    for cls in (DataLoader, TorchDataLoader):
        with pytest.raises(OSError, match="the tape is at its end"):
            iter(cls(OpensOnce(0)))


def test_a_stream_that_cannot_be_opened_again_says_so(pool: dict[str, Any]) -> None:
    loader = DataLoader(OpensOnce(1), persistent_workers=bool(pool), **pool)
    assert [int(number) for number in loader] == [0, 1, 2]
    for _ in range(2):
        with pytest.raises(OSError, match="the tape is at its end"):
            next(iter(loader))


def fail_to_start(worker: int) -> None:
    raise OSError(f"worker {worker} found no licence")


@pytest.mark.parametrize("method", ["process", "thread"])
def test_a_worker_that_could_not_start_says_why_each_time(method: Any) -> None:
    batches = iter(DataLoader(Numbers(), 4, num_workers=1, worker_init_fn=fail_to_start, worker_method=method))
    for _ in range(3):
        with pytest.raises(OSError, match="worker 0 found no licence"):
            next(batches)


# --- the dead stay dead -----------------------------------------------------------------------------------------------


def test_who_asks_again_after_a_death_is_told_again() -> None:
    batches = iter(DataLoader(Numbers(at=9, what="kill"), 4, num_workers=1))
    next(batches)
    next(batches)
    for _ in range(3):
        with pytest.raises(WorkerDied, match=r"making batch 2 \(samples 8, 9, 10, 11\)"):
            next(batches)


def test_a_new_epoch_with_a_dead_persistent_worker_is_refused() -> None:
    loader = DataLoader(Numbers(at=9, what="kill"), 4, num_workers=2, persistent_workers=True)
    with pytest.raises(WorkerDied):
        list(loader)
    for _ in range(2):
        with pytest.raises(WorkerDied, match="worker 0 was killed by SIGKILL"):
            iter(loader)


def test_a_new_epoch_waits_no_longer_than_the_timeout() -> None:
    loader = DataLoader(Numbers(at=4, what="hang"), 4, num_workers=1, timeout=0.3, persistent_workers=True)
    batches: Any = iter(loader)
    next(batches)
    for _ in range(2):
        with pytest.raises(WorkerTimeout, match=r"timed out after 0\.3 seconds"):
            iter(loader)
    os.kill(batches.pids()[0], signal.SIGKILL)  # or the end of the test would wait for its hour of sleep


class Waits(Numbers):
    """Sample 4 waits for `go`, the first time."""

    def __init__(self, go: threading.Event) -> None:
        super().__init__(12)
        self.go = go

    def __getitem__(self, index: int) -> int:
        if index == 4:
            self.go.wait()
        return index


def test_an_epoch_that_began_late_has_only_its_own_batches() -> None:
    go = threading.Event()
    loader = DataLoader(
        Waits(go), 4, num_workers=1, timeout=0.3, persistent_workers=True, worker_method="thread"
    )  # fmt: skip
    next(iter(loader))
    with pytest.raises(WorkerTimeout):
        iter(loader)
    go.set()
    for _ in range(2):
        assert [batch.tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


class Forking(Numbers):
    """Its worker forks a child, which holds all that was open, and dies."""

    def __init__(self, tell: int) -> None:
        super().__init__(8)
        self.tell = tell

    def __getitem__(self, index: int) -> int:
        if index == 4:
            child = os.fork()
            if child == 0:
                signal.pause()
            os.write(self.tell, f"{child}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        return index


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux's own")
def test_a_death_is_seen_though_a_child_of_the_dead_lives_on() -> None:
    told, tell = os.pipe()
    batches = iter(DataLoader(Forking(tell), 4, num_workers=1))
    try:
        next(batches)
        with pytest.raises(WorkerDied, match="was killed by SIGKILL"):
            next(batches)
    finally:
        os.kill(int(os.read(told, 20)), signal.SIGKILL)
        os.close(told)
        os.close(tell)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell")
def test_workers_leave_their_dead_parent_though_its_other_children_live_on() -> None:
    ready, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        batches: Any = iter(DataLoader(Numbers(at=1, what="hang"), 1, num_workers=1))
        bystander = os.fork()
        if bystander == 0:
            signal.pause()
        os.write(write, f"{batches.pids()[0]} {bystander}".encode())
        signal.pause()
    os.close(write)
    worker, bystander = map(int, os.read(ready, 100).split())
    os.close(ready)
    handle = os.pidfd_open(worker)
    try:
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        import select

        assert select.select([handle], [], [], 30)[0], "the worker is still there"
    finally:
        os.close(handle)
        os.kill(bystander, signal.SIGKILL)


def test_an_iterator_in_a_reference_cycle_ends_its_workers() -> None:
    """As it is after an error, whose traceback holds it: the collector finalises its parts in an order of its own."""
    for _ in range(3):
        early: list[Any] = []
        batches: Any = iter(DataLoader(Numbers(), 4, num_workers=2))
        batches.itself = batches
        workers = batches._workers
        late = [batches]
        early.append(batches._journey._pool._workers)
        del batches
        gc.collect()  # the collector's list has the ends of the pipes before the iterator from now on
        early.clear()
        late.clear()
        gc.collect()  # what __del__ raises fails the test
        for worker in workers:
            worker.join(20)
            assert worker.exitcode == 0
