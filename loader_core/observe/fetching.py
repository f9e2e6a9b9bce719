"""What is recorded where samples become a batch: in a worker, or in the main process when it fetches by itself.

torch's fetcher is given attributes of its own for the time of a run (`fetch`, `collate_fn`, and something that stands
before the dataset); the dataset, its transforms and the collate function are the user's objects as they were. Frames of
ours do not show in the tracebacks of what they raise.
"""

from __future__ import annotations

import copy
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import Subset

from loader_core.observe.leaves import contents
from loader_core.observe.linting import SampleFacts
from loader_core.observe.pipelines import Pipelines
from loader_core.observe.progress import SAMPLE, Row
from loader_core.observe.quiet import quietly
from loader_core.start import swallow, unseen
from loader_core.trace import (
    NO_BATCH,
    NOT_MEASURED,
    NULL_RECORDER,
    Detail,
    Flag,
    Kind,
    Recorder,
    current_recorder,
    now,
    set_current,
)
from loader_core.trace.core_wait import CoreWait


class FetchWatch:
    """Records FETCH, ITEM, COLLATE and TENSORS of one fetcher. Used in the thread that fetches.

    Attributes:
        number: of the batch that is made next; its owner sets it.
        on_made: called with the bytes of each batch when it is made; its owner may set it.
        stamps: when the first sample was asked for, and when each was there; None in less detail.
    """

    def __init__(self, recorder: Recorder, row: Row, facts: SampleFacts, *, own_copy: bool) -> None:
        """`own_copy`: the dataset belongs to this process alone, so its pipelines may stay split for good."""
        self.broken = False
        self.recorder = recorder
        self.number = 0
        self.on_made: Callable[[int], None] | None = None
        self._row, self._words = row, row.words
        self._facts = facts
        self._own_copy = own_copy
        self._pipelines: Pipelines | None = None
        self._searched: Any = None
        self._start = self._cpu = self._collate_start = 0
        self._core_wait = CoreWait()
        self._numbers: list[int] = []
        self._at = 0
        self.stamps: list[int] | None = None
        self._fetching = False
        self._before: Recorder = NULL_RECORDER

    def attach(self, fetcher: Any) -> None:
        """Watch a fetcher of torch's from now on. Where that fails it stays as it was."""
        try:
            attributes = self._attributes(fetcher)
        except Exception:  # noqa: BLE001 - a fetcher of another make is left alone
            swallow("observing a fetcher")
            return
        vars(fetcher).update(attributes)

    def _attributes(self, fetcher: Any) -> dict[str, Any]:
        cls_fetch, this, watch = type(fetcher).fetch, weakref.ref(fetcher), self
        user_collate = fetcher.collate_fn
        auto_collation = fetcher.auto_collation
        roots = (fetcher.dataset, user_collate)
        if self._searched is not fetcher.dataset:
            self._searched, self._pipelines = fetcher.dataset, None

        def fetch(index: Any) -> Any:
            watch._begin(index, auto_collation, roots)
            try:
                batch = cls_fetch(this(), index)
            except BaseException as error:
                watch._fail(error)
                unseen(error)
                raise
            watch._end()
            return batch

        def collate(samples: Any) -> Any:
            watch._fetched(samples)
            try:
                batch = user_collate(samples)
            except BaseException as error:
                unseen(error)
                raise
            watch._collated(batch)
            return batch

        attributes: dict[str, Any] = {"fetch": fetch, "collate_fn": collate}
        if hasattr(fetcher, "dataset_iter"):
            attributes["dataset_iter"] = _Stream(fetcher.dataset_iter, self)
        else:
            before = stand_before(fetcher.dataset, self, auto_collation=auto_collation)
            if before is not None:
                attributes["dataset"] = before
        return attributes

    # --- a batch ------------------------------------------------------------------------------------------------------

    @quietly
    def _begin(self, index: Any, auto_collation: bool, roots: tuple[Any, ...]) -> None:
        recorder = self.recorder
        self._before = current_recorder()
        set_current(recorder)
        recorder.batch, recorder.sample = self.number, NOT_MEASURED
        detail = recorder.detail
        self._split(detail, roots)
        self._numbers = [_number(one) for one in index] if auto_collation else [_number(index)]
        self._at = 0
        self.stamps = [] if recorder.enabled and detail >= Detail.SAMPLE else None
        self._fetching = True
        self._start = now()
        self._row.begin(self.number, self._start)
        self._core_wait.begin()
        self._cpu = time.thread_time_ns()

    def _split(self, detail: Detail, roots: tuple[Any, ...]) -> None:
        if detail is Detail.STAGE:
            if self._pipelines is None:
                self._pipelines = Pipelines(*roots)
            self._pipelines.split()
        elif self._pipelines is not None:
            self._pipelines.join()

    @quietly
    def _fetched(self, samples: Any) -> None:
        self._add_fetch()
        self._facts.first_samples(samples, self.recorder.epoch)
        self._collate_start = now()

    def _add_fetch(self) -> None:
        end, cpu = now(), time.thread_time_ns()
        recorder, stamps = self.recorder, self.stamps
        self._fetching = False
        recorder.sample = NOT_MEASURED
        if stamps:
            count = len(stamps) - 1
            known = self._numbers[:count]
            recorder.add_items(self.number, known + [NOT_MEASURED] * (count - len(known)), stamps)
        recorder.add(Kind.FETCH, self.number, self._start, end, value=cpu - self._cpu)
        self._core_wait.end(recorder, self.number, end - self._start)

    @quietly
    def _collated(self, batch: Any) -> None:
        end = now()
        held = contents(batch)
        self.recorder.add(Kind.COLLATE, self.number, self._collate_start, end, value=held.nbytes)
        if held.tensors != NOT_MEASURED:
            flags = Flag.NONE if held.whole else Flag.INFERRED
            self.recorder.mark(Kind.TENSORS, self.number, value=held.tensors, flags=flags)
        if self.on_made is not None:
            self.on_made(held.nbytes)
        self._facts.batch_made(held, self.recorder.epoch)

    @quietly
    def _end(self) -> None:
        self._leave()

    @quietly
    def _fail(self, error: BaseException) -> None:
        recorder, sample = self.recorder, self.recorder.sample
        if self._fetching:
            self._add_fetch()
        else:
            recorder.add(Kind.COLLATE, self.number, self._collate_start)
        if not isinstance(error, StopIteration):
            recorder.mark(Kind.ERROR, self.number, sample=sample)
            self._row.fail(self.number, sample)
        self._leave()

    def _leave(self) -> None:
        self._row.rest()
        self.recorder.batch = NO_BATCH
        if not self._own_copy and self._pipelines is not None:
            self._pipelines.join()
        set_current(self._before)
        self._before = NULL_RECORDER

    # --- a sample -----------------------------------------------------------------------------------------------------

    def item_begins(self) -> None:
        """The next sample is asked for. Raises nothing."""
        at, numbers = self._at, self._numbers
        self._at = at + 1
        self.recorder.sample = self._words[SAMPLE] = numbers[at] if at < len(numbers) else NOT_MEASURED
        if at == 0 and self.stamps is not None:
            self.stamps.append(now())


class _Items:
    """Stands before a map-style dataset, where torch's fetcher sees it and nobody else."""

    __slots__ = ("_dataset", "_watch")

    def __init__(self, dataset: Any, watch: FetchWatch) -> None:
        self._dataset = dataset
        self._watch = watch

    def __getitem__(self, index: Any) -> Any:
        self._watch.item_begins()
        try:
            sample = self._dataset[index]
        except BaseException as error:
            unseen(error)
            raise
        stamps = self._watch.stamps
        if stamps is not None:
            stamps.append(now())
        return sample


class _Stream:
    """Stands before the iterator of an iterable dataset."""

    __slots__ = ("_samples", "_watch")

    def __init__(self, samples: Iterator[Any], watch: FetchWatch) -> None:
        self._samples = samples
        self._watch = watch

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._watch.item_begins()
        try:
            sample = next(self._samples)
        except BaseException as error:
            unseen(error)
            raise
        stamps = self._watch.stamps
        if stamps is not None:
            stamps.append(now())
        return sample


def stand_before(dataset: Any, watch: FetchWatch, *, auto_collation: bool) -> Any | None:
    """What the fetcher shall ask in the place of `dataset`; None where it must ask the dataset itself.

    A dataset that gives many samples at once (`__getitems__`) cannot be seen sample by sample; torch's own Subset can,
    when the dataset within it gives single ones.
    """
    if not auto_collation or not getattr(dataset, "__getitems__", None):
        return _Items(dataset, watch)
    if type(dataset) is not Subset or getattr(dataset.dataset, "__getitems__", None):
        return None
    subset = copy.copy(dataset)
    subset.dataset = _Items(dataset.dataset, watch)  # type: ignore[assignment] # all that a Subset asks of it
    return subset


def _number(index: Any) -> int:
    """An index as an event holds it. A sampler's keys need not be integers."""
    kind = type(index)
    if kind is int:
        return int(index)
    if kind.__module__ == "numpy" and hasattr(index, "dtype") and index.dtype.kind in "iu" and index.ndim == 0:
        return int(index)
    return NOT_MEASURED
