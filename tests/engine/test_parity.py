"""What programs and frameworks do with a loader of torch's beside iterating over it, done with ours."""

from __future__ import annotations

import gc
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import RandomSampler, get_worker_info
from torch.utils.data._utils.worker import WorkerInfo
from torch.utils.data.datapipes.iter import IterableWrapper

from loader_core.engine import DataLoader
from loader_core.trace import Kind, Recording, Trace
from tests.engine.datasets import Mixed, Numbers, Stream
from tests.engine.test_transport import same

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

# --- made again from its attributes -----------------------------------------------------------------------------------


def test_an_argument_that_torch_lacks_is_an_attribute_of_the_same_name() -> None:
    """Lightning makes loaders again from these, to put a sampler of its own in."""
    own = {
        name: parameter.default
        for name, parameter in inspect.signature(DataLoader.__init__).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    loader = DataLoader(Numbers())
    assert {name: getattr(loader, name, "lost") for name in own} == own
    other = {
        "worker_method": "thread",
        "device": "simulated",
        "on_error": "skip",
        "error_budget": 7,
        "on_worker_death": "restart",
        "recording": object(),
    }
    assert other.keys() == own.keys(), "a new argument: give it another value here"
    loader = DataLoader(Numbers(), **other)  # type: ignore[arg-type]
    assert {name: getattr(loader, name) for name in own} == other


LOADERS: dict[str, Callable[[], TorchDataLoader[Any]]] = {
    "in order": lambda: TorchDataLoader(Mixed(), 8, drop_last=True),
    "shuffled": lambda: TorchDataLoader(Mixed(), 5, shuffle=True, generator=torch.Generator().manual_seed(3)),
    "sampler": lambda: TorchDataLoader(Mixed(), 4, sampler=RandomSampler(Mixed(), replacement=True, num_samples=9)),
    "batch sampler": lambda: TorchDataLoader(Mixed(), batch_sampler=[[0, 3], [5], [7, 8, 9]]),
    "no batches": lambda: TorchDataLoader(Mixed(), None, shuffle=True),
    "workers": lambda: TorchDataLoader(Mixed(), 8, num_workers=2, prefetch_factor=3, persistent_workers=True),
    "stream": lambda: TorchDataLoader(Stream(), 4, num_workers=2, drop_last=True),
    "stream without batches": lambda: TorchDataLoader(Stream(), None),
    "collate": lambda: TorchDataLoader(Numbers(), 4, collate_fn=sum, num_workers=1, multiprocessing_context="spawn"),
}


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_a_loader_of_torchs_is_taken_over_as_it_is(make: Callable[[], TorchDataLoader[Any]]) -> None:
    theirs = make()
    ours = DataLoader.of(make())
    assert type(ours) is DataLoader
    batches = []
    for loader in (ours, theirs):
        torch.manual_seed(4)
        np.random.seed(4)
        batches.append(list(loader))
    assert same(*batches)


def test_each_argument_of_torchs_is_taken_over() -> None:
    given: dict[str, Any] = {
        "dataset": Numbers(),
        "batch_size": 3,
        "sampler": [1, 2, 3],
        "num_workers": 1,
        "collate_fn": sum,
        "pin_memory": True,
        "drop_last": True,
        "timeout": 9.0,
        "worker_init_fn": print,
        "multiprocessing_context": torch.multiprocessing.get_context("spawn"),
        "generator": torch.Generator(),
        "prefetch_factor": 5,
        "persistent_workers": True,
        "pin_memory_device": "cuda",
        "in_order": False,
    }
    known = inspect.signature(TorchDataLoader.__init__).parameters.keys()
    assert given.keys() == known - {"self", "shuffle", "batch_sampler"}, "torch has a new argument"
    ours = DataLoader.of(TorchDataLoader(**given))
    assert {name: getattr(ours, name) for name in given} == given


def test_a_loader_that_was_taken_over_has_what_torchs_has_not(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="run") as recording:
        theirs = TorchDataLoader(Numbers(), 4, num_workers=2)
        loader = DataLoader.of(theirs, worker_method="thread", recording=recording)
        assert loader.worker_method == "thread"
        assert len(list(loader)) == 10
    rows = Trace.open(tmp_path / "run").window(0, 2**62)
    assert (rows["kind"] == Kind.STEP).sum() == 10


# --- its workers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("persistent", [False, True])
def test_a_programs_hold_on_the_workers_outlives_the_iterator(persistent: bool) -> None:
    """Programs watch or pin torch's `_workers`, and ask how they ended."""
    loader = DataLoader(Numbers(8), 2, num_workers=2, persistent_workers=persistent)
    iterator: Any = iter(loader)
    workers = iterator._workers
    assert [worker.pid for worker in workers] == iterator.pids()
    assert all(worker.is_alive() for worker in workers)
    next(iterator)
    del iterator, loader
    gc.collect()
    for worker in workers:
        worker.join(20)
    assert [worker.exitcode for worker in workers] == [0, 0]


def test_an_iterator_at_its_end_still_knows_who_worked() -> None:
    iterator: Any = iter(DataLoader(Numbers(8), 2, num_workers=2))
    before = iterator.pids()
    list(iterator)
    assert iterator.pids() == before
    assert [worker.pid for worker in iterator._workers] == before


# --- DataPipes --------------------------------------------------------------------------------------------------------


def shuffled_pipe() -> Any:
    return IterableWrapper(range(40)).shuffle(buffer_size=7).sharding_filter()


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("persistent", [False, True])
def test_a_datapipe_is_shuffled_and_shared_out_as_by_torch(workers: int, persistent: bool) -> None:
    def loaded(cls: type[TorchDataLoader[Any]]) -> list[Any]:
        torch.manual_seed(6)
        stay = persistent and workers > 0
        loader = cls(shuffled_pipe(), 4, shuffle=True, num_workers=workers, persistent_workers=stay)
        return [list(loader) for _ in range(3)]

    ours = loaded(DataLoader)
    assert same(ours, loaded(TorchDataLoader))
    assert all(sorted(torch.cat(epoch).tolist()) == list(range(40)) for epoch in ours)


def test_threads_have_a_datapipe_each() -> None:
    """An IterDataPipe allows one iterator at a time, and keeps its shard in itself."""
    threads: dict[str, Any] = {"num_workers": 3, "worker_method": "thread", "persistent_workers": True}
    loader = DataLoader(shuffled_pipe(), 4, shuffle=True, **threads)
    epochs = [torch.cat(list(loader)).tolist() for _ in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(40))] * 2
    assert epochs[0] != epochs[1]


def test_a_workers_shard_is_settled_before_its_init_fn() -> None:
    def remember(worker: int) -> None:
        get_worker_info().dataset.seen = list(get_worker_info().dataset)  # type: ignore[union-attr]

    def seen(_: list[int]) -> Any:
        return get_worker_info().dataset.seen  # type: ignore[union-attr]

    pipe = IterableWrapper(range(8)).sharding_filter()
    loader = DataLoader(pipe, 4, num_workers=2, worker_init_fn=remember, collate_fn=seen)
    assert list(loader) == [[0, 2, 4, 6], [1, 3, 5, 7]]


# --- what a worker knows of itself ------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(WorkerInfo, "worker_method"), reason="this torch's workers do not say what they are")
@pytest.mark.parametrize(("method", "called"), [("process", "multiprocessing"), ("thread", "thread")])
def test_a_worker_says_what_it_is_in_torchs_words(method: Any, called: str) -> None:
    loader = DataLoader(Numbers(2), 1, num_workers=1, worker_method=method, collate_fn=own_method)
    assert list(loader) == [called, called]


def own_method(_: list[int]) -> Any:
    return get_worker_info().worker_method  # type: ignore[union-attr]


# --- batches that a collate_fn has laid out ---------------------------------------------------------------------------


def laid_out(numbers: list[int]) -> dict[str, torch.Tensor]:
    """Dense batches in other orders than the usual one, and one with gaps."""
    images = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5) + numbers[0]
    return {
        "channels last": images.contiguous(memory_format=torch.channels_last),
        "one channel, last": images[:, :1].contiguous(memory_format=torch.channels_last),
        "transposed": images.permute(3, 1, 0, 2),
        "part of a larger one": images.transpose(0, 2)[1:3],
        "empty": images[:0].contiguous(memory_format=torch.channels_last),
    }


def test_the_memory_format_of_a_batch_is_kept() -> None:
    """A network in channels_last would convert each batch again."""
    ours, theirs = (
        next(iter(cls(Numbers(2), 2, num_workers=1, collate_fn=laid_out))) for cls in (DataLoader, TorchDataLoader)
    )
    assert same(ours, theirs)
    for name in ("channels last", "one channel, last", "transposed", "empty"):
        assert ours[name].stride() == theirs[name].stride(), name


UNUSUAL: dict[str, Callable[[], torch.Tensor]] = {
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.zeros(3)]),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "sparse, not coalesced": lambda: torch.sparse_coo_tensor([[0, 0]], [1, 2], (3,), check_invariants=True),
    "sparse by rows": lambda: torch.eye(3).to_sparse_csr(),
    "sparse by columns": lambda: torch.eye(3).to_sparse_csc(),
    "sparse by blocks of rows": lambda: torch.eye(4).to_sparse_bsr((2, 2)),
    "sparse by blocks of columns": lambda: torch.eye(4).to_sparse_bsc((2, 2)),
    "conjugate": lambda: torch.tensor([1 + 2j]).conj(),
    "negative": lambda: torch.tensor([1 + 2j]).conj().imag,
    "parameter": lambda: torch.nn.Parameter(torch.ones(2)),
    "expanded": lambda: torch.ones(1).expand(5),
    "without elements": lambda: torch.empty(0, 4),
    "without sides": lambda: torch.tensor(3),
}


def lone(samples: list[torch.Tensor]) -> torch.Tensor:
    return samples[0]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.filterwarnings("ignore:Sparse [A-Z]+ tensor support:UserWarning")
@pytest.mark.parametrize("make", UNUSUAL.values(), ids=UNUSUAL)
def test_tensors_that_are_more_than_their_bytes_arrive_whole(make: Callable[[], torch.Tensor]) -> None:
    sent = make()
    (got,) = DataLoader([sent], 1, num_workers=1, collate_fn=lone)  # type: ignore[arg-type]
    assert type(got) is type(sent)
    assert (got.layout, got.dtype, got.requires_grad) == (sent.layout, sent.dtype, sent.requires_grad)
    assert str(got) == str(sent)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_nested_samples_are_refused_in_torchs_words(workers: int) -> None:
    nested = [torch.nested.nested_tensor([torch.ones(2)])] * 2
    with pytest.raises(RuntimeError, match="not currently supported by the default collate_fn"):
        next(iter(DataLoader(nested, 2, num_workers=workers)))  # type: ignore[arg-type]


class Policies(Numbers):
    """What the scheduler takes its process for."""

    def __getitem__(self, index: int) -> int:
        return os.sched_getscheduler(0)


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux's own")
def test_workers_give_way_to_the_consumer() -> None:
    loader: DataLoader[Any] = DataLoader(Policies(4), 2, num_workers=2)
    assert {policy for batch in loader for policy in batch.tolist()} == {os.SCHED_BATCH}
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
