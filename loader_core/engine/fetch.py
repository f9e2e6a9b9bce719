"""How a worker gets samples from the dataset, and what it records of each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

import numpy as np

from loader_core.engine.task import BadSample, Job, Resume, Task
from loader_core.trace import NOT_MEASURED, Detail, Kind, Recorder, now


class Fetcher(Protocol):
    """Samples of a dataset, as the tasks ask for them. Used by one worker."""

    bad: list[BadSample]
    """Samples of the last fetch that could not be had."""

    def fetch(self, task: Task) -> Any:
        """The samples of a batch, or one sample without automatic batching. Raises what the dataset raises.

        A stream that has ended raises StopIteration.
        """

    def restart(self, resume: Resume) -> None:
        """A new epoch begins."""

    def state(self) -> Any:
        """Where a stream stands, if it can tell; else None."""


def open_fetcher(job: Job, record: Recorder) -> Fetcher:
    """The fetcher for the job's dataset. Runs the user's `__iter__` where the dataset is iterable."""
    return StreamFetcher(job, record) if job.iterable else MapFetcher(job, record)


class MapFetcher:
    """`dataset[index]`, or `dataset.__getitems__(indices)` where there is one."""

    def __init__(self, job: Job, record: Recorder) -> None:
        self.bad: list[BadSample] = []
        self._dataset = job.dataset
        self._auto_collation = job.auto_collation
        self._skips = job.on_error == "skip"
        self._record = record

    def fetch(self, task: Task) -> Any:
        if not self._auto_collation:
            return next(iter(self._good(task, [task.indices])), None) if self._skips else self._dataset[task.indices]
        indices = task.indices.tolist() if isinstance(task.indices, np.ndarray) else task.indices
        if getattr(self._dataset, "__getitems__", None):
            return self._batched(task, indices)
        if self._skips:
            return self._good(task, indices)
        record, dataset = self._record, self._dataset
        detail = record.detail if record.enabled else Detail.BATCH
        if detail is Detail.BATCH:
            return [dataset[index] for index in indices]
        fetched, stamps = self._staged(indices) if detail is Detail.STAGE else _stamped(dataset, indices)
        record.add_items(task.number, task.indices, stamps)
        return fetched

    def restart(self, resume: Resume) -> None:
        pass

    def state(self) -> Any:
        return None

    def _staged(self, indices: list[Any]) -> tuple[list[Any], list[int]]:
        """Samples and stamps as `_stamped`, each sample's index told to its stages."""
        record, dataset, fetched, stamps = self._record, self._dataset, [], [now()]
        for index in indices:
            record.sample = index if type(index) is int else NOT_MEASURED
            fetched.append(dataset[index])
            stamps.append(now())
        return fetched, stamps

    def _batched(self, task: Task, indices: list[Any]) -> Any:
        try:
            return self._dataset.__getitems__(indices)
        except Exception:
            if not self._skips:
                raise
        return self._good(task, indices)  # one by one, to tell the bad samples from the good

    def _good(self, task: Task, indices: list[Any]) -> list[Any]:
        self.bad = []
        record, fetched, stamps = self._record, [], [now()]
        for index in indices:
            record.sample = number = index if type(index) is int else NOT_MEASURED
            try:
                fetched.append(self._dataset[index])
            except Exception as error:  # noqa: BLE001 - which it is, is told to the consumer
                record.mark(Kind.ERROR, task.number, sample=number)
                self.bad.append(BadSample(index, type(error).__name__, str(error)[:500]))
            stamps.append(now())
        if record.enabled and record.detail >= Detail.SAMPLE:
            record.add_items(task.number, indices, stamps)
        return fetched


def _stamped(dataset: Any, indices: list[Any]) -> tuple[list[Any], list[int]]:
    """The samples, and n + 1 stamps of the clock around them."""
    clock = now
    fetched, stamps = [], [clock()]
    for index in indices:
        fetched.append(dataset[index])
        stamps.append(clock())
    return fetched, stamps


class StreamFetcher:
    """`next(iter(dataset))`, as often as a batch has samples."""

    def __init__(self, job: Job, record: Recorder) -> None:
        self.bad: list[BadSample] = []
        self._dataset = job.dataset
        self._auto_collation = job.auto_collation
        self._drop_last = job.drop_last
        self._record = record
        self._samples_per_batch = job.batch_size if job.auto_collation else 1
        self._samples: Iterator[Any] = iter(self._dataset)

    def restart(self, resume: Resume) -> None:
        state = resume.stream.state
        if state is not None and hasattr(self._dataset, "load_state_dict"):
            self._dataset.load_state_dict(state)
        self._samples = iter(self._dataset)
        if state is None:
            self._pass_over(resume.stream.batches * self._samples_per_batch)
        elif not hasattr(self._dataset, "load_state_dict"):
            self._samples.load_state_dict(state)  # type: ignore[attr-defined]  # who told its state takes it back

    def _pass_over(self, samples: int) -> None:
        """Go on to where the stream was, sample by sample, since it cannot be told to jump there."""
        for _ in islice(self._samples, samples):
            pass

    def state(self) -> Any:
        for teller in (self._dataset, self._samples):
            if hasattr(teller, "state_dict"):
                return teller.state_dict()
        return None

    def fetch(self, task: Task) -> Any:
        return self._batch(task) if self._auto_collation else next(self._samples)

    def _batch(self, task: Task) -> list[Any]:
        record, wanted = self._record, len(task.indices)
        record.sample = NOT_MEASURED
        fetched, stamps = [], [now()]
        for _ in range(wanted):
            try:
                fetched.append(next(self._samples))
            except StopIteration:
                break
            stamps.append(now())
        if not fetched or (self._drop_last and len(fetched) < wanted):
            raise StopIteration
        if len(fetched) < wanted:
            self._samples = _Ended(self._samples)
        if record.enabled and record.detail >= Detail.SAMPLE:
            record.add_items(task.number, [NOT_MEASURED] * len(fetched), stamps)
        return fetched


class _Ended:
    """A stream that has ended, and is asked no more, as in torch; it still knows where it stands."""

    def __init__(self, samples: Iterator[Any]) -> None:
        for name in ("state_dict", "load_state_dict"):
            if hasattr(samples, name):
                setattr(self, name, getattr(samples, name))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        raise StopIteration
