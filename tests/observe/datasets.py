"""Datasets that the tests of observation load; importable, so that spawned workers find them."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

LENGTH = 23


class Pair(NamedTuple):
    pixels: Any
    label: Any


class Noise(Dataset[dict[str, Any]]):
    """Draws from every global random stream, so that one number more or less drawn shows in all that follow."""

    def __init__(self, length: int = LENGTH) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        worker = get_worker_info()
        return {
            "pixels": torch.rand(3, 4) + index,
            "draws": (random.random(), float(np.random.rand())),
            "name": f"sample {index}",
            "pair": Pair(np.full(2, index), index % 3),
            "worker": -1 if worker is None else worker.id,
            "same_dataset": worker is None or worker.dataset is self,
        }


class Many(Noise):
    """Gives the samples of a batch at once."""

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        return [self[index] for index in reversed(indices)]


class Stream(IterableDataset[torch.Tensor]):
    """Each worker streams its own share; shares are of different lengths."""

    def __init__(self, length: int = LENGTH, told: int | None = None) -> None:
        self.length = length
        self.told = told

    def __iter__(self) -> Iterator[torch.Tensor]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker is not None else (0, 1)
        for number in range(first, self.length if first else self.length // 2, step):
            yield torch.rand(2) + number


class ToldStream(Stream):
    """One that says how long it is, which is too short."""

    def __len__(self) -> int:
        return 3


class Failing(Noise):
    """Does something bad at one index."""

    def __init__(self, at: int, do: str) -> None:
        super().__init__()
        self.at = at
        self.do = do

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index == self.at:
            ACTS[self.do](index)
        return super().__getitem__(index)


class BadSample(Exception):
    """What a user's own dataset may raise."""


def _raise(index: int) -> None:
    raise BadSample(f"sample {index} is broken")


def _raise_within(index: int) -> None:
    try:
        {}[index]
    except KeyError as error:
        raise BadSample(f"sample {index} is broken") from error


def _die(index: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _leave(index: int) -> None:
    os._exit(3)


def _hang(index: int) -> None:
    threading.Event().wait()


ACTS: dict[str, Callable[[int], None]] = {
    "raise": _raise,
    "raise within": _raise_within,
    "stop": lambda _: next(iter(())),
    "die": _die,
    "leave": _leave,
    "hang": _hang,
}


class Nested(Dataset[torch.Tensor]):
    """Uses a loader of its own within a sample."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        inner = [batch["pixels"].sum() for batch in DataLoader(Noise(4), batch_size=2)]
        return torch.stack(inner) + index


def collate_to_list(samples: list[Any]) -> list[Any]:
    """Leaves the samples as they are."""
    return samples


def collate_and_fail(samples: list[Any]) -> Any:
    """Cannot collate."""
    raise BadSample(f"{len(samples)} samples do not fit")


def seed_by_number(worker: int) -> None:
    """A worker_init_fn that draws."""
    random.seed(worker)
    torch.rand(worker + 1)


def fail_to_start(worker: int) -> None:
    """A worker_init_fn that raises."""
    raise BadSample(f"worker {worker} does not want to")


class Twos:
    """A batch sampler of the user's own, whose last batch is shorter."""

    def __iter__(self) -> Iterator[list[int]]:
        yield from ([index, 22 - index] for index in range(8))
        yield [11]

    def __len__(self) -> int:
        return 9


class Keys(Dataset[str]):
    """Its keys are texts."""

    def __getitem__(self, key: str) -> str:
        return key.upper()


class FailingSampler:
    """Raises after a few indices."""

    def __iter__(self) -> Iterator[int]:
        yield from range(6)
        raise BadSample("no more indices")

    def __len__(self) -> int:
        return LENGTH


def double(number: int) -> int:
    """A step of a pipe."""
    return 2 * number
