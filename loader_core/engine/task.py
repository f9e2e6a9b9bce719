"""What passes between a loader and its workers: the job once, then tasks one way and what was made the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from torch.utils.data import IterableDataset


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
    world_size: int = 1
    rank: int = 0
    on_error: Literal["raise", "skip"] = "raise"

    @property
    def iterable(self) -> bool:
        """Whether the dataset is an IterableDataset."""
        return isinstance(self.dataset, IterableDataset)


@dataclass(frozen=True, slots=True)
class Task:
    """One batch to be made.

    `indices` is what the sampler drew: a list, or one index without automatic batching. With it, `(n,) int64` is a
    list, too: see `sampler.batches_of`.
    """

    epoch: int
    number: int
    slot: int
    indices: Any


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where a worker's iterable dataset stood behind the last batch that was delivered from it."""

    batches: int = 0
    state: Any = None
    """What the dataset's (or its iterator's) own `state_dict()` gave; None if it has none."""


@dataclass(frozen=True, slots=True)
class Resume:
    """A new epoch begins; iterable datasets start again, or from `stream`. `shared_seed` is torch's, for DataPipes."""

    shared_seed: int | None = None
    stream: StreamState = StreamState()


class Outcome(IntEnum):
    """What came of a task."""

    FIELDS = 1
    """A batch, laid out by a plan."""
    PACKED = 2
    """A batch, packed."""
    OBJECT = 3
    """A batch that is passed as it is: only within one process."""
    ERROR = 4
    """An exception: torch's ExceptionWrapper, or the exception itself where there are no workers."""
    EMPTY = 5
    """No batch: none of its samples could be had."""
    EXHAUSTED = 6
    """An iterable dataset has no samples left in this worker."""
    RESUMED = 7
    """The worker begins a new epoch."""
    DIED = 8
    """The worker is gone. Told by the pool."""


@dataclass(frozen=True, slots=True)
class BadSample:
    """A sample that could not be had, with `on_error="skip"`."""

    index: Any
    error: str
    """The type of the exception."""
    message: str


@dataclass(frozen=True, slots=True)
class Notes:
    """What a worker has to say beside a batch."""

    bad: tuple[BadSample, ...] = ()
    stream: Any = None
    """The iterable dataset's state after this batch."""


NO_NOTES = Notes()


@dataclass(slots=True)
class Made:
    """What a worker tells of a task: 28 bytes between processes, the rest in the slot."""

    worker: int
    outcome: Outcome
    number: int = 0
    slot: int = 0
    samples: int = 0
    plan: int = 0
    used: int = 0
    blob: int = 0
    """Bytes of the pickle at the end of the slot's `used` ones."""
    content: Any = None
    """Within one process: the batch itself, or the columns of text of a batch in FIELDS. Of DIED: the most memory that
    the worker held, in bytes, or None."""
    notes: Notes = NO_NOTES
    exitcode: int = 0
