"""What a batch of unknown make holds: its samples and its bytes, told from its leaves without importing torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from loader_core.trace import NOT_MEASURED

_DEEPEST = 8
"""Levels of nesting that are looked into; what lies deeper counts for nothing."""


def batch_samples(batch: Any) -> int:
    """How many samples a batch has: the length of its first array or tensor, or of a list of single samples.

    NOT_MEASURED where neither tells.
    """
    for leaf in _leaves(batch):
        if getattr(leaf, "shape", None):
            return int(leaf.shape[0])
    return len(batch) if isinstance(batch, list) and batch else NOT_MEASURED


def batch_nbytes(batch: Any) -> int:
    """The bytes of a batch's arrays and tensors; NOT_MEASURED where it has none."""
    sizes = [int(leaf.nbytes) for leaf in _leaves(batch) if hasattr(leaf, "shape") and hasattr(leaf, "nbytes")]
    return sum(sizes) if sizes else NOT_MEASURED


def _leaves(batch: Any, depth: int = 0) -> Iterator[Any]:
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
            yield from _leaves(part, depth + 1)
