"""Small datasets that the frameworks can train on. Importable by name, for worker processes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info


def point(number: int) -> dict[str, torch.Tensor]:
    """One sample: `inputs (2,) float32`, `labels (1,) float32`, and its number."""
    first = torch.tensor([number / 32, 1 - number / 32])
    return {"inputs": first, "labels": first.sum(0, keepdim=True) * 2, "number": torch.tensor(number)}


class Points(Dataset[dict[str, torch.Tensor]]):
    """Points of a line."""

    def __init__(self, size: int = 32) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        return point(number)


class PointStream(IterableDataset[dict[str, torch.Tensor]]):
    """The same as a stream that its workers share."""

    def __init__(self, size: int = 32) -> None:
        self.size = size

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        yield from map(point, range(first, self.size, step))
