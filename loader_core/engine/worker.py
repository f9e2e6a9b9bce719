"""What runs inside a worker: take a task, fetch its samples, make the batch in its slot, tell where it lies.

The same `Worker` serves every pool: in the consumer's own thread, in a thread, in a process.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from time import thread_time_ns
from typing import Any

import numpy as np
import torch
from torch._utils import ExceptionWrapper
from torch.utils.data._utils.collate import default_collate

from loader_core.engine.collate import Memory, Misfit, Plan, learn
from loader_core.engine.fetch import Fetcher, open_fetcher
from loader_core.engine.identity import reseeded, share_out
from loader_core.engine.task import NO_NOTES, Job, Made, Notes, Outcome, Resume, Task
from loader_core.engine.transport import Slots, pack, unpack
from loader_core.engine.whole import WholePlan, learn_whole
from loader_core.trace import NO_BATCH, NULL_RECORDER, Kind, Recorder, now, set_current
from loader_core.trace.core_wait import CoreWait
from loader_core.trace.process_meter import ProcessMeter

_BATCHES = {Outcome.FIELDS, Outcome.PACKED, Outcome.OBJECT, Outcome.ERROR}

MAX_PLANS = 8
"""Plans that a worker learns before it packs batches of yet another structure."""


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
        self._fetcher: Fetcher | None = None
        self._core_wait: CoreWait | None = None
        self._init_error: Any = None
        self._ended = False
        self._collated_ns = 0
        """When the batch just made was collated; 0: it was not."""
        self._plans: dict[int, Any] = {}
        self._announced: set[int] = set()
        self._default_collate = job.auto_collation and job.collate_fn is default_collate

    @property
    def plans(self) -> dict[int, Plan]:
        """The plans learned so far, by their numbers in `Made.plan`."""
        return self._plans

    def start(self) -> None:
        """Run the user's `worker_init_fn` and open the dataset. What they raise is told with the first batch."""
        set_current(self._record)
        self._core_wait = CoreWait() if self._record.enabled else None
        try:
            share_out(self._job, self._worker)
            if self._job.worker_init_fn is not None:
                self._job.worker_init_fn(self._worker)
            self._fetcher = open_fetcher(self._job, self._record)
        except Exception as error:
            if not self._where:
                raise  # in the consumer's own thread, which is about to iterate
            self._init_error = self._told(error)

    def serve(self, take: Callable[[], Task | Resume | None], tell: Callable[[Made], object]) -> None:
        """Do what `take` gives until it gives None, and `tell` what came of it."""
        record, idle = self._record, now()
        meter = None if self._same_process else ProcessMeter()  # threads are seen from the main process
        while (task := take()) is not None:
            record.add(Kind.WAIT_TASK, NO_BATCH if isinstance(task, Resume) else task.number, idle)
            if meter is not None:
                meter.look(record)
            made = self.resume(task) if isinstance(task, Resume) else self.make(task)
            start = self._collated_ns or now()  # to pack a batch that is no plain tensors is part of sending it
            if made is not None:
                tell(made)
                if made.outcome in _BATCHES:
                    record.add(Kind.SEND, made.number, start, value=made.used)
            idle = now()

    def resume(self, resume: Resume) -> Made:
        """Begin a new epoch."""
        self._ended = False
        self._announced.clear()  # what told of the plans may have been thrown away with the last epoch
        try:
            if resume.shared_seed is not None:
                self._job = reseeded(self._job, resume.shared_seed)
                self._fetcher = open_fetcher(self._job, self._record)
            if self._fetcher is not None:
                self._fetcher.restart(resume)
                self._init_error = None
        except Exception as error:
            if not self._where:
                raise
            self._init_error = self._told(error)
        return Made(self._worker, Outcome.RESUMED)

    def make(self, task: Task) -> Made | None:
        """Make the batch of `task`. None if this worker has told before that it has no samples left."""
        self._collated_ns = 0
        if self._ended:
            return None
        if self._init_error is not None:
            return self._passed(task, self._init_error, Outcome.ERROR)
        record = self._record
        record.epoch, record.batch = task.epoch, task.number
        set_current(record)
        try:
            return self._batch(task, *self._fetch(task))
        except BaseException as error:
            if not isinstance(error, Exception) and not self._same_process:
                raise  # ends this process, and nobody else
            if isinstance(error, StopIteration) and self._job.iterable:
                self._ended = True
                return Made(self._worker, Outcome.EXHAUSTED, task.number, task.slot)
            record.mark(Kind.ERROR, task.number)
            return self._passed(task, self._told(error), Outcome.ERROR)

    def _told(self, error: BaseException) -> ExceptionWrapper | BaseException:
        if not self._where:
            return error
        told = ExceptionWrapper(where=self._where)  # it takes the traceback from the exception being handled
        if not self._same_process:
            told.exc_type = next(kind for kind in type(error).__mro__ if _has_a_name(kind))
        return told

    def _fetch(self, task: Task) -> tuple[Any, Notes]:
        assert self._fetcher is not None, "start() opens the dataset"
        record, core_wait = self._record, self._core_wait
        start, cpu = now(), thread_time_ns() if record.enabled else 0
        if core_wait is not None:
            core_wait.begin()
        fetched = self._fetcher.fetch(task)
        record.add(Kind.FETCH, task.number, start, value=thread_time_ns() - cpu if record.enabled else 0)
        if core_wait is not None:
            core_wait.end(record, task.number, record.last_ns - start)
        stream = self._fetcher.state()
        if stream is None and not self._fetcher.bad:
            return fetched, NO_NOTES
        notes, self._fetcher.bad = Notes(tuple(self._fetcher.bad), stream), []
        return fetched, notes

    # --- collate, into the slot ---

    def _batch(self, task: Task, fetched: Any, notes: Notes) -> Made:
        if notes.bad and not (self._job.auto_collation and fetched):
            return self._passed(task, None, Outcome.EMPTY, notes)
        start = now()
        samples = len(fetched) if self._job.auto_collation else 1
        made = self._planned(task, fetched, notes) if self._default_collate else None
        if made is not None:
            self._record.add(Kind.COLLATE, task.number, start, value=samples * self._plans[made.plan].sample_bytes)
        else:
            batch = self._job.collate_fn(fetched)
            if type(fetched) is not list and not self._job.iterable and self._job.auto_collation:
                samples = len(task.indices)  # a batch that `__getitems__` made
            self._collated_ns = now()
            size = nbytes(batch) if self._record.enabled else 0
            self._record.add(Kind.COLLATE, task.number, start, self._collated_ns, size)
            if self._same_process:
                made = self._passed(task, batch, Outcome.OBJECT, notes)
            else:
                made = self._written(task, batch, notes) or self._passed(task, batch, Outcome.PACKED, notes)
        made.samples = samples
        return made

    def _planned(self, task: Task, samples: Sequence[Any], notes: Notes) -> Made | None:
        number = self._plan_for(samples)
        if number is None:
            return None
        plan = self._plans[number]
        try:
            memory = self._slots.memory(task.slot, plan.nbytes)
            texts = plan.collate(samples, memory)
        except Misfit:
            return None
        return self._laid_out(task, number, plan.nbytes, texts, notes)

    def _written(self, task: Task, batch: Any, notes: Notes) -> Made | None:
        number = next((n for n, plan in self._plans.items() if type(plan) is WholePlan and plan.matches(batch)), None)
        if number is None:
            plan = learn_whole(batch) if len(self._plans) < MAX_PLANS else None
            if plan is None:
                return None
            number = len(self._plans)
            self._plans[number] = plan
        plan = self._plans[number]
        plan.write(batch, self._slots.memory(task.slot, plan.nbytes))
        return self._laid_out(task, number, plan.nbytes, [], notes)

    def _laid_out(self, task: Task, number: int, used: int, texts: list[Any], notes: Notes) -> Made:
        made = Made(self._worker, Outcome.FIELDS, task.number, task.slot, plan=number, used=used)
        plan = self._plans[number]
        if self._same_process:
            made.content, made.notes = texts, notes
        elif number not in self._announced:
            # The consumer learns a plan from the first batch that is laid out by it.
            self._append(made, (plan, texts, notes))
            self._announced.add(number)
        elif texts or notes is not NO_NOTES:
            self._append(made, (None, texts, notes))
        return made

    def _plan_for(self, samples: Sequence[Any]) -> int | None:
        for number, plan in self._plans.items():
            if type(plan) is Plan and plan.matches(samples):
                return number
        if len(self._plans) >= MAX_PLANS or not samples:
            return None
        learned = learn(samples[0], max(len(samples), self._job.batch_size))
        if learned is None:
            return None
        number = len(self._plans)
        self._plans[number] = learned
        return number

    def _append(self, made: Made, beside: tuple[Plan | None, list[Any], Notes]) -> None:
        blob = pickle.dumps(beside, 5)
        fields = self._slots.memory(made.slot, made.used)[: made.used]
        made.blob, made.used = len(blob), made.used + len(blob)
        memory = self._slots.memory(made.slot, made.used)
        memory[: len(fields)] = fields  # a slot that had to grow may have lost them
        memory[len(fields) : made.used] = np.frombuffer(blob, np.uint8)

    def _passed(self, task: Task, content: Any, outcome: Outcome, notes: Notes = NO_NOTES) -> Made:
        """Pass `content` on without a plan: as it is within one process, else packed into the slot."""
        made = Made(self._worker, outcome, task.number, task.slot)
        if self._same_process:
            made.content, made.notes = content, notes
        else:
            made.used, made.blob = pack((content, None if notes is NO_NOTES else notes), self._slots, task.slot)
        return made


def _has_a_name(kind: type) -> bool:
    """Whether `kind` can be found by its name, in the consumer too: a class made within a function cannot."""
    try:
        pickle.dumps(kind, 5)
    except (pickle.PicklingError, AttributeError, ImportError):
        return False
    return True


def received(made: Made, plans: dict[int, Plan], slots: Slots) -> Any:
    """The batch (or exception) that `made` tells of, in the consumer; `made.notes` are filled in.

    `plans` are those that its worker has told of; one that comes with this batch is added. The slot is lent to the
    batch, or given back if nothing of it is used.
    """
    if made.outcome is not Outcome.FIELDS and made.used == 0:
        slots.give_back(made.slot)
        return made.content
    memory: Memory = slots.lend(made.slot, made.used)
    if made.outcome is not Outcome.FIELDS:
        content, notes = unpack(memory, made.blob)
        made.notes = notes or NO_NOTES
        return content
    texts = made.content
    if texts is None:
        texts = []
        if made.blob:
            plan, texts, made.notes = pickle.loads(memory[made.used - made.blob :].data)
            if plan is not None:
                plans[made.plan] = plan
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
