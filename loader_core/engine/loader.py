"""DataLoader: torch's, with our iteration.

A subclass of `torch.utils.data.DataLoader`: every argument, check and attribute that programs rely on is torch's own.
What differs is how a batch gets from the dataset to you: its `Journey`.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Literal, TypeVar

import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter

from loader_core.engine.device import Simulated
from loader_core.engine.journey import Journey
from loader_core.engine.worker import Job
from loader_core.errors import SettingsError
from loader_core.trace import Recording

T_co = TypeVar("T_co", covariant=True)


class DataLoader(TorchDataLoader[T_co]):
    """`torch.utils.data.DataLoader` with slots instead of queues, and every stage recorded.

    All arguments are torch's and mean the same, and these are added:

    worker_method: "process" (torch's way) or "thread". Threads share the dataset, the GIL and the random state; they
        pay where `__getitem__` lets go of the GIL (reading, decoding, numpy).
    device: where batches shall be: a `torch.device` or its name, "accelerator" for the one that torch finds, or
        "simulated" (see `Simulated`). None leaves batches in the host's memory.
    recording: the run that events are recorded into. None records nothing.

    Batches are views of memory that is used again once you let go of them. Keep as many as you like: past the first
    two, you are given copies.

    Raises: what torch's raises, and SettingsError for arguments that contradict each other or this host.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        *args: Any,
        worker_method: Literal["process", "thread"] = "process",
        device: torch.device | str | Simulated | None = None,
        recording: Recording | None = None,
        **kwargs: Any,
    ) -> None:
        if worker_method not in ("process", "thread"):
            raise SettingsError(f"worker_method must be 'process' or 'thread', not {worker_method!r}")
        self.worker_method = worker_method
        self.device = device
        self.recording = recording
        self.epoch = 0
        super().__init__(dataset, batch_size, *args, **kwargs)
        if worker_method == "process" and self.num_workers > 0 and sys.platform == "win32":
            raise SettingsError("process workers need POSIX pipes; on Windows use worker_method='thread'")

    def _get_iterator(self) -> _BaseDataLoaderIter:
        if self.num_workers > 0:
            self.check_worker_number_rationality()
        return LoaderIterator(self)


class LoaderIterator(_BaseDataLoaderIter):
    """What `iter(loader)` gives: a journey in torch's clothes, for one epoch or, where workers persist, several.

    It belongs to the thread that iterates. When you let go of it, its workers end. So nothing that it holds holds it,
    or the loader: a cycle would keep the workers until the garbage collector came by.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._owner = os.getpid()
        self._journey = Journey(
            self._job(loader),
            method=loader.worker_method,
            context=loader.multiprocessing_context or torch.multiprocessing.get_context(),
            prefetch_factor=loader.prefetch_factor or 1,
            in_order=loader.in_order,
            timeout_s=self._timeout or None,
            pin_device=self._pin_memory_device if self._pin_memory else None,
            device=loader.device,
            recording=loader.recording,
        )
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
        )

    def _reset(self, loader: Any, first_iter: bool = False) -> None:
        """Begin an epoch with the workers that are there. Opens the sampler, as often as torch opens it."""
        super()._reset(loader, first_iter)
        self._begin(loader)

    def _begin(self, loader: DataLoader[Any]) -> None:
        self._journey.begin(self._sampler_iter, epoch=loader.epoch, shared_seed=self._shared_seed)
        loader.epoch += 1

    def pids(self) -> list[int]:
        """The processes that the workers run in, by worker; our own for threads and without workers."""
        return self._journey.pids()

    def __next__(self) -> Any:
        if torch.autograd._profiler_enabled() or self._IterableDataset_len_called is not None:
            return super().__next__()  # torch's own, which tells its profiler and warns of streams that are too long
        return self._next_data()

    def _next_data(self) -> Any:
        try:
            return next(self._journey)
        except StopIteration:
            if not self._persistent_workers:
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
