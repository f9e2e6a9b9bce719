"""DataLoader: torch's, with our iteration.

A subclass of `torch.utils.data.DataLoader`: every argument, check and attribute that programs rely on is torch's own.
What differs is how a batch gets from the dataset to you: its `Journey`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any, Literal, TypeVar

import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import IterableDataset
from torch.utils.data.dataloader import _BaseDataLoaderIter

from loader_core.engine.checkpoint import Beginning, from_state_dict, to_state_dict
from loader_core.engine.device import Simulated
from loader_core.engine.journey import Journey, Way
from loader_core.engine.position import Position
from loader_core.engine.quarantine import Quarantine
from loader_core.engine.sampler import as_drawn, batches_of
from loader_core.engine.task import Job
from loader_core.errors import SettingsError
from loader_core.trace import Recording
from loader_core.trace.facts import append_fact
from loader_core.trace.process_meter import limits

T_co = TypeVar("T_co", covariant=True)


class DataLoader(TorchDataLoader[T_co]):
    """`torch.utils.data.DataLoader` with slots instead of queues, and every stage recorded.

    All arguments are torch's and mean the same, and these are added:

    worker_method: "process" (torch's way) or "thread". Threads share the dataset, the GIL and the random state; they
        pay where `__getitem__` lets go of the GIL (reading, decoding, numpy).
    device: where batches shall be: a `torch.device` or its name, "accelerator" for the one that torch finds, or
        "simulated" (see `Simulated`). None leaves batches in the host's memory.
    on_error: "raise" what a sample raises, or "skip" the sample: its batch is smaller, and `quarantine` says which
        samples raised what. More than `error_budget` different ones raise QuarantineFull. For map-style datasets.
    on_worker_death: "raise" WorkerDied, or "restart" the worker and make its batches again; a batch of which three
        workers die raises all the same. For map-style datasets.
    recording: the run that events are recorded into. None records nothing.

    Batches are views of memory that is used again once you let go of them. Keep as many as you like: past the first
    two, you are given copies.

    `state_dict` and `load_state_dict` go on in mid-epoch. `epoch` counts the iterations begun.

    Raises: what torch's raises, and SettingsError for arguments that contradict each other or this host.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        *args: Any,
        worker_method: Literal["process", "thread"] = "process",
        device: torch.device | str | Simulated | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        error_budget: int = 100,
        on_worker_death: Literal["raise", "restart"] = "raise",
        recording: Recording | None = None,
        **kwargs: Any,
    ) -> None:
        _choose("worker_method", worker_method, ("process", "thread"))
        _choose("on_error", on_error, ("raise", "skip"))
        _choose("on_worker_death", on_worker_death, ("raise", "restart"))
        if isinstance(dataset, IterableDataset) and (on_error == "skip" or on_worker_death == "restart"):
            raise SettingsError(
                "on_error='skip' and on_worker_death='restart' need a map-style dataset: a stream cannot be asked again"
            )
        self.worker_method = worker_method
        self.device = device
        self.on_error = on_error
        self.error_budget = error_budget
        self.on_worker_death = on_worker_death
        self.recording = recording
        self.quarantine = Quarantine(error_budget)
        self.epoch = 0
        self._beginning = Beginning()
        self._position = Position(over=True)
        self._resume_at: tuple[Beginning, Position] | None = None
        super().__init__(dataset, batch_size, *args, **kwargs)
        if worker_method == "process" and self.num_workers > 0 and sys.platform == "win32":
            raise SettingsError("process workers need POSIX pipes; on Windows use worker_method='thread'")

    @classmethod
    def of(cls, loader: TorchDataLoader[T_co], **ours: Any) -> DataLoader[T_co]:
        """What `loader` would load, with our engine. `ours` are the arguments that torch lacks.

        For loaders that somebody else has built: a framework that knows torch's arguments alone, or a program that is
        only to be looked into.
        """
        return cls(loader.dataset, **_batching(loader), **{name: getattr(loader, name) for name in _SAME}, **ours)

    def _get_iterator(self) -> _BaseDataLoaderIter:
        if self.num_workers > 0:
            self.check_worker_number_rationality()
        return LoaderIterator(self)

    def state_dict(self) -> dict[str, Any]:
        """Where this loader stands: what its newest iterator has delivered. Plain values and tensors, for `torch.save`.

        Augmentations that draw random numbers draw others after a resume; the samples and their order are the same.
        """
        if self._resume_at is not None:
            epoch, (beginning, position) = self.epoch, self._resume_at
        elif self._position.over:
            epoch, beginning, position = self.epoch, Beginning.of(self), Position()
        else:
            epoch, beginning, position = self.epoch - 1, self._beginning, self._position
        return to_state_dict(self, epoch=epoch, beginning=beginning, position=position)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration give the batches that had not been delivered when `state` was taken.

        `num_workers` may differ for map-style datasets. Raises SettingsError if the state is of another kind of loader.
        """
        self.epoch, beginning, position = from_state_dict(self, state)
        self._resume_at = (beginning, position)


_SAME = (
    "num_workers",
    "collate_fn",
    "pin_memory",
    "timeout",
    "worker_init_fn",
    "multiprocessing_context",
    "generator",
    "prefetch_factor",
    "persistent_workers",
    "pin_memory_device",
    "in_order",
)
"""torch's arguments that a loader keeps as they were given."""


def _batching(loader: TorchDataLoader[Any]) -> dict[str, Any]:
    """The arguments that say which samples make a batch. torch forbids to give all of them at once."""
    if loader.batch_size is None and loader.batch_sampler is not None:
        return {"batch_sampler": loader.batch_sampler}
    batching = {"batch_size": loader.batch_size, "drop_last": loader.drop_last}
    return batching if isinstance(loader.dataset, IterableDataset) else {**batching, "sampler": loader.sampler}


def _choose(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(f"{name} must be {' or '.join(map(repr, allowed))}, not {value!r}")


class LoaderIterator(_BaseDataLoaderIter):
    """What `iter(loader)` gives: a journey in torch's clothes, for one epoch or, where workers persist, several.

    It belongs to the thread that iterates. When you let go of it, its workers end. So nothing that it holds holds it,
    or the loader: a cycle would keep the workers until the garbage collector came by.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        if loader.num_workers == 0:
            loader._beginning = Beginning.of(loader, seed_follows=True)
        super().__init__(loader)
        if self._num_workers == 0 and self._timeout != 0:  # torch's own checks of its iterators, in its words
            raise AssertionError(f"{type(self).__name__} requires timeout == 0")
        if self._num_workers > 0 and loader.prefetch_factor == 0:
            raise AssertionError(f"prefetch_factor must be greater than 0 for {type(self).__name__}")
        self._owner = os.getpid()
        way = Way(
            method=loader.worker_method,
            context=loader.multiprocessing_context or torch.multiprocessing.get_context(),
            prefetch_factor=loader.prefetch_factor or 1,
            in_order=loader.in_order,
            timeout_s=self._timeout or None,
            pin_device=self._pin_memory_device if self._pin_memory else None,
            device=loader.device,
            restarts=loader.on_worker_death == "restart",
            recording=loader.recording,
        )
        self._journey = Journey(self._job(loader), way, loader.quarantine)
        if loader.recording is not None and loader.epoch == 0:
            append_fact(loader.recording.directory, {"kind": "limits", **limits()})
        if self._num_workers > 0:
            self._reset(loader, first_iter=True)
        else:
            self._begin(loader)

    def _job(self, loader: DataLoader[Any]) -> Job:
        return Job(
            dataset=self._dataset,
            collate_fn=self._collate_fn,
            auto_collation=self._auto_collation,
            drop_last=self._drop_last,
            batch_size=loader.batch_size or 1,
            num_workers=self._num_workers,
            base_seed=int(self._base_seed),
            shared_seed=self._shared_seed,
            worker_init_fn=loader.worker_init_fn if self._num_workers else None,
            world_size=self._world_size,
            rank=self._rank,
            on_error=loader.on_error,
        )

    def _reset(self, loader: Any, first_iter: bool = False) -> None:
        """Begin an epoch with the workers that are there. Opens the sampler, as often as torch opens it."""
        loader._beginning = Beginning.of(loader)
        super()._reset(loader, first_iter)
        self._begin(loader)

    def _begin(self, loader: DataLoader[Any]) -> None:
        start = Position()
        indices = (self._auto_collation and batches_of(self._index_sampler)) or as_drawn(
            self._sampler_iter, batches=self._auto_collation
        )
        if loader._resume_at is not None:
            loader._beginning, start = loader._resume_at
            loader._resume_at = None
            indices = loader._beginning.indices_again(loader, behind=0 if start.streams else start.done)
        self._journey.begin(indices, epoch=loader.epoch, shared_seed=self._shared_seed, start=start)
        loader._position = start  # the journey goes on with it
        loader.epoch += 1

    def pids(self) -> list[int]:
        """The processes that the workers run in, by worker; our own for threads and without workers."""
        return self._journey.pids()

    @property
    def _workers(self) -> Sequence[BaseProcess | Thread]:
        """The workers, also when they have ended. (The name is the one by which programs know them in torch.)"""
        return self._journey.workers()

    def __next__(self) -> Any:
        if torch._C._autograd._profiler_enabled() or self._IterableDataset_len_called is not None:
            return super().__next__()  # torch's own, which tells its profiler and warns of streams that are too long
        return self._next_data()

    def _next_data(self) -> Any:
        try:
            return next(self._journey)
        except StopIteration:
            if self._journey.ended and not self._persistent_workers:
                self._shutdown_workers()
            raise

    def _shutdown_workers(self) -> None:
        """End workers and threads, and let go of the slots. Idempotent. (The name is the one that Lightning calls.)"""
        self._journey.close()

    def __del__(self) -> None:
        # Not at the interpreter's end, when modules are gone already; and not in a process that was forked while we
        # iterate, whose copy of this iterator has no workers.
        if not sys.is_finalizing() and getattr(self, "_owner", None) == os.getpid() and hasattr(self, "_journey"):
            self._shutdown_workers()
