"""Our loader against torch's, side by side, and what it promises beyond."""

from __future__ import annotations

import copy
import gc
import itertools
import os
import re
import signal
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import RandomSampler, get_worker_info

from loader_core.engine import DataLoader, Simulated
from loader_core.errors import SettingsError, WorkerDied
from loader_core.trace import Kind, Recording, Trace
from tests.engine.datasets import (
    Batched,
    Images,
    Mixed,
    Numbers,
    Ragged,
    Stream,
    fail_to_start,
    padded,
    seeds_seen,
)
from tests.engine.test_transport import same

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

POOLS: dict[str, dict[str, Any]] = {
    "inline": {},
    "thread": {"num_workers": 2, "worker_method": "thread"},
    "process": {"num_workers": 2},
    "spawn": {"num_workers": 1, "multiprocessing_context": "spawn"},
}


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(POOLS[request.param])


def epochs(make: Callable[[], Any], count: int = 2) -> list[Any]:
    torch.manual_seed(7)
    np.random.seed(7)
    loader = make()
    seen = [[copy.deepcopy(batch) for batch in loader] for _ in range(count)]
    seen.append(torch.rand(1))  # the caller's random numbers go on as after torch's loader
    return seen


GRID = [
    {"batch_size": 8},
    {"batch_size": 8, "shuffle": True},
    {"batch_size": 8, "drop_last": True},
    {"batch_size": 5, "generator": 11, "shuffle": True},
    {"batch_size": None},
    {"batch_sampler": [[0, 3], [5], [7, 8, 9]]},
    {"batch_size": 4, "sampler": "with replacement"},
]


def arguments(grid: dict[str, Any], dataset: Any) -> dict[str, Any]:
    made = dict(grid)
    if "generator" in made:
        made["generator"] = torch.Generator().manual_seed(made["generator"])
    if made.get("sampler") == "with replacement":
        made["sampler"] = RandomSampler(dataset, replacement=True, num_samples=10)
    return made


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("grid", GRID, ids=str)
@pytest.mark.parametrize("dataset", [Mixed(), Batched()], ids=["mixed", "batched"])
def test_batches_equal_torchs_bit_by_bit(dataset: Mixed, grid: dict[str, Any], workers: int) -> None:
    def loader(cls: type[TorchDataLoader[Any]]) -> Callable[[], Any]:
        return lambda: cls(dataset, num_workers=workers, **arguments(grid, dataset))

    assert same(epochs(loader(DataLoader)), epochs(loader(TorchDataLoader)))


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("grid", [{"batch_size": 4}, {"batch_size": 4, "drop_last": True}, {"batch_size": None}])
@pytest.mark.parametrize("persistent", [False, True])
def test_streams_equal_torchs(grid: dict[str, Any], workers: int, persistent: bool) -> None:
    def loader(cls: type[TorchDataLoader[Any]]) -> Callable[[], Any]:
        return lambda: cls(Stream(), num_workers=workers, persistent_workers=persistent and workers > 0, **grid)

    assert same(epochs(loader(DataLoader)), epochs(loader(TorchDataLoader)))


@pytest.mark.parametrize("persistent", [False, True])
def test_an_epoch_after_a_break_equals_torchs(persistent: bool) -> None:
    def broken_off(cls: type[TorchDataLoader[Any]]) -> list[Any]:
        torch.manual_seed(3)
        loader = cls(Mixed(), 4, shuffle=True, num_workers=2, persistent_workers=persistent)
        first = [copy.deepcopy(batch) for batch in itertools.islice(loader, 3)]
        return [first, [copy.deepcopy(batch) for batch in loader]]

    assert same(broken_off(DataLoader), broken_off(TorchDataLoader))


def test_workers_know_who_they_are_as_in_torch() -> None:
    def seen(cls: type[TorchDataLoader[Any]]) -> list[Any]:
        torch.manual_seed(5)
        return list(cls(range(4), 1, num_workers=2, collate_fn=seeds_seen))  # type: ignore[arg-type]

    assert seen(DataLoader) == seen(TorchDataLoader)


# --- one conformance suite over all pools -----------------------------------------------------------------------------


@pytest.mark.parametrize("in_order", [True, False])
def test_each_sample_comes_exactly_once_per_epoch(pool: dict[str, Any], in_order: bool) -> None:
    loader = DataLoader(Numbers(41), 4, shuffle=True, in_order=in_order, **pool)
    for _ in range(2):
        assert sorted(torch.cat(list(loader)).tolist()) == list(range(41))


def test_order_is_kept(pool: dict[str, Any]) -> None:
    assert torch.cat(list(DataLoader(Numbers(41), 4, **pool))).tolist() == list(range(41))


def test_any_collate_fn(pool: dict[str, Any]) -> None:
    got = list(DataLoader(Ragged(), 4, collate_fn=padded, **pool))
    assert same(got, [padded([Ragged()[i] for i in range(n, min(n + 4, 30))]) for n in range(0, 30, 4)])


def test_streams_are_shared_out_among_workers(pool: dict[str, Any]) -> None:
    workers = pool.get("num_workers", 1)
    expected = {index for worker in range(workers) for index in range(worker, 29 - worker * 5, workers)}
    got = [int(index) for _, indices in DataLoader(Stream(), 4, **pool) for index in indices]
    assert sorted(got) == sorted(expected)


def test_batches_that_are_kept_stay_as_they_were(pool: dict[str, Any]) -> None:
    kept = list(DataLoader(Images(), 4, **pool))
    for number, (images, labels) in enumerate(kept):
        assert labels.tolist() == list(range(number * 4, number * 4 + 4))
        assert all((image == label).all() for image, label in zip(images, labels, strict=True))


def test_a_view_keeps_its_batch(pool: dict[str, Any]) -> None:
    rows = [images[1].view(-1)[5:] for images, _ in DataLoader(Images(), 4, **pool)]
    assert [int(row[0]) for row in rows] == [number * 4 + 1 for number in range(12)]
    assert all((row == row[0]).all() for row in rows)


def test_views_of_views_are_whole_after_epochs_have_passed(pool: dict[str, Any]) -> None:
    loader = DataLoader(Images(), 4, persistent_workers=bool(pool), **pool)
    held = []
    for _ in range(3):
        for number, (images, labels) in enumerate(loader):
            if number % 5 == 0:
                held.append((images[2][0].t()[:3], labels.view(2, 2)[1, 0].numpy(), number * 4 + 2))
    assert len(held) == 9
    for view, label, expected in held:
        assert int(label) == expected
        assert (view == expected).all()


def stacked(samples: list[Any]) -> list[torch.Tensor]:
    """Tensors alone: laid out as a whole."""
    return [torch.stack([image for image, _ in samples]), torch.tensor([label for _, label in samples])]


def tagged(samples: list[Any]) -> dict[str, Any]:
    """More than tensors and arrays: packed."""
    images, labels = stacked(samples)
    return {"images": images, "labels": labels.numpy(), "tags": {str(label) for _, label in samples}}


@pytest.mark.parametrize("collate_fn", [None, stacked, tagged])
@pytest.mark.parametrize("stay", [False, True])
def test_whatever_is_held_of_a_batch_stays(pool: dict[str, Any], collate_fn: Any, stay: bool) -> None:
    """However a batch travels: parts of it, in lists and dicts, across epochs, breaks and the loader's own end."""
    stay = bool(pool) and (stay or "multiprocessing_context" in pool)  # spawning takes seconds
    loader = DataLoader(Images(), 4, collate_fn=collate_fn, persistent_workers=stay, **pool)
    held: list[tuple[int, Any]] = []
    for epoch in range(3):
        for number, batch in enumerate(loader):
            images, labels = (batch["images"], batch["labels"]) if isinstance(batch, dict) else batch
            first = number * 4
            parts: list[tuple[int, Any]] = [
                (first, images[0]),
                (first + 1, [images[1, 0].t()[:, 3:]]),
                (first + 2, {"array": images.permute(1, 0, 2, 3)[2, 2].numpy()[::2]}),
                (first + 3, images.unbind()[3].view(-1)[7:]),
                (first + 1, labels[1:2]),
            ]
            held.append(parts[(number + epoch) % 5])
            del batch, images, labels, parts
            if epoch == 1 and number == 7:
                break
    del loader
    gc.collect()
    assert len(held) == 12 + 8 + 12
    for value, part in held:
        view = part["array"] if isinstance(part, dict) else part[0] if isinstance(part, list) else part
        assert (view == value).all()


def test_errors_keep_their_type_and_the_loader_goes_on(pool: dict[str, Any]) -> None:
    batches = iter(DataLoader(Numbers(at=9, what="raise"), 4, **pool))
    assert next(batches).tolist() == [0, 1, 2, 3]
    next(batches)
    with pytest.raises(KeyError, match="sample 9 is broken") as caught:
        next(batches)
    if pool:
        assert "Original Traceback" in str(caught.value)
        assert "in happen" in str(caught.value)
    assert next(batches).tolist() == [12, 13, 14, 15]


def test_an_early_break_ends_the_workers(pool: dict[str, Any]) -> None:
    for batch in DataLoader(Numbers(), 2, **pool):
        assert batch.tolist() == [0, 1]
        break  # the leak check after the test is the assertion
    gc.collect()


def test_two_iterators_at_once_do_not_disturb_each_other(pool: dict[str, Any]) -> None:
    loader = DataLoader(Numbers(20), 4, **pool)
    assert [(a.tolist(), b.tolist()) for a, b in zip(loader, loader, strict=True)] == [
        (list(range(n, n + 4)), list(range(n, n + 4))) for n in range(0, 20, 4)
    ]


def test_a_simulated_device_gives_the_same_batches(pool: dict[str, Any]) -> None:
    there = list(DataLoader(Images(), 4, device=Simulated(gb_per_s=50), **pool))
    assert same(there, list(DataLoader(Images(), 4)))


def test_an_error_on_the_way_to_a_device_comes_in_its_turn(pool: dict[str, Any]) -> None:
    batches = iter(DataLoader(Numbers(at=9, what="raise"), 4, device="simulated", **pool))
    assert [next(batches).tolist() for _ in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(KeyError):
        next(batches)
    assert next(batches).tolist() == [12, 13, 14, 15]


@pytest.mark.leaks(processes="the fork server stays, as multiprocessing means it to")
def test_the_fork_server_starts_workers_too() -> None:
    loader = DataLoader(Mixed(), 8, num_workers=2, multiprocessing_context="forkserver")
    assert [batch["number"].tolist() for batch in loader] == [list(range(n, min(n + 8, 37))) for n in range(0, 37, 8)]


def test_a_process_forked_meanwhile_leaves_our_workers_alone() -> None:
    batches = iter(DataLoader(Numbers(40), 4, num_workers=2))
    next(batches)
    child = os.fork()
    if child == 0:
        del batches
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(batches)) == 9


def test_persistent_workers_stay_the_same(pool: dict[str, Any]) -> None:
    if not pool:
        return  # torch refuses persistent_workers without workers, and so do we
    loader = DataLoader(Numbers(12), 3, persistent_workers=True, collate_fn=whoami, **pool)
    first, second = ({worker for _, worker in loader} for _ in range(2))
    assert first == second
    assert len(first) == pool["num_workers"]
    del loader
    gc.collect()


def whoami(samples: list[int]) -> tuple[list[int], tuple[int, int]]:
    return samples, (os.getpid(), threading.get_ident())


def test_every_stage_of_every_batch_is_recorded(pool: dict[str, Any], tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="run") as recording:
        recording.control.detail = 1
        for _ in DataLoader(Images(), 4, recording=recording, device="simulated", **pool):
            pass
    rows = Trace.open(tmp_path / "run").window(0, 2**62)
    for kind in (Kind.DRAW, Kind.DISPATCH, Kind.FETCH, Kind.COLLATE, Kind.RECEIVE, Kind.COPY, Kind.STEP):
        assert sorted(rows["batch"][rows["kind"] == kind].tolist()) == list(range(12)), kind.name
    for kind in (Kind.COLLATE, Kind.RECEIVE, Kind.COPY):
        assert set(rows["value"][rows["kind"] == kind].tolist()) == {4 * (3 * 32 * 32 + 8)}, kind.name
    assert sorted(rows["sample"][rows["kind"] == Kind.ITEM].tolist()) == list(range(48))
    assert (rows["flags"][rows["kind"] == Kind.COPY] == 2).all()
    assert (rows["end"] >= rows["start"]).all()


# --- what can go wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "how", "advice"),
    [
        ("kill", "was killed by SIGKILL", "likely out of memory"),
        ("exit", "left with exit code 3", "look for os._exit"),
        ("crash", "was killed by SIGSEGV", "load the samples named here with num_workers=0"),
        ("bus", "was killed by SIGBUS", "what writing to shared memory does when there is none left"),
        ("term", "was killed by SIGTERM", "look for what ends processes on this host"),
    ],
)
def test_a_dead_worker_has_a_certificate(what: str, how: str, advice: str) -> None:
    batches = iter(DataLoader(Numbers(at=9, what=what), 4, num_workers=1))
    next(batches)
    next(batches)
    with pytest.raises(WorkerDied) as caught:
        next(batches)
    text = str(caught.value)
    assert re.match(r"DataLoader worker \(pid \d+\) exited unexpectedly: worker 0 ", text)
    assert f"{how} while making batch 2 (samples 8, 9, 10, 11)" in text
    assert advice in text
    assert re.search(r"Now that it is gone, [\d,]+ MiB of memory and [\d,]+ MiB of shared memory are free\.", text)
    assert isinstance(caught.value, RuntimeError)


def test_a_worker_killed_while_idle_is_noticed_at_the_next_batch() -> None:
    batches = iter(DataLoader(Numbers(400), 4, num_workers=2))
    next(batches)
    iterator: Any = batches
    os.kill(iterator.pids()[1], signal.SIGKILL)
    with pytest.raises(WorkerDied, match="worker 1 was killed by SIGKILL"):
        for _ in batches:
            pass


def test_workers_leave_when_their_parent_is_killed() -> None:
    ready, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        batches: Any = iter(DataLoader(Numbers(at=1, what="hang"), 1, num_workers=2))
        os.write(write, " ".join(map(str, batches.pids())).encode())
        signal.pause()
    os.close(write)
    workers = [int(pid) for pid in os.read(ready, 100).split()]
    handles = [os.pidfd_open(pid) for pid in workers]
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    for handle in handles:
        import select

        assert select.select([handle], [], [], 30)[0], "a worker is still there"
        os.close(handle)
    os.close(ready)


def test_a_timeout_says_what_torchs_says() -> None:
    batches = iter(DataLoader(Numbers(at=4, what="hang"), 4, num_workers=1, timeout=0.2))
    next(batches)
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.2 seconds"):
        next(batches)
    iterator: Any = batches
    os.kill(iterator.pids()[0], signal.SIGKILL)  # or the end of the test would wait for its hour of sleep


@pytest.mark.parametrize("method", ["process", "thread"])
def test_a_worker_that_cannot_start_says_why(method: Any) -> None:
    batches = iter(DataLoader(Numbers(), 4, num_workers=1, worker_init_fn=fail_to_start, worker_method=method))
    with pytest.raises(OSError, match="worker 0 found no licence"):
        next(batches)


def test_what_cannot_be_pickled_says_so() -> None:
    loader = DataLoader(Numbers(4), 2, num_workers=1, collate_fn=lambda samples: (x for x in samples))
    with pytest.raises(TypeError, match="cannot pickle 'generator' object"):
        next(iter(loader))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"worker_method": "fibre"}, "worker_method must be 'process' or 'thread', not 'fibre'"),
        ({"device": "tpu9000"}, "device 'tpu9000' is unknown to torch"),
        ({"device": Simulated}, "device"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises((SettingsError, TypeError), match=message):
        iter(DataLoader(Numbers(), **wrong))


@pytest.mark.skipif(torch.accelerator.is_available(), reason="says what happens without an accelerator")
def test_no_accelerator_is_said_with_the_way_out() -> None:
    with pytest.raises(SettingsError, match="no accelerator that torch can use; try device='simulated'"):
        iter(DataLoader(Numbers(), device="accelerator"))


def test_the_simulated_devices_speed_must_be_positive() -> None:
    with pytest.raises(SettingsError, match="gb_per_s must be more than 0, not 0"):
        Simulated(gb_per_s=0)


def test_torchs_own_checks_are_in_force() -> None:
    with pytest.raises(ValueError, match="mutually exclusive"):
        DataLoader(Numbers(), shuffle=True, sampler=[1, 2])
    with pytest.raises(ValueError, match="prefetch_factor option could only be specified"):
        DataLoader(Numbers(), prefetch_factor=2)
    with pytest.raises(ValueError, match="should not be set after"):
        DataLoader(Numbers()).batch_size = 3


def test_a_stream_longer_than_it_said_warns_as_torchs_does() -> None:
    class Liar(Stream):
        def __len__(self) -> int:
            return 5

    def warned(cls: type[TorchDataLoader[Any]]) -> list[str]:
        loader = cls(Liar(), batch_size=None)
        len(loader)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            list(loader)
        return [re.sub("0x[0-9a-f]+", "", str(warning.message)) for warning in caught]

    assert warned(DataLoader) == warned(TorchDataLoader)
    assert warned(DataLoader)


def test_thread_workers_leave_torchs_worker_info_alone_elsewhere() -> None:
    batches = iter(DataLoader(range(4), 1, num_workers=2, worker_method="thread", collate_fn=seeds_seen))  # type: ignore[arg-type]
    assert {batch["id"] for batch in batches} == {0, 1}
    assert get_worker_info() is None


def test_a_viewers_stop_ends_the_epoch(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="run") as recording:
        seen = 0
        for _ in DataLoader(Numbers(400), 4, num_workers=2, recording=recording):
            seen += 1
            recording.control.stop = seen == 5
    assert seen == 5
