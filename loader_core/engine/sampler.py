"""Indices: a shuffle of any size that needs no memory, and the samplers of torch without an object per index.

For a shuffle `torch.randperm(n)` costs 8 bytes per sample and a pause before the first batch. PermutationSampler
*computes* each position: a Feistel network of keyed hashes permutes the next power of four, and positions that fall
outside `range(n)` walk on until they are inside ("cycle walking"), which keeps it a permutation. Black and Rogaway,
"Ciphers with Arbitrary Finite Domains", CT-RSA 2002; the mixing function is the finaliser of MurmurHash3 (Appleby,
public domain).
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, RandomSampler, Sampler, SequentialSampler

from loader_core.errors import SettingsError

ROUNDS = 6
"""Rounds of the Feistel network: four give a pseudorandom permutation (Luby and Rackoff, 1988), two are spare."""

LARGEST = 2**62

_BLOCK = 1024
_Words = np.ndarray[Any, np.dtype[np.uint64]]

Indices = np.ndarray[Any, np.dtype[np.int64]]
"""`(k,) int64`: the indices of a batch, or any run of what a sampler draws."""


class PermutationSampler(Sampler[int]):
    """The numbers 0 ... n-1 in an order drawn by `seed` and epoch, computed as they are needed.

    With `world_size` ranks each takes every `world_size`-th position, as torch's DistributedSampler does; where they do
    not come out even the last ones take the first positions again, so that all ranks have equally many.

    Call `set_epoch` before each epoch, or every epoch has the same order. Raises SettingsError.
    """

    def __init__(self, n: int, seed: int = 0, *, rank: int = 0, world_size: int = 1) -> None:
        if not 0 < n <= LARGEST:
            raise SettingsError(f"n must be 1 to 2**62, not {n}")
        if not 0 <= rank < world_size:
            raise SettingsError(f"rank must be 0 to world_size - 1 = {world_size - 1}, not {rank}")
        self.n = n
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw another order from the next iteration on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.n // self.world_size)

    def __iter__(self) -> Iterator[int]:
        for run in self.runs():
            yield from run.tolist()

    def runs(self, first: int = 0) -> Iterator[Indices]:
        """The same from position `first` on, many at once: `(k,) int64` each."""
        keys = _keys(self.seed, self.epoch)
        for start in range(first, len(self), _BLOCK):
            count = min(_BLOCK, len(self) - start)
            positions = np.arange(start, start + count, dtype=np.uint64) * np.uint64(self.world_size)
            positions = (positions + np.uint64(self.rank)) % np.uint64(self.n)
            yield permuted(positions, n=self.n, keys=keys).astype(np.int64)

    def state_dict(self) -> dict[str, int]:
        """Which order: the position in it is the loader's to know."""
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The inverse of `state_dict`."""
        self.seed, self.epoch = state["seed"], state["epoch"]


def permuted(positions: _Words, *, n: int, keys: _Words) -> _Words:
    """The permutation of range(n) at `positions`: `(k,) uint64` -> `(k,) uint64`."""
    half_bits = max(1, ((n - 1).bit_length() + 1) // 2)
    found = _encrypted(positions, half_bits, keys)
    while (outside := found >= np.uint64(n)).any():
        # Under four walks on average: the domain is at most four times too large.
        found[outside] = _encrypted(found[outside], half_bits, keys)
    return found


def _encrypted(words: _Words, half_bits: int, keys: _Words) -> _Words:
    shift, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = words >> shift, words & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right + key) & mask)
    return (left << shift) | right


def _mixed(words: _Words) -> _Words:
    words = (words ^ (words >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    words = (words ^ (words >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return words ^ (words >> np.uint64(33))


def _keys(seed: int, epoch: int) -> _Words:
    """`(ROUNDS,) uint64`, well mixed even for neighbouring seeds and epochs."""
    entropy = np.random.SeedSequence([seed & (2**64 - 1), epoch & (2**64 - 1)])
    return entropy.generate_state(ROUNDS, np.uint64).astype(np.uint64)


# --- torch's samplers, many indices at once ---------------------------------------------------------------------------


def as_drawn(opened: Iterator[Any], *, batches: bool) -> Iterator[Any]:
    """What any other sampler draws, as torch would ask the dataset for it.

    An array or an iterator that stands for a batch becomes a list of the indices in it: arrays are `batches_of`'s.
    """
    return map(_listed, opened) if batches else opened


def _listed(indices: Any) -> Any:
    return list(indices) if isinstance(indices, np.ndarray) or not isinstance(indices, Sized) else indices


def batches_of(sampler: Any, behind: int = 0) -> Iterator[Indices] | None:
    """The batches of torch's BatchSampler over one of torch's two samplers, or ours, as arrays; None for all others.

    They begin behind the first `behind` batches, without drawing them where a position is computed.

    torch makes an object and two calls per index, which for small samples is the dearest part of the way. Here they
    are drawn by the same generators at the same times: `tolist()` of each is what torch would have given.
    """
    if type(sampler) is not BatchSampler:
        return None
    inner = sampler.sampler
    first = behind * sampler.batch_size
    if type(inner) is SequentialSampler:
        runs = _sequential(inner, first)
    elif type(inner) is RandomSampler and not inner.replacement and inner.num_samples == len(inner.data_source):
        runs = _random(inner, first)
    elif type(inner) is PermutationSampler:
        runs = inner.runs(first)
    else:
        return None
    return _batches(runs, sampler.batch_size, drop_last=sampler.drop_last)


def _sequential(sampler: Any, first: int) -> Iterator[Indices]:
    count = len(sampler.data_source)
    for start in range(first, count, _BLOCK):
        yield np.arange(start, min(start + _BLOCK, count))


def _random(sampler: Any, first: int) -> Iterator[Indices]:
    count, generator = len(sampler.data_source), sampler.generator
    if generator is None:
        seed = int(torch.empty((), dtype=torch.int64).random_().item())
        generator = torch.Generator()
        generator.manual_seed(seed)
    yield torch.randperm(count, generator=generator).numpy()[first:]
    if sampler.generator is not None:
        torch.randperm(count, generator=generator)  # torch draws once more, for none of it; others may use what follows


def _batches(runs: Iterator[Indices], size: int, *, drop_last: bool) -> Iterator[Indices]:
    """The runs cut into batches of `size`. Asks for a run when an index of it is needed, as torch does."""
    rest = np.empty(0, np.int64)
    for run in runs:
        # Not joined if nothing is left over: one run may be the whole data set.
        run = np.concatenate([rest, run]) if len(rest) else run
        whole = len(run) - len(run) % size
        for start in range(0, whole, size):
            yield run[start : start + size]
        rest = run[whole:]
    if len(rest) and not drop_last:
        yield rest
