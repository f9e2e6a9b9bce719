"""Going on in mid-epoch: what must be remembered of an epoch's beginning, and how it is begun again from there.

The protocol is that of torchdata's StatefulDataLoader: `loader.state_dict()` at any time between two batches, and
`loader.load_state_dict(state)` before the next `iter(loader)`, which then gives the batches not delivered before.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, IterableDataset

from loader_core.engine.position import Position
from loader_core.engine.sampler import as_drawn, batches_of
from loader_core.errors import SettingsError

VERSION = 2


@dataclass(frozen=True, slots=True)
class Beginning:
    """The random state and the sampler's state just before an epoch's sampler was opened."""

    random: list[torch.Tensor] = field(default_factory=list)
    """`(n,) uint8` for each of the loader's generators."""
    sampler: Any = None
    seed_follows: bool = False
    """torch drew its base seed between opening the sampler and asking it: it does so without workers."""
    others: Any = None
    """The states of Python's and numpy's random numbers, where a sampler of one's own may draw them."""

    @classmethod
    def of(cls, loader: Any, *, seed_follows: bool = False) -> Beginning:
        """As it is now."""
        sampler = _stateful_sampler(loader)
        return cls(
            [generator.get_state() for generator in _generators(loader)],
            None if sampler is None else sampler.state_dict(),
            seed_follows,
            _others()
            if batches_of(loader._index_sampler) is None and not isinstance(loader.dataset, IterableDataset)
            else None,
        )

    def indices_again(self, loader: Any, *, behind: int) -> Iterator[Any]:
        """What the sampler drew then, behind its first `behind` batches. The random numbers of all are put back."""
        sampler = _stateful_sampler(loader)
        if sampler is not None and self.sampler is not None:
            sampler.load_state_dict(self.sampler)
        before, others = torch.get_rng_state(), _others()
        for generator, state in zip(_generators(loader), self.random, strict=True):
            generator.set_state(state)
        if self.others is not None:
            _set_others(self.others)
        try:
            indices = loader._auto_collation and batches_of(loader._index_sampler, behind)
            passed_over = bool(indices)
            if not indices:
                indices = as_drawn(iter(loader._index_sampler), batches=loader._auto_collation)
            if self.seed_follows:
                torch.empty((), dtype=torch.int64).random_(generator=loader.generator)
            if not passed_over:
                next(islice(indices, behind, behind), None)
            # One ahead: samplers draw their seed with the first index, which must happen in here.
            return chain(list(islice(indices, 1)), indices)
        finally:
            torch.set_rng_state(before)
            _set_others(others)


def _generators(loader: Any) -> list[torch.Generator]:
    own = [loader.generator, *(getattr(sampler, "generator", None) for sampler in _samplers(loader))]
    distinct = {id(generator): generator for generator in own if generator is not None}
    return [torch.default_generator, *distinct.values()]


def _samplers(loader: Any) -> tuple[Any, ...]:
    """Whatever draws for `loader`; None among them."""
    return loader.batch_sampler, loader.sampler, getattr(loader.batch_sampler, "sampler", None)


def _drawn_by(loader: Any) -> str:
    """What draws for `loader`, as a text: it must be the same after a resume."""
    sampler = loader._index_sampler
    return type(sampler.sampler if type(sampler) is BatchSampler else sampler).__name__


def _others() -> tuple[Any, Any]:
    numpys: Any = np.random.get_state()
    if isinstance(numpys, tuple):  # a dict where somebody has put another generator in the place of numpy's
        numpys = tuple(part.tolist() if isinstance(part, np.ndarray) else part for part in numpys)
    return random.getstate(), numpys


def _set_others(states: tuple[Any, Any]) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])


def _stateful_sampler(loader: Any) -> Any:
    for sampler in _samplers(loader):
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
        "others": beginning.others,
        "drawn_by": _drawn_by(loader),
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
    if state["drawn_by"] != _drawn_by(loader):
        raise SettingsError(
            f"this state counts the batches of a {state['drawn_by']}, and this loader draws them by a "
            f"{_drawn_by(loader)}: resume with the same sampler and `shuffle`"
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
    beginning = Beginning(list(state["random"]), state["sampler"], state["seed_follows"], state["others"])
    return int(state["epoch"]), beginning, position
