"""What programs and frameworks do with a loader of torch's beside iterating over it, done with ours."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import RandomSampler

from loader_core.engine import DataLoader
from loader_core.trace import Kind, Recording, Trace
from tests.engine.datasets import Mixed, Numbers, Stream
from tests.engine.test_transport import same

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
