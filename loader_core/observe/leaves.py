"""What a batch of unknown make holds: its samples, bytes and tensors, told from its leaves without importing torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from loader_core.trace import NOT_MEASURED

_DEEPEST = 8
"""Levels of nesting that are looked into; what lies deeper counts for nothing."""

MAX_LEAVES = 2_048
"""Leaves that are looked at. Of a batch with more, bytes are not measured, and tensors are as many at least."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a batch holds."""

    samples: int
    """The length of its first array or tensor, or of a list of single samples; NOT_MEASURED where neither tells."""
    nbytes: int
    """Bytes of its arrays and tensors; NOT_MEASURED where it has none."""
    tensors: int
    """Its torch tensors; NOT_MEASURED where it has none."""
    whole: bool = True
    """All leaves were looked at. Else `tensors` is the number among the first `MAX_LEAVES`."""


NOTHING = Contents(NOT_MEASURED, NOT_MEASURED, NOT_MEASURED)


def contents(batch: Any) -> Contents:
    """Look at the leaves of `batch` once. Some microseconds; raises nothing, whatever the batch's own types do."""
    try:
        return _contents(batch)
    except Exception:  # noqa: BLE001 - a batch's own properties may raise anything
        return NOTHING


def _contents(batch: Any) -> Contents:
    samples = nbytes = tensors = NOT_MEASURED
    for number, leaf in enumerate(leaves(batch)):
        if number == MAX_LEAVES:
            return Contents(samples if samples >= 0 else _length(batch), NOT_MEASURED, tensors, whole=False)
        shape = getattr(leaf, "shape", None)
        if shape is None or not hasattr(leaf, "nbytes"):
            continue
        if samples < 0 and len(shape):
            samples = int(shape[0])
        nbytes = max(nbytes, 0) + int(leaf.nbytes)
        if hasattr(leaf, "untyped_storage"):
            tensors = max(tensors, 0) + 1
    return Contents(samples if samples >= 0 else _length(batch), nbytes, tensors)


def _length(batch: Any) -> int:
    return len(batch) if isinstance(batch, list) and batch else NOT_MEASURED


def leaves(batch: Any, depth: int = 0) -> Iterator[Any]:
    """What is in a batch, through mappings, sequences and dataclasses, in their order."""
    parts: Sequence[Any] | None = None
    if isinstance(batch, Mapping):
        parts = list(batch.values())
    elif isinstance(batch, (list, tuple)):
        parts = batch
    elif is_dataclass(batch) and not isinstance(batch, type):
        parts = [getattr(batch, field.name) for field in fields(batch)]
    if parts is None:
        yield batch
    elif depth < _DEEPEST:
        for part in parts:
            yield from leaves(part, depth + 1)
