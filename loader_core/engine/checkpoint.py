"""Going on in mid-epoch: what must be remembered of an epoch's beginning, and how it is begun again from there.

The protocol is that of torchdata's StatefulDataLoader: `loader.state_dict()` at any time between two batches, and
`loader.load_state_dict(state)` before the next `iter(loader)`, which then gives the batches not delivered before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import torch

from loader_core.engine.position import Position
from loader_core.engine.sampler import batches_of
from loader_core.errors import SettingsError

VERSION = 1


@dataclass(frozen=True, slots=True)
class Beginning:
    """The random state and the sampler's state just before an epoch's sampler was opened."""

    random: list[torch.Tensor] = field(default_factory=list)
    """`(n,) uint8` for each of the loader's generators."""
    sampler: Any = None
    seed_follows: bool = False
    """torch drew its base seed between opening the sampler and asking it: it does so without workers."""

    @classmethod
    def of(cls, loader: Any, *, seed_follows: bool = False) -> Beginning:
        """As it is now."""
        sampler = _stateful_sampler(loader)
        return cls(
            [generator.get_state() for generator in _generators(loader)],
            None if sampler is None else sampler.state_dict(),
            seed_follows,
        )

    def indices_again(self, loader: Any, *, behind: int) -> Iterator[Any]:
        """What the sampler drew then, behind its first `behind` batches. torch's own generator is put back."""
        sampler = _stateful_sampler(loader)
        if sampler is not None and self.sampler is not None:
            sampler.load_state_dict(self.sampler)
        before = torch.get_rng_state()
        for generator, state in zip(_generators(loader), self.random, strict=True):
            generator.set_state(state)
        try:
            indices = batches_of(loader._index_sampler) or iter(loader._index_sampler)
            if self.seed_follows:
                torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
            next(islice(indices, behind, behind), None)
            # One ahead: samplers draw their seed with the first index, which must happen in here.
            return chain(list(islice(indices, 1)), indices)
        finally:
            torch.set_rng_state(before)


def _generators(loader: Any) -> list[torch.Generator]:
    own = [loader.generator, getattr(loader.sampler, "generator", None)]
    distinct = {id(generator): generator for generator in own if generator is not None}
    return [torch.default_generator, *distinct.values()]


def _stateful_sampler(loader: Any) -> Any:
    for sampler in (loader.batch_sampler, loader.sampler):
        if hasattr(sampler, "state_dict") and hasattr(sampler, "load_state_dict"):
            return sampler
    return None


def to_state_dict(loader: Any, *, epoch: int, beginning: Beginning, position: Position) -> dict[str, Any]:
    """All of it as plain values and tensors, for `torch.save`."""
    return {
        "version": VERSION,
        "epoch": epoch,
        "batch_size": loader.batch_size,
        "random": beginning.random,
        "sampler": beginning.sampler,
        "seed_follows": beginning.seed_follows,
        "position": position.state_dict(),
    }


def from_state_dict(loader: Any, state: dict[str, Any]) -> tuple[int, Beginning, Position]:
    """The inverse: epoch, beginning and position. Raises SettingsError if `state` is not for such a loader."""
    if state.get("version") != VERSION:
        raise SettingsError(f"this state has version {state.get('version')!r}; this loader reads version {VERSION}")
    if state["batch_size"] != loader.batch_size:
        raise SettingsError(
            f"this state counts batches of {state['batch_size']}, and the loader's batch_size is {loader.batch_size}: "
            "resume with the same batch_size"
        )
    if len(state["random"]) != len(_generators(loader)):
        raise SettingsError(
            f"this state was taken with {len(state['random'])} random generators, and this loader has "
            f"{len(_generators(loader))}: resume with the same `generator` and sampler"
        )
    position = Position.from_state_dict(state["position"])
    if position.streams and max(position.streams) >= max(1, loader.num_workers):
        raise SettingsError(
            f"this state holds the streams of workers up to number {max(position.streams)}, and the loader has "
            f"num_workers={loader.num_workers}: an iterable dataset resumes with the same number of workers"
        )
    return int(state["epoch"]), Beginning(list(state["random"]), state["sampler"], state["seed_follows"]), position
