"""Whole batches, as a collate function of one's own (or `__getitems__`) made them: copied into given memory.

A `collate.Plan` lays out batches that are still to be made of samples. A `WholePlan` lays out one that is made: a tree
of dicts, lists, tuples and namedtuples of dense tensors and arrays, which need no pickle once the consumer knows their
places. What it gives back has the same types, dtypes and shapes, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from loader_core.engine.collate import Memory, Place, aligned, is_plain


@dataclass(frozen=True, slots=True)
class WholeTensor:
    """A dense CPU tensor."""

    place: Place
    shape: tuple[int, ...]

    def matches(self, part: Any, seen: set[int]) -> bool:
        seen.add(id(part))
        return (
            type(part) is torch.Tensor
            and part.dtype is self.place.torch_dtype
            and part.shape == self.shape
            and is_plain(part)
            and part.is_contiguous()
        )

    def write(self, part: Any, memory: Memory) -> None:
        self.view(memory).copy_(part)

    def view(self, memory: Memory) -> Any:
        if self.shape:
            return self.place.tensor(memory, self.shape[0])
        return self.place.tensor(memory, 1).view(())


@dataclass(frozen=True, slots=True)
class WholeArray:
    """A numpy array."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def matches(self, part: Any, seen: set[int]) -> bool:
        seen.add(id(part))
        return (
            type(part) is np.ndarray
            and part.dtype == self.dtype
            and part.shape == self.shape
            and part.flags.c_contiguous
        )

    def write(self, part: Any, memory: Memory) -> None:
        np.copyto(self.view(memory), part)

    def view(self, memory: Memory) -> Any:
        return np.ndarray(self.shape, self.dtype, memory, self.offset)


@dataclass(frozen=True, slots=True)
class WholeSequence:
    """A tuple, list or namedtuple."""

    type: type[Any]
    parts: tuple[Whole, ...]

    def matches(self, part: Any, seen: set[int]) -> bool:
        return (
            type(part) is self.type
            and len(part) == len(self.parts)
            and all(own.matches(each, seen) for own, each in zip(self.parts, part, strict=True))
        )

    def write(self, part: Any, memory: Memory) -> None:
        for own, each in zip(self.parts, part, strict=True):
            own.write(each, memory)

    def view(self, memory: Memory) -> Any:
        parts = [own.view(memory) for own in self.parts]
        if self.type is list:
            return parts
        return tuple(parts) if self.type is tuple else self.type(*parts)


@dataclass(frozen=True, slots=True)
class WholeDict:
    """A plain dict."""

    parts: tuple[tuple[Any, Whole], ...]

    def matches(self, part: Any, seen: set[int]) -> bool:
        return (
            type(part) is dict
            and len(part) == len(self.parts)
            and all(
                key == own and whole.matches(each, seen)
                for (own, whole), (key, each) in zip(self.parts, part.items(), strict=True)
            )
        )

    def write(self, part: Any, memory: Memory) -> None:
        for key, own in self.parts:
            own.write(part[key], memory)

    def view(self, memory: Memory) -> Any:
        return {key: own.view(memory) for key, own in self.parts}


Whole = WholeTensor | WholeArray | WholeSequence | WholeDict


@dataclass(frozen=True, slots=True)
class WholePlan:
    """How batches of exactly one structure lie in a slot of at least `nbytes`."""

    root: Whole
    leaves: int
    nbytes: int

    def matches(self, batch: Any) -> bool:
        """Whether `batch` has this structure, dtypes and shapes. One that holds a tensor twice shall keep doing so."""
        seen: set[int] = set()
        return self.root.matches(batch, seen) and len(seen) == self.leaves

    def write(self, batch: Any, memory: Memory) -> None:
        """Copy `batch` into `memory`."""
        self.root.write(batch, memory)

    def view(self, memory: Memory, _: int, __: list[Any]) -> Any:
        """The batch in `memory`, without a copy."""
        return self.root.view(memory)


def learn_whole(batch: Any) -> WholePlan | None:
    """The plan for batches like this one, or None if there is more to it than tensors and arrays."""
    end = leaves = 0

    def reserve(nbytes: int) -> int:
        nonlocal end, leaves
        start = aligned(end)
        end, leaves = start + nbytes, leaves + 1
        return start

    root = _whole(batch, reserve)
    plan = None if root is None or leaves == 0 else WholePlan(root, leaves, end)
    return plan if plan is not None and plan.matches(batch) else None


def _whole(part: Any, reserve: Callable[[int], int]) -> Whole | None:
    kind = type(part)
    if kind is torch.Tensor:
        if not is_plain(part):
            return None
        shape = tuple(part.shape)
        return WholeTensor(Place(reserve(part.nbytes), shape[1:], part.dtype), shape)
    if kind is np.ndarray:
        if part.dtype.kind not in "biufc":
            return None
        return WholeArray(reserve(part.nbytes), part.shape, part.dtype)
    if kind in (tuple, list) or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        parts = [_whole(each, reserve) for each in part]
        return WholeSequence(kind, tuple(parts)) if all(parts) else None  # type: ignore[arg-type]  # no None among them
    if kind is dict:
        entries = [(key, _whole(each, reserve)) for key, each in part.items()]
        return WholeDict(tuple(entries)) if all(whole for _, whole in entries) else None  # type: ignore[arg-type]
    return None
