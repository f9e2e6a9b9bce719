"""The ladder below a DataLoader, one rung at a time: iterator, generator, plain loader.

Each rung is one idea, whole and working:

- `Enumerate`: an iterable and its iterator, with `__iter__` and `__next__` written out;
- `enumerate_lazily`: the same as a generator function, which writes both methods for us;
- `fibonacci`: a sequence without an end, of which a loop takes as much as it wants;
- `PlainLoader`: batches of a dataset in order or shuffled: a DataLoader without workers.

Each takes a `record`, so that what it does can be seen on a timeline. Without one nothing is recorded. A recorder
belongs to one thread: iterate in the thread that made it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from loader_core.errors import SettingsError
from loader_core.trace.event import NO_BATCH, Kind
from loader_core.trace.recorder import NULL_RECORDER, Recorder, now

T = TypeVar("T")


class Enumerate(Generic[T]):
    """What the built-in `enumerate` gives, as an iterable: `(0, first), (1, second), ...`.

    An iterable holds no position. It only promises iterators: each `iter()` makes a new one that counts from `start`,
    so two loops over one Enumerate do not disturb each other.
    """

    def __init__(self, iterable: Iterable[T], start: int = 0, *, record: Recorder = NULL_RECORDER) -> None:
        self.iterable = iterable
        self.start = start
        self.record = record

    def __iter__(self) -> EnumerateIterator[T]:
        return EnumerateIterator(iter(self.iterable), self.start, record=self.record)


class EnumerateIterator(Iterator[tuple[int, T]]):
    """One walk through an Enumerate. It holds the position, and can be walked only once.

    It asks nothing of the values but `next()`: a file, a socket and an endless sequence will do as well as a list.
    """

    def __init__(self, values: Iterator[T], position: int, *, record: Recorder = NULL_RECORDER) -> None:
        self.values = values
        self.position = position
        self.record = record

    def __iter__(self) -> EnumerateIterator[T]:
        return self

    def __next__(self) -> tuple[int, T]:
        asked = now()
        value = next(self.values)  # at the end this raises StopIteration, and so do we
        position = self.position
        self.position += 1
        self.record.add(Kind.ITEM, NO_BATCH, asked, sample=position)
        return position, value


def enumerate_lazily(
    iterable: Iterable[T], start: int = 0, *, record: Recorder = NULL_RECORDER
) -> Iterator[tuple[int, T]]:
    """The same as a generator: at each `yield` the function stops where it is, and keeps its variables.

    Calling it runs nothing yet. The first `next()` does, up to the first `yield`.
    """
    position = start
    asked = now()
    for value in iterable:
        record.add(Kind.ITEM, NO_BATCH, asked, sample=position)
        yield position, value
        asked = now()
        position += 1


def fibonacci(*, record: Recorder = NULL_RECORDER) -> Iterator[int]:
    """0, 1, 1, 2, 3, 5, 8 ... without an end, in constant memory but for the size of the numbers.

    `itertools.islice(fibonacci(), 50)` takes the first 50.
    """
    position, this, following = 0, 0, 1
    while True:
        asked = now()
        record.add(Kind.ITEM, NO_BATCH, asked, sample=position)
        yield this
        position, this, following = position + 1, following, this + following


class PlainLoader(Generic[T]):
    """Lists of `batch_size` samples of a dataset, one after the other: what a DataLoader is before it has workers.

    `shuffle` draws a new order for each epoch from the loader's own generator, so neither the dataset nor the global
    random state is touched, and the same `seed` gives the same epochs. Iterators are independent of each other: each
    has its own order and position. The last batch is shorter where `batch_size` does not divide the dataset.

    Raises SettingsError where `batch_size` is below 1.
    """

    def __init__(
        self,
        dataset: Sequence[T],
        batch_size: int = 1,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        record: Recorder = NULL_RECORDER,
    ) -> None:
        if batch_size < 1:
            raise SettingsError(f"batch_size is {batch_size}, but a batch holds at least one sample: give 1 or more")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.record = record
        self.epochs_begun = 0
        self._random = random.Random(seed)

    def __len__(self) -> int:
        return math.ceil(len(self.dataset) / self.batch_size)

    def __iter__(self) -> Iterator[list[T]]:
        # The order is drawn here and not in the generator, which would wait with it for the first next().
        order = list(range(len(self.dataset)))
        if self.shuffle:
            self._random.shuffle(order)
        epoch = self.epochs_begun
        self.epochs_begun += 1
        return self._batches(order, epoch)

    def _batches(self, order: list[int], epoch: int) -> Iterator[list[T]]:
        for number, first in enumerate(range(0, len(order), self.batch_size)):
            self.record.epoch = epoch
            start = now()
            indices = order[first : first + self.batch_size]
            self.record.add(Kind.DRAW, number, start, value=len(indices))
            yield self._fetch(number, indices)

    def _fetch(self, number: int, indices: list[int]) -> list[T]:
        samples = []
        stamps = [now()]
        for index in indices:
            samples.append(self.dataset[index])
            stamps.append(now())
        self.record.add_items(number, indices, stamps)
        self.record.add(Kind.FETCH, number, stamps[0], stamps[-1])
        return samples
