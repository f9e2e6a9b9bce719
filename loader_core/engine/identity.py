"""Who a worker is: its random seeds, its shard, and what torch's `get_worker_info()` answers in it."""

from __future__ import annotations

import random
import threading
from copy import deepcopy
from dataclasses import replace
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterDataPipe, MapDataPipe
from torch.utils.data._utils import worker as torch_worker
from torch.utils.data.graph_settings import apply_random_seed, apply_sharding

from loader_core.engine.task import Job


def seed_process(job: Job, worker: int) -> Job:
    """Make this process torch's worker number `worker`: random seeds, one torch thread, `get_worker_info()`.

    Seeds equal torch's, so that the same base seed gives the same random numbers. Returns the job as this worker
    shall see it.
    """
    torch.set_num_threads(1)
    seed = job.base_seed + worker
    random.seed(seed)
    torch.manual_seed(seed)
    np.random.seed(torch_worker._generate_state(job.base_seed, worker))
    if job.shared_seed is not None:
        job = reseeded(job, job.shared_seed)
    torch_worker._worker_info = torch_worker.WorkerInfo(
        id=worker, num_workers=job.num_workers, seed=seed, dataset=job.dataset
    )
    return job


def reseeded(job: Job, shared_seed: int) -> Job:
    """The job with its DataPipe's random state set, as torch does for each epoch."""
    generator = torch.Generator()
    generator.manual_seed(shared_seed)
    return replace(job, dataset=apply_random_seed(job.dataset, generator))


def with_own_datapipe(job: Job) -> Job:
    """The job of one thread among several: a DataPipe has one iterator at a time and keeps its shard in itself."""
    return replace(job, dataset=deepcopy(job.dataset)) if _is_datapipe(job) else job


def share_out(job: Job, worker: int) -> None:
    """Settle which shard of a DataPipe is this worker's, as torch does: first by rank, then by worker."""
    if _is_datapipe(job):
        apply_sharding(job.dataset, max(1, job.num_workers) * job.world_size, worker * job.world_size + job.rank)


def _is_datapipe(job: Job) -> bool:
    return isinstance(job.dataset, IterDataPipe | MapDataPipe)


_thread = threading.local()


def seed_thread(job: Job, worker: int) -> None:
    """Make this thread worker number `worker`: torch's own `get_worker_info()` answers in it as in a process.

    Random numbers of `random`, numpy and torch stay the process's: they are shared by all threads.
    """
    _make_worker_info_thread_aware()
    method: dict[str, Any] = {"worker_method": "thread"} if hasattr(torch_worker.WorkerInfo, "worker_method") else {}
    _thread.info = torch_worker.WorkerInfo(
        id=worker, num_workers=job.num_workers, seed=job.base_seed + worker, dataset=job.dataset, **method
    )


def _make_worker_info_thread_aware() -> None:
    # User code imports torch's function by name and asks it which shard to read: in a worker thread it must answer
    # for that thread. Replacing the function's code reaches every place that has imported it already.
    module = vars(torch_worker)
    if "_loaderscope_thread" in module:
        return
    module["_loaderscope_thread"] = _thread

    def get_worker_info() -> Any:
        return getattr(_loaderscope_thread, "info", _worker_info)  # type: ignore[name-defined]  # noqa: F821 - torch's module

    assert isinstance(torch_worker.get_worker_info, FunctionType)
    torch_worker.get_worker_info.__code__ = get_worker_info.__code__
