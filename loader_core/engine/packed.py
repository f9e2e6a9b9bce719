"""PackedList: many small Python objects as one block of bytes.

A list of a million dicts in forked workers grows by copy-on-write: reading an object writes its reference count, and
each touched page becomes a private copy (pytorch/pytorch#13246). Bytes in one array have no reference counts.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar, overload

import numpy as np

T = TypeVar("T")


class PackedList(Sequence[T], Generic[T]):
    """A read-only sequence of picklable objects, kept as their pickles in one array.

    `packed[i]` is a new object each time, at the cost of unpickling it. Pickling a PackedList, as for spawned workers,
    copies two arrays whatever it holds.
    """

    def __init__(self, objects: Iterable[T]) -> None:
        pickles = [pickle.dumps(each, 5) for each in objects]
        self._ends = np.cumsum([len(each) for each in pickles], dtype=np.int64)
        self._bytes = np.frombuffer(b"".join(pickles), np.uint8)

    @property
    def nbytes(self) -> int:
        """Memory that all of it takes."""
        return int(self._bytes.nbytes + self._ends.nbytes)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"index {index} is outside a PackedList of {len(self)} objects")
        start = int(self._ends[at - 1]) if at else 0
        each: T = pickle.loads(self._bytes[start : int(self._ends[at])].data)
        return each
