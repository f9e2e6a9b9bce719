"""Samplers: torch's batches as arrays are torch's batches, and draw from its generators as torch does."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler, SubsetRandomSampler

from loader_core.engine import PermutationSampler
from loader_core.engine.sampler import batches_of

Make = Callable[[int, torch.Generator | None], Any]
SAMPLERS: dict[str, Make] = {
    "sequential": lambda n, _: SequentialSampler(range(n)),
    "random": lambda n, generator: RandomSampler(range(n), generator=generator),
    "permutation": lambda n, _: PermutationSampler(n, 3),
}


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
@given(
    n=st.integers(1, 3000),
    size=st.integers(1, 1500),
    drop_last=st.booleans(),
    own=st.booleans(),
    taken=st.integers(0, 9),
)
def test_batches_and_generators_are_torchs(
    make: Make, n: int, size: int, drop_last: bool, own: bool, taken: int
) -> None:
    def drawn(as_arrays: bool) -> tuple[list[list[int]], list[list[int]], torch.Tensor, torch.Tensor]:
        torch.manual_seed(5)
        generator = torch.Generator().manual_seed(7) if own else None
        sampler = BatchSampler(make(n, generator), size, drop_last)
        batches: Any = batches_of(sampler) if as_arrays else iter(sampler)
        some = [list(batch) for batch in islice(batches, taken)]
        midway = generator.get_state() if generator else torch.get_rng_state()
        rest = [list(batch) for batch in batches]
        return some, rest, midway, generator.get_state() if generator else torch.get_rng_state()

    ours, theirs = drawn(as_arrays=True), drawn(as_arrays=False)
    assert ours[:2] == theirs[:2]
    assert torch.equal(ours[2], theirs[2]) and torch.equal(ours[3], theirs[3])


class Mine(RandomSampler):
    """A sampler of one's own."""


@pytest.mark.parametrize(
    "sampler",
    [
        RandomSampler(range(9)),
        BatchSampler(Mine(range(9)), 2, False),
        BatchSampler(RandomSampler(range(9), replacement=True), 2, False),
        BatchSampler(RandomSampler(range(9), num_samples=4), 2, False),
        BatchSampler(SubsetRandomSampler(range(9)), 2, False),
        [[1, 2], [3]],
    ],
    ids=lambda sampler: type(getattr(sampler, "sampler", sampler)).__name__,
)
def test_all_others_are_iterated_as_they_are(sampler: Any) -> None:
    assert batches_of(sampler) is None
