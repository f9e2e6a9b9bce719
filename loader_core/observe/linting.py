"""Facts for the linter: what an observer notes of samples, random states and indices (`loader_core.trace.facts`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from loader_core.observe.digests import digest, generator_state, random_states, sample_digest
from loader_core.observe.leaves import Contents
from loader_core.observe.pipelines import reachable
from loader_core.trace import NOT_MEASURED
from loader_core.trace.facts import append_fact
from loader_core.trace.process_meter import limits

FIRST_SAMPLES = 8
"""Of an iterable dataset, per worker and epoch, whose digests are kept."""

FIRST_INDICES = 8

MAX_INDICES = 1 << 24
"""Size of the largest dataset whose distinct indices are counted, at one byte each."""

TOLD_EPOCHS = 64
"""Epochs of which workers tell; the linter compares the first ones."""


class SampleFacts:
    """What a worker notes of its random states, its first samples and its first batch. Used in the fetching thread."""

    def __init__(self, directory: Path, worker: int, dataset: Any, *, iterable: bool) -> None:
        self._directory = directory
        self._worker = worker
        self._dataset = dataset
        self._iterable = iterable
        self._seen_epochs: set[int] = set()
        self._first: list[str] = []
        self._tensors = NOT_MEASURED

    def states(self, epoch: int, when: str) -> None:
        """Note the random states. `when`: "start", after worker_init_fn; "first_batch", after that of an epoch."""
        fact = {"kind": "worker_seed", "worker": self._worker, "epoch": epoch, "when": when, **random_states()}
        own = [state for part in reachable(self._dataset) if (state := generator_state(part)) is not None]
        if own:
            fact["own"] = digest(*(state.encode() for state in own))
        append_fact(self._directory, fact)

    def first_samples(self, samples: Any, epoch: int) -> None:
        """Note digests of the first samples of an epoch of an iterable dataset, as long as there are some."""
        if not self._iterable or epoch in self._seen_epochs or len(self._seen_epochs) >= TOLD_EPOCHS:
            return
        found = samples if isinstance(samples, list) else [samples]
        digests = [sample_digest(sample) for sample in found[: FIRST_SAMPLES - len(self._first)]]
        self._first += [one for one in digests if one is not None]

    def batch_made(self, held: Contents, epoch: int) -> None:
        """Note what the first batch of an epoch is made of, and the random states after it."""
        if epoch in self._seen_epochs or len(self._seen_epochs) >= TOLD_EPOCHS:
            return
        self._seen_epochs.add(epoch)
        self.states(epoch, "first_batch")
        if self._first:
            fact = {"kind": "stream", "worker": self._worker, "epoch": epoch, "first": self._first}
            append_fact(self._directory, fact)
            self._first = []
        if held.tensors not in (NOT_MEASURED, self._tensors):
            self._tensors = held.tensors
            fact = {"kind": "tensors", "worker": self._worker, "count": held.tensors, "bytes": held.nbytes}
            append_fact(self._directory, fact)


class IndexTally:
    """The indices that a sampler draws in one epoch: how many, how many distinct, in which order."""

    def __init__(self, length: int | None) -> None:
        """`length` of the dataset; None: unknown, so that distinct indices are not counted."""
        self._seen = np.zeros(length, np.bool_) if length is not None and 0 < length <= MAX_INDICES else None
        self._digest = ""
        self._drawn = 0
        self._first: list[int] = []

    def add(self, indices: Any) -> None:
        """The indices of one batch, in order; whatever else a sampler gives ends the tally."""
        if self._drawn < 0:
            return
        try:
            numbers = np.array(indices, np.int64).reshape(-1)
        except (TypeError, ValueError, OverflowError):
            self._drawn = NOT_MEASURED
            return
        self._drawn += len(numbers)
        if len(self._first) < FIRST_INDICES:
            self._first += numbers[: FIRST_INDICES - len(self._first)].tolist()
        self._digest = digest(self._digest.encode(), numbers.tobytes())
        if self._seen is not None:
            try:
                self._seen[numbers] = True
            except IndexError:
                self._seen = None

    def fact(self, epoch: int, *, complete: bool) -> dict[str, Any] | None:
        """What there is to tell; None where there were no numbers."""
        if self._drawn <= 0:
            return None
        fact = {"kind": "epoch", "epoch": epoch, "drawn": self._drawn, "first": self._first, "digest": self._digest}
        if self._seen is not None:
            fact["distinct"] = int(np.count_nonzero(self._seen))
        return {**fact, "complete": complete}


def loader_facts(loader: Any) -> Iterator[dict[str, Any]]:
    """What a loader is, and what bounds its process."""
    sampler = drawer(loader)
    yield {
        "kind": "dataset",
        "length": length_of(loader),
        "type": type(loader.dataset).__qualname__,
        "iterable": _is_iterable(loader),
        "sampler": type(sampler).__qualname__,
        "batch_size": loader.batch_size,
        "drop_last": bool(loader.drop_last),
        "num_workers": loader.num_workers,
        "world_size": _integer(getattr(sampler, "num_replicas", 1)),
        "shuffle": _shuffles(sampler),
        "replacement": bool(getattr(sampler, "replacement", False)),
        "weighted": hasattr(sampler, "weights"),
        "has_set_epoch": callable(getattr(sampler, "set_epoch", None)),
    }
    yield {"kind": "limits", **limits()}


def drawer(loader: Any) -> Any:
    """The sampler that draws single indices, within the samplers that make batches of them."""
    sampler = loader.batch_sampler if loader.batch_sampler is not None else loader.sampler
    for _ in range(8):
        inner = (
            vars(sampler).get("sampler") or vars(sampler).get("batch_sampler") if hasattr(sampler, "__dict__") else None
        )
        if inner is None:
            break
        sampler = inner
    return sampler


def length_of(loader: Any) -> int | None:
    """`len(dataset)` of a dataset that has one and is no stream, whose length may be a guess."""
    if _is_iterable(loader) or not hasattr(type(loader.dataset), "__len__"):
        return None
    try:
        return len(loader.dataset)
    except Exception:  # noqa: BLE001 - a user's method
        return None


def _is_iterable(loader: Any) -> bool:
    data = sys.modules["torch.utils.data"]
    return isinstance(loader.dataset, data.IterableDataset)


def _shuffles(sampler: Any) -> bool:
    if "shuffle" in getattr(sampler, "__dict__", {}):
        return bool(sampler.shuffle)
    return "Random" in type(sampler).__name__


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else 1
