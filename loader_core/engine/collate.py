"""Samples become a batch, straight into given memory.

A `Plan` is learned from the first batch that torch's `default_collate` would make from plain tensors, numpy arrays and
numbers in dicts, lists, tuples and namedtuples. It knows the place of each field, so that later batches need neither
allocation nor pickle. It promises nothing that it cannot keep: samples that do not fit raise `Misfit`, and the caller
lets torch's own `default_collate` do the work, with torch's results and torch's errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch.utils.data._utils import collate as torch_collate

ALIGNMENT = 64
"""Each field begins at a multiple of this many bytes: a cache line, and enough for every SIMD load."""

SMALL_BYTES = 4096
"""Arrays up to this size are joined as bytes: np.concatenate takes 0.25 us for each, however small it is."""

_dtype_of, _shape_of, _ndim_of = attrgetter("dtype"), attrgetter("shape"), attrgetter("ndim")

Memory = np.ndarray[Any, np.dtype[np.uint8]]
"""`(bytes,) uint8`: the memory of one slot."""

_NUMPY_DTYPES = {
    torch.from_numpy(np.empty(0, name)).dtype: np.dtype(name)
    for name in ("f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "?", "c8", "c16")
}

_TORCH_COLLATORS = dict(torch_collate.default_collate_fn_map)


class Misfit(Exception):
    """These samples do not fit the plan. Never leaves the engine."""


def aligned(offset: int) -> int:
    """The next multiple of ALIGNMENT."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def default_collate_is_torchs() -> bool:
    """Whether nobody has changed the map by which `default_collate` can be extended."""
    return torch_collate.default_collate_fn_map == _TORCH_COLLATORS


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field of `count` samples lies in a slot: `(count, *shape)` of one dtype from `offset`."""

    offset: int
    shape: tuple[int, ...]
    torch_dtype: torch.dtype

    def tensor(self, memory: Memory, count: int) -> torch.Tensor:
        """A view of the field. The memory stays alive as long as the view or any view of it."""
        numel = count
        for side in self.shape:
            numel *= side
        if numel == 0:
            return torch.empty((count, *self.shape), dtype=self.torch_dtype)
        numpy_dtype = _NUMPY_DTYPES.get(self.torch_dtype)
        if numpy_dtype is not None:  # half the time of the general way below
            return torch.from_numpy(np.ndarray((count, *self.shape), numpy_dtype, memory, self.offset))
        flat = torch.frombuffer(memory, dtype=self.torch_dtype, count=numel, offset=self.offset)
        return flat.view(count, *self.shape)

    def nbytes(self, capacity: int) -> int:
        """Bytes of the field for `capacity` samples."""
        numel = capacity
        for side in self.shape:
            numel *= side
        return numel * self.torch_dtype.itemsize


@dataclass(frozen=True, slots=True)
class TensorField:
    """Dense CPU tensors of one dtype and shape."""

    place: Place

    def matches(self, sample: Any) -> bool:
        return (
            type(sample) is torch.Tensor
            and sample.dtype is self.place.torch_dtype
            and tuple(sample.shape) == self.place.shape
            and is_plain(sample)
        )

    def collate(self, column: Sequence[Any], memory: Memory, _: list[Any]) -> None:
        out = self.place.tensor(memory, len(column))
        try:
            # torch.stack itself would cast to the dtype of `out`.
            if set(map(_dtype_of, column)) != {self.place.torch_dtype}:
                raise Misfit("tensors of several dtypes")
            torch.stack(column, out=out)  # type: ignore[arg-type]  # any sequence will do
        except (RuntimeError, TypeError, AttributeError) as error:
            raise Misfit(str(error)) from None

    def view(self, memory: Memory, count: int, _: list[Any]) -> Any:
        return self.place.tensor(memory, count)


@dataclass(frozen=True, slots=True)
class ArrayField:
    """Numpy arrays of one dtype and shape."""

    place: Place
    dtype: np.dtype[Any]

    def matches(self, sample: Any) -> bool:
        return type(sample) is np.ndarray and sample.dtype == self.dtype and sample.shape == self.place.shape

    def collate(self, column: Sequence[Any], memory: Memory, _: list[Any]) -> None:
        shape = self.place.shape
        try:
            if 0 < self.place.nbytes(1) <= SMALL_BYTES:
                self._join(column, memory)
            elif shape:
                # One concatenation is three times as fast as np.stack, which first makes a view of each array. It
                # checks all sides but the first.
                if set(map(len, column)) != {shape[0]}:
                    raise Misfit("arrays of several shapes")
                flat = np.ndarray((len(column) * shape[0], *shape[1:]), self.dtype, memory, self.place.offset)
                np.concatenate(column, out=flat, casting="no")
            else:
                out = np.ndarray((len(column),), self.dtype, memory, self.place.offset)
                np.stack(column, out=out, casting="no")
        except (TypeError, ValueError, AttributeError) as error:
            raise Misfit(str(error)) from None

    def _join(self, column: Sequence[Any], memory: Memory) -> None:
        shape = self.place.shape
        if len(shape) == 1:  # faster than to have all shapes
            same_shape = set(map(_ndim_of, column)) == {1} and set(map(len, column)) == {shape[0]}
        else:
            same_shape = set(map(_shape_of, column)) == {shape}
        if not same_shape or set(map(_dtype_of, column)) != {self.dtype}:
            raise Misfit("arrays of several shapes or dtypes")
        try:
            joined = b"".join(column)
        except TypeError:  # one is a view with gaps
            joined = b"".join([array.tobytes() for array in column])
        start = self.place.offset
        memory[start : start + len(joined)] = np.frombuffer(joined, np.uint8)

    def view(self, memory: Memory, count: int, _: list[Any]) -> Any:
        return self.place.tensor(memory, count)


@dataclass(frozen=True, slots=True)
class NumberField:
    """Python or numpy numbers."""

    place: Place
    dtype: np.dtype[Any]
    type: type

    def matches(self, sample: Any) -> bool:
        return type(sample) is self.type

    def collate(self, column: Sequence[Any], memory: Memory, _: list[Any]) -> None:
        try:
            numbers = np.array(column)
        except (ValueError, OverflowError, RuntimeError) as error:
            raise Misfit(str(error)) from None
        if numbers.dtype != self.dtype or numbers.ndim != 1:
            raise Misfit(f"numbers of dtype {numbers.dtype}, not {self.dtype}")
        np.ndarray((len(column),), self.dtype, memory, self.place.offset)[:] = numbers

    def view(self, memory: Memory, count: int, _: list[Any]) -> Any:
        return self.place.tensor(memory, count)


@dataclass(frozen=True, slots=True)
class TextField:
    """Strings or bytes: collated to the column itself, as torch does, and sent beside the slot."""

    type: type

    def matches(self, sample: Any) -> bool:
        return type(sample) is self.type

    def collate(self, column: Sequence[Any], _: Memory, texts: list[Any]) -> None:
        texts.append(column)

    def view(self, _: Memory, count: int, texts: list[Any]) -> Any:
        return texts.pop(0)


@dataclass(frozen=True, slots=True)
class TupleField:
    """A tuple or list (both collated to a list, as torch does), or a namedtuple (collated to its own type)."""

    type: type[Any]
    fields: tuple[Field, ...]

    def matches(self, sample: Any) -> bool:
        return (
            type(sample) is self.type
            and len(sample) == len(self.fields)
            and all(field.matches(part) for field, part in zip(self.fields, sample, strict=True))
        )

    def collate(self, column: Sequence[Any], memory: Memory, texts: list[Any]) -> None:
        try:
            columns = list(zip(*column, strict=True))
        except (TypeError, ValueError) as error:
            raise Misfit(str(error)) from None
        if len(columns) != len(self.fields):
            raise Misfit(f"samples of {len(columns)} parts, not {len(self.fields)}")
        for field, part in zip(self.fields, columns, strict=True):
            field.collate(part, memory, texts)

    def view(self, memory: Memory, count: int, texts: list[Any]) -> Any:
        parts = [field.view(memory, count, texts) for field in self.fields]
        return parts if self.type in (tuple, list) else self.type(*parts)


@dataclass(frozen=True, slots=True)
class DictField:
    """A plain dict, its keys in the order of the first sample's."""

    fields: tuple[tuple[Any, Field], ...]

    def matches(self, sample: Any) -> bool:
        return (
            type(sample) is dict
            and len(sample) == len(self.fields)
            and all(
                key == own and field.matches(part)
                for (key, part), (own, field) in zip(sample.items(), self.fields, strict=True)
            )
        )

    def collate(self, column: Sequence[Any], memory: Memory, texts: list[Any]) -> None:
        for key, field in self.fields:
            try:
                part = [sample[key] for sample in column]
            except (KeyError, TypeError) as error:
                raise Misfit(str(error)) from None
            field.collate(part, memory, texts)

    def view(self, memory: Memory, count: int, texts: list[Any]) -> Any:
        return {key: field.view(memory, count, texts) for key, field in self.fields}


Field = TensorField | ArrayField | NumberField | TextField | TupleField | DictField


@dataclass(frozen=True, slots=True)
class Plan:
    """How batches of up to `capacity` samples of one structure lie in a slot of at least `nbytes`."""

    root: Field
    capacity: int
    nbytes: int
    sample_bytes: int

    def matches(self, samples: Sequence[Any]) -> bool:
        """Whether the first of `samples` has this plan's structure, and all of them have room."""
        return 0 < len(samples) <= self.capacity and self.root.matches(samples[0])

    def collate(self, samples: Sequence[Any], memory: Memory) -> list[Any]:
        """Write the batch of `samples` into `memory`; returns its columns of text, which are not in there.

        Raises Misfit, with `memory` in an undefined state, if torch's `default_collate` would not make this batch.
        """
        texts: list[Any] = []
        self.root.collate(samples, memory, texts)
        return texts

    def view(self, memory: Memory, count: int, texts: list[Any]) -> Any:
        """The batch of `count` samples in `memory`, without a copy. `texts` is used up."""
        return self.root.view(memory, count, texts)


def learn(sample: Any, capacity: int) -> Plan | None:
    """The plan for batches of up to `capacity` samples like `sample`, or None where only torch can collate them."""
    if not default_collate_is_torchs():
        return None
    end = sample_bytes = 0

    def place(shape: tuple[int, ...], torch_dtype: torch.dtype) -> Place:
        nonlocal end, sample_bytes
        reserved = Place(aligned(end), shape, torch_dtype)
        end = reserved.offset + reserved.nbytes(capacity)
        sample_bytes += reserved.nbytes(1)
        return reserved

    root = _field(sample, place)
    return None if root is None else Plan(root, capacity, end, sample_bytes)


def _field(sample: Any, place: Callable[[tuple[int, ...], torch.dtype], Place]) -> Field | None:
    kind = type(sample)
    if kind is torch.Tensor:
        return TensorField(place(tuple(sample.shape), sample.dtype)) if is_plain(sample) else None
    if kind is np.ndarray:
        dtype = _torch_dtype(sample.dtype)
        return None if dtype is None else ArrayField(place(sample.shape, dtype), sample.dtype)
    if kind in (int, float, bool) or issubclass(kind, np.number | np.bool_):
        numbers = np.array([sample])
        collated: torch.dtype = torch_collate.default_collate([sample]).dtype
        if _torch_dtype(numbers.dtype) is not collated:
            return None
        return NumberField(place((), collated), numbers.dtype, kind)
    if kind in (str, bytes):
        return TextField(kind)
    if kind in (tuple, list) or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        parts = [_field(part, place) for part in sample]
        return TupleField(kind, tuple(parts)) if all(parts) else None  # type: ignore[arg-type]  # no None among them
    if kind is dict:
        entries = [(key, _field(part, place)) for key, part in sample.items()]
        return DictField(tuple(entries)) if all(field for _, field in entries) else None  # type: ignore[arg-type]
    return None


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether the tensor's bytes, dtype and shape are all there is to it."""
    return (
        tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and not tensor.requires_grad
        and not tensor.is_nested
        and not tensor.is_quantized
        and not tensor.is_conj()
        and not tensor.is_neg()
    )


def _torch_dtype(dtype: np.dtype[Any]) -> torch.dtype | None:
    if not dtype.isnative or dtype.kind not in "biufc":
        return None
    try:
        return torch.from_numpy(np.empty(0, dtype)).dtype
    except TypeError:
        return None
