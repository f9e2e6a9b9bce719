"""What an observer found out about a loader (`loader_core.trace.facts`), typed. What is damaged is passed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from loader_core.trace.facts import Fact

T = TypeVar("T")

STREAMS = ("python", "numpy", "torch", "own")
"""The random streams whose states are compared; "own": generators that the dataset holds."""


@dataclass(frozen=True, slots=True)
class DatasetFact:
    """What is loaded, and by which sampler. None: not known."""

    length: int | None
    iterable: bool
    sampler: str
    batch_size: int | None
    drop_last: bool
    world_size: int
    """Into how many parts the sampler divides the dataset."""
    intends_repeats: bool
    """The sampler draws with replacement, or by weight."""
    shuffles_by_epoch: bool
    """It shuffles, and wants to be told the epoch (`set_epoch`)."""

    @classmethod
    def of(cls, fact: Fact) -> DatasetFact:
        return cls(
            length=_integer(fact.get("length")),
            iterable=bool(fact.get("iterable")),
            sampler=str(fact.get("sampler") or ""),
            batch_size=_integer(fact.get("batch_size")),
            drop_last=bool(fact.get("drop_last")),
            world_size=max(1, _integer(fact.get("world_size")) or 1),
            intends_repeats=bool(fact.get("replacement")) or bool(fact.get("weighted")),
            shuffles_by_epoch=bool(fact.get("shuffle")) and bool(fact.get("has_set_epoch")),
        )


@dataclass(frozen=True, slots=True)
class Headroom:
    """What a loader that never lets the loop wait would give: measured with batches that were there already."""

    steps: int
    before_ns: int
    """From one batch to the next as the loader gave them, in the mean of the steps before."""
    cached_ns: int
    """The same with batches from memory."""
    epoch_batches: int | None
    """Batches of an epoch; None where the loader does not know."""

    @classmethod
    def of(cls, fact: Fact) -> Headroom:
        return cls(
            int(fact["steps"]), int(fact["before_ns"]), int(fact["cached_ns"]), _integer(fact.get("epoch_batches"))
        )


@dataclass(frozen=True, slots=True)
class EpochFact:
    """The indices that the sampler drew in one epoch."""

    epoch: int
    drawn: int
    distinct: int | None
    """None: too many to count, or their number is not known."""
    first: tuple[int, ...]
    digest: str
    """Of all indices in their order."""
    complete: bool
    """The sampler was asked until it had none left."""

    @classmethod
    def of(cls, fact: Fact) -> EpochFact:
        return cls(
            int(fact["epoch"]),
            int(fact["drawn"]),
            _integer(fact.get("distinct")),
            tuple(int(index) for index in fact.get("first") or ()),
            str(fact.get("digest") or ""),
            bool(fact.get("complete")),
        )


@dataclass(frozen=True, slots=True)
class SeedFact:
    """The states of a worker's random streams at one moment, by `STREAMS`; "" for one that is not there."""

    worker: int
    epoch: int
    started: bool
    """As the worker starts, after worker_init_fn; else after its first batch."""
    states: tuple[str, ...]

    @classmethod
    def of(cls, fact: Fact) -> SeedFact:
        states = tuple(str(fact.get(stream) or "") for stream in STREAMS)
        return cls(int(fact["worker"]), int(fact.get("epoch") or 0), fact.get("when") != "first_batch", states)


@dataclass(frozen=True, slots=True)
class StreamFact:
    """Digests of the first samples that a worker's copy of an iterable dataset gave."""

    worker: int
    epoch: int
    first: tuple[str, ...]

    @classmethod
    def of(cls, fact: Fact) -> StreamFact:
        return cls(
            int(fact["worker"]), int(fact.get("epoch") or 0), tuple(str(digest) for digest in fact.get("first") or ())
        )


@dataclass(frozen=True, slots=True)
class TensorsFact:
    """How many tensors a batch was made of, and their bytes."""

    count: int
    nbytes: int | None

    @classmethod
    def of(cls, fact: Fact) -> TensorsFact:
        return cls(int(fact["count"]), _integer(fact.get("bytes")))


@dataclass(frozen=True, slots=True)
class FaultsFact:
    """What a worker used since its first batch."""

    worker: int
    batches: int
    faults: int
    """Pages that the kernel had to provide."""
    cpu_ns: int
    system_ns: int
    """Of that, spent in the kernel."""

    @classmethod
    def of(cls, fact: Fact) -> FaultsFact:
        return cls(*(int(fact[name]) for name in ("worker", "batches", "faults", "cpu_ns", "system_ns")))


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of a loader beside its events."""

    dataset: DatasetFact | None
    epochs: Sequence[EpochFact]
    seeds: Sequence[SeedFact]
    streams: Sequence[StreamFact]
    tensors: Sequence[TensorsFact]
    faults: Sequence[FaultsFact]
    set_epoch_calls: int
    files_limit: int | None
    """Descriptors that the run's process may have open."""
    headroom: Headroom | None
    memory_bytes: int | None
    """Memory of its control group, or of its host."""
    shm_bytes: int | None
    """Shared memory of its host, or container."""

    @classmethod
    def of(cls, facts: Sequence[Fact]) -> Facts:
        """The facts of a run as its recording holds them."""
        datasets = _typed(DatasetFact.of, _of_kind(facts, "dataset"))
        limits = next(iter(_of_kind(facts, "limits")), {})
        return cls(
            dataset=datasets[-1] if datasets else None,
            epochs=_typed(EpochFact.of, _of_kind(facts, "epoch")),
            seeds=_typed(SeedFact.of, _of_kind(facts, "worker_seed")),
            streams=_typed(StreamFact.of, _of_kind(facts, "stream")),
            tensors=_typed(TensorsFact.of, _of_kind(facts, "tensors")),
            faults=_typed(FaultsFact.of, _of_kind(facts, "page_faults")),
            set_epoch_calls=len(_of_kind(facts, "set_epoch")),
            headroom=next(iter(_typed(Headroom.of, _of_kind(facts, "headroom"))), None),
            files_limit=_integer(limits.get("files")),
            memory_bytes=_integer(limits.get("memory_bytes")),
            shm_bytes=_integer(limits.get("shm_bytes")),
        )


def _of_kind(facts: Sequence[Fact], kind: str) -> list[Fact]:
    return [fact for fact in facts if fact.get("kind") == kind]


def _typed(make: Callable[[Fact], T], facts: Sequence[Fact]) -> list[T]:
    found = []
    for fact in facts:
        try:
            found.append(make(fact))
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
