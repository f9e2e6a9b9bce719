"""To the device: how fast batches get there, and how much of it hides behind compute. Ours against torch's way.

    python -m benchmarks.device [--rounds 5]

Needs a CUDA device. torch's way is `pin_memory=True` and `tensor.to("cuda", non_blocking=True)` in the loop; ours is
`DataLoader(pin_memory=True, device="cuda")`. "transfer" does nothing but synchronise on each batch; "overlap" multiplies
matrices for about as long as a copy takes, and compares with the matrices alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import Dataset

from benchmarks import table
from benchmarks.table import Spread

SAMPLE = (3, 224, 224)
BATCH_SIZE = 64
BATCHES = 60
WORKERS = 4


class Bulk(Dataset[torch.Tensor]):
    """602 kB samples out of memory: the loader's own work and the bus are all there is."""

    def __init__(self) -> None:
        self.stored = torch.rand(64, *SAMPLE)

    def __len__(self) -> int:
        return BATCH_SIZE * BATCHES

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.stored[index % 64]


def torchs() -> Iterator[torch.Tensor]:
    """Batches on the device, torch's way."""
    loader = TorchDataLoader(Bulk(), BATCH_SIZE, num_workers=WORKERS, pin_memory=True)
    for batch in loader:
        yield batch.to("cuda", non_blocking=True)


def ours() -> Iterator[torch.Tensor]:
    """Batches on the device, our way."""
    from loader_core.engine import DataLoader

    loader: Any = DataLoader(Bulk(), BATCH_SIZE, num_workers=WORKERS, pin_memory=True, device="cuda")
    return iter(loader)


def gigabytes_per_s(batches: Iterator[torch.Tensor], work: Callable[[], None]) -> float:
    """From the third batch on: the first two find an empty window."""
    moved, started = 0, 0.0
    for number, batch in enumerate(batches):
        work()
        torch.cuda.synchronize()
        if number == 2:
            started, moved = time.perf_counter(), 0
        moved += batch.nbytes
    return moved / (time.perf_counter() - started) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if not torch.cuda.is_available():
        parser.exit(2, "benchmarks.device needs a CUDA device; this host has none.\n")
    matrix = torch.rand(4096, 4096, device="cuda")
    kinds: dict[str, Callable[[], None]] = {"transfer": lambda: None, "overlap": lambda: [matrix @ matrix for _ in range(4)][0] and None}
    print(torch.cuda.get_device_name(), torch.__version__)
    for kind, work in kinds.items():
        ratios, rates = [], []
        for _ in range(rounds):
            base = gigabytes_per_s(torchs(), work)
            rates.append(gigabytes_per_s(ours(), work))
            ratios.append(rates[-1] / base)
        print(f"{kind}: ours {sorted(rates)[rounds // 2]:.2f} GB/s, ratio to torch {Spread.of(ratios)}")


if __name__ == "__main__":
    main()
