"""Datasets that tests load. Importable by name, so that spawned workers find them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info


class Mixed(Dataset[Any]):
    """Samples with every kind of field that default_collate knows, and two that draw random numbers."""

    def __init__(self, size: int = 37) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {
            "tensor": torch.full((2, 3), float(index)),
            "number": index,
            "text": f"sample {index}",
            "random": torch.rand(2),
            "numpy": np.random.rand(2),
            "scalar": np.float32(index),
            "parts": (np.arange(3) + index, index / 2, index % 2 == 0),
        }


class Batched(Mixed):
    """Fetches a batch of samples at once."""

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        return [self[index] for index in indices]


class Ragged(Dataset[torch.Tensor]):
    """Samples of different lengths, which only a collate_fn of their own can join."""

    def __len__(self) -> int:
        return 30

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.arange(index % 7)


def padded(samples: list[torch.Tensor]) -> tuple[torch.Tensor, list[int]]:
    """`(B, longest) int64`, and the lengths."""
    return torch.nn.utils.rnn.pad_sequence(samples, batch_first=True), [len(sample) for sample in samples]


class Stream(IterableDataset[Any]):
    """An iterable dataset that shares its samples out among its workers, unevenly."""

    def __init__(self, size: int = 29) -> None:
        self.size = size

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for index in range(first, self.size - first * 5, step):
            yield torch.tensor([index, index]), index


class Numbers(Dataset[int]):
    """0, 1, 2 ... and something that happens at one of them."""

    def __init__(self, size: int = 40, at: int = -1, what: str = "", wait_at: Path | None = None) -> None:
        self.size, self.at, self.what, self.wait_at = size, at, what, wait_at

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        if index == self.at:
            self.happen()
        return index

    def happen(self) -> None:
        if self.what == "raise":
            raise KeyError(f"sample {self.at} is broken")
        if self.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what in ("crash", "bus", "term"):
            os.kill(os.getpid(), {"crash": signal.SIGSEGV, "bus": signal.SIGBUS, "term": signal.SIGTERM}[self.what])
        if self.what == "exit":
            os._exit(3)
        if self.what == "hang":
            time.sleep(3600)
        if self.what == "wait":  # until somebody opens the other end
            assert self.wait_at is not None
            self.wait_at.open("rb").close()


class Images(Dataset[tuple[torch.Tensor, int]]):
    """Large enough for a slot to be worth having."""

    def __len__(self) -> int:
        return 48

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.full((3, 32, 32), index, dtype=torch.uint8), index


def fail_to_start(worker: int) -> None:
    raise OSError(f"worker {worker} found no licence")


def seeds_seen(_: list[int]) -> dict[str, Any]:
    """What a worker knows of itself, as a batch."""
    worker = get_worker_info()
    if worker is None:
        return {"id": None, "torch_seed": torch.initial_seed()}
    return {"id": worker.id, "of": worker.num_workers, "seed": worker.seed, "torch_seed": torch.initial_seed()}
