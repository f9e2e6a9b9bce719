"""What runs inside a worker: take a task, fetch its samples, make the batch in its slot, tell where it lies.

The same `Worker` serves every pool: in the consumer's own thread, in a thread, in a process.
"""

from __future__ import annotations

import pickle
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from time import thread_time_ns
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch._utils import ExceptionWrapper
from torch.utils.data import IterableDataset
from torch.utils.data import _utils as torch_utils
from torch.utils.data._utils import worker as torch_worker
from torch.utils.data.graph_settings import apply_random_seed

from loader_core.engine.collate import Memory, Misfit, Plan, learn
from loader_core.engine.transport import Slots, pack, unpack
from loader_core.trace import NOT_MEASURED, NULL_RECORDER, Detail, Kind, Recorder, now, set_current

MAX_PLANS = 8
"""Plans that a worker learns before it packs batches of yet another structure."""


class Outcome(IntEnum):
    """What came of a task."""

    FIELDS = 1
    """A batch, laid out by a plan."""
    PACKED = 2
    """A batch, packed."""
    OBJECT = 3
    """A batch that is passed as it is: only within one process."""
    ERROR = 4
    """An exception, as torch's ExceptionWrapper, packed."""
    EXHAUSTED = 5
    """An iterable dataset has no samples left in this worker."""
    RESUMED = 6
    """The worker begins a new epoch."""
    DIED = 7
    """The worker is gone. Told by the pool."""


@dataclass(frozen=True, slots=True)
class Task:
    """One batch to be made. `indices` is what the sampler drew: a list, or one index without automatic batching."""

    epoch: int
    number: int
    slot: int
    indices: Any


@dataclass(frozen=True, slots=True)
class Resume:
    """A new epoch begins; iterable datasets start again. `shared_seed` is torch's, for DataPipes."""

    shared_seed: int | None


@dataclass(slots=True)
class Made:
    """What a worker tells of a task: 40 bytes between processes. `blob` is the bytes of the pickle at the end."""

    worker: int
    outcome: Outcome
    number: int = 0
    slot: int = 0
    samples: int = 0
    plan: int = 0
    used: int = 0
    blob: int = 0
    content: Any = None
    """The batch itself for OBJECT, its columns of text for FIELDS within one process."""
    exitcode: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """All that a worker needs to know, the same for each worker of a loader. Picklable if the user's parts are."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    auto_collation: bool
    drop_last: bool
    batch_size: int
    num_workers: int
    base_seed: int
    shared_seed: int | None
    worker_init_fn: Callable[[int], None] | None

    @property
    def iterable(self) -> bool:
        """Whether the dataset is an IterableDataset."""
        return isinstance(self.dataset, IterableDataset)


class Worker:
    """Makes batches. Used by one thread."""

    def __init__(
        self, job: Job, worker: int, *, slots: Slots, recorder: Recorder = NULL_RECORDER, same_process: bool, where: str
    ) -> None:
        """`where` begins the text of the dataset's errors, as torch's; "" passes them on as they are."""
        self._job = job
        self._worker = worker
        self._slots = slots
        self._record = recorder
        self._same_process = same_process
        self._where = where
        self._samples: Iterator[Any] | None = None
        self._plans: list[Plan] = []
        self._announced = 0
        self._ended = False
        self._default_collate = job.auto_collation and job.collate_fn is torch_utils.collate.default_collate
        self._init_error: ExceptionWrapper | None = None

    @property
    def plans(self) -> list[Plan]:
        """The plans learned so far; `Made.plan` counts them."""
        return self._plans

    def start(self) -> None:
        """Run the user's `worker_init_fn` and open the dataset. What they raise is told with the first batch."""
        try:
            if self._job.worker_init_fn is not None:
                self._job.worker_init_fn(self._worker)
            self._open()
        except Exception:  # noqa: BLE001 - whatever the user's code raises is told in the consumer
            self._init_error = ExceptionWrapper(where=self._where)

    def resume(self, resume: Resume) -> Made:
        """Begin a new epoch."""
        self._ended = False
        if resume.shared_seed is not None:
            self._job = reseeded(self._job, resume.shared_seed)
        self._open()
        return Made(self._worker, Outcome.RESUMED)

    def make(self, task: Task) -> Made | None:
        """Make the batch of `task`. None if this worker has told before that it has no samples left."""
        if self._ended:
            return None
        if self._init_error is not None:
            error, self._init_error = self._init_error, None
            return self._failed(task, error)
        record = self._record
        record.epoch, record.batch = task.epoch, task.number
        set_current(record)
        try:
            return self._batch(task, self._fetch(task))
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises is told in the consumer
            if isinstance(error, StopIteration) and self._job.iterable:
                self._ended = True
                return Made(self._worker, Outcome.EXHAUSTED, task.number, task.slot)
            record.mark(Kind.ERROR, task.number)
            return self._failed(task, ExceptionWrapper(where=self._where) if self._where else error)

    # --- fetch ---

    def _open(self) -> None:
        if self._job.iterable:
            self._samples = iter(self._job.dataset)

    def _fetch(self, task: Task) -> Any:
        record = self._record
        start, cpu = now(), thread_time_ns() if record.enabled else 0
        if not self._job.auto_collation:
            fetched = next(self._stream) if self._job.iterable else self._job.dataset[task.indices]
        elif self._job.iterable:
            fetched = self._next_samples(task)
        elif getattr(self._job.dataset, "__getitems__", None):
            fetched = self._job.dataset.__getitems__(task.indices)
        else:
            fetched = self._samples_at(task)
        record.add(Kind.FETCH, task.number, start, value=thread_time_ns() - cpu if record.enabled else 0)
        return fetched

    @property
    def _stream(self) -> Iterator[Any]:
        assert self._samples is not None, "start() opens the dataset"
        return self._samples

    def _samples_at(self, task: Task) -> list[Any]:
        dataset, record = self._job.dataset, self._record
        if not record.enabled or record.detail < Detail.SAMPLE:
            return [dataset[index] for index in task.indices]
        numbers = [index if type(index) is int else NOT_MEASURED for index in task.indices]
        fetched, stamps = [], [now()]
        for index, number in zip(task.indices, numbers, strict=True):
            record.sample = number
            fetched.append(dataset[index])
            stamps.append(now())
        record.add_items(task.number, numbers, stamps)
        return fetched

    def _next_samples(self, task: Task) -> list[Any]:
        record, wanted = self._record, len(task.indices)
        fetched, stamps = [], [now()]
        for _ in range(wanted):
            try:
                fetched.append(next(self._stream))
            except StopIteration:
                break
            stamps.append(now())
        if not fetched or (self._job.drop_last and len(fetched) < wanted):
            raise StopIteration
        if len(fetched) < wanted:
            self._samples = iter(())  # torch asks a stream that has ended no more
        if record.enabled and record.detail >= Detail.SAMPLE:
            record.add_items(task.number, [NOT_MEASURED] * len(fetched), stamps)
        return fetched

    # --- collate, into the slot ---

    def _batch(self, task: Task, fetched: Any) -> Made:
        start = now()
        samples = len(fetched) if self._job.auto_collation else 1
        made = self._planned(task, fetched) if self._default_collate else None
        if made is None:
            batch = self._job.collate_fn(fetched)
            self._record.add(Kind.COLLATE, task.number, start, value=nbytes(batch) if self._record.enabled else 0)
            made = self._passed(task, batch)
        else:
            self._record.add(Kind.COLLATE, task.number, start, value=samples * self._plans[made.plan].sample_bytes)
        made.samples = samples
        return made

    def _planned(self, task: Task, samples: Sequence[Any]) -> Made | None:
        number = next((n for n, plan in enumerate(self._plans) if plan.matches(samples)), None)
        if number is None:
            if len(self._plans) >= MAX_PLANS or not samples:
                return None
            plan = learn(samples[0], max(len(samples), self._job.batch_size))
            if plan is None:
                return None
            self._plans.append(plan)
            number = len(self._plans) - 1
        plan = self._plans[number]
        try:
            memory = self._slots.memory(task.slot, plan.nbytes)
            texts = plan.collate(samples, memory)
        except Misfit:
            return None
        made = Made(self._worker, Outcome.FIELDS, task.number, task.slot, plan=number, used=plan.nbytes)
        if self._same_process:
            made.content = texts
        else:
            self._append(made, self._unannounced(number), texts)
        return made

    def _unannounced(self, number: int) -> Plan | None:
        # The consumer learns a plan from the first batch that is laid out by it.
        if number < self._announced:
            return None
        self._announced = number + 1
        return self._plans[number]

    def _append(self, made: Made, plan: Plan | None, texts: list[Any]) -> None:
        if plan is None and not texts:
            return
        blob = pickle.dumps((plan, texts), 5)
        made.blob, made.used = len(blob), made.used + len(blob)
        old = self._slots.memory(made.slot, 0)
        memory = self._slots.memory(made.slot, made.used)
        if memory is not old:  # grown: what it held may be gone
            memory[: len(old)] = old
        memory[made.used - made.blob : made.used] = np.frombuffer(blob, np.uint8)

    def _passed(self, task: Task, batch: Any) -> Made:
        made = Made(self._worker, Outcome.OBJECT, task.number, task.slot)
        if self._same_process:
            made.content = batch
        else:
            made.outcome = Outcome.PACKED
            made.used, made.blob = pack(batch, self._slots, task.slot)
        return made

    def _failed(self, task: Task, error: ExceptionWrapper | Exception) -> Made:
        made = self._passed(task, error)
        made.outcome = Outcome.ERROR
        return made


def received(made: Made, plans: list[Plan], memory: Memory | None) -> Any:
    """The batch (or ExceptionWrapper) that `made` tells of, in the consumer. `plans` are those of its worker.

    `memory` is the lent slot: `(made.used,) uint8`.
    """
    if memory is None:
        return made.content
    if made.outcome is not Outcome.FIELDS:
        return unpack(memory, made.blob)
    texts = made.content
    if texts is None:
        plan, texts = pickle.loads(memory[made.used - made.blob :].data) if made.blob else (None, [])
        if plan is not None:
            plans.append(plan)
    return plans[made.plan].view(memory, made.samples, texts)


def nbytes(batch: Any) -> int:
    """Bytes of the tensors and arrays in a batch of dicts, lists and tuples."""
    if isinstance(batch, torch.Tensor | np.ndarray):
        return int(batch.nbytes)
    if isinstance(batch, dict):
        return sum(nbytes(part) for part in batch.values())
    if isinstance(batch, list | tuple):
        return sum(nbytes(part) for part in batch)
    return 0


# --- a worker's surroundings ------------------------------------------------------------------------------------------


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


_thread = threading.local()


def seed_thread(job: Job, worker: int) -> None:
    """Make this thread worker number `worker`: torch's own `get_worker_info()` answers in it as in a process.

    Random numbers of `random`, numpy and torch stay the process's: they are shared by all threads.
    """
    _make_worker_info_thread_aware()
    _thread.info = torch_worker.WorkerInfo(
        id=worker, num_workers=job.num_workers, seed=job.base_seed + worker, dataset=job.dataset
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
