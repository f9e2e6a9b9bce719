"""To the device: how fast batches get there, and how much of it hides behind compute. Ours against torch's way.

    python -m benchmarks.device [--rounds 5]

Needs a CUDA device, and measures nothing where there is none. torch's way is `pin_memory=True` and
`tensor.to("cuda", non_blocking=True)` in the loop; ours is `DataLoader(pin_memory=True, device="cuda")`. "transfer"
does nothing but wait until each batch is there. "overlap" also multiplies matrices, for about as long as a copy takes:
1 would mean that the batches come for free.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import Dataset

from benchmarks import table
from benchmarks.table import Spread
from loader_core.engine import DataLoader

SAMPLE = (3, 224, 224)
BATCH_SIZE = 64
BATCHES = 60
WORKERS = 4
ASIDE = 3
"""Batches that are not timed: the first ones find an empty window."""


class Bulk(Dataset[Tensor]):
    """602 kB samples out of memory: the loader's own work and the bus are all there is."""

    def __init__(self) -> None:
        self.stored = torch.rand(64, *SAMPLE)

    def __len__(self) -> int:
        return BATCH_SIZE * BATCHES

    def __getitem__(self, index: int) -> Tensor:
        return self.stored[index % 64]


class Matrices:
    """Compute that takes as long as a copy of one batch."""

    def __init__(self) -> None:
        self.left, self.out = torch.rand(4096, 4096, device="cuda"), torch.empty(4096, 4096, device="cuda")
        source = torch.rand(BATCH_SIZE, *SAMPLE).pin_memory()
        target = torch.empty_like(source, device="cuda")
        copy_s = _seconds_each(lambda: target.copy_(source, non_blocking=True))
        product_s = _seconds_each(self._multiply)
        self.products = math.ceil(copy_s / product_s)
        self.alone_s = _seconds_each(self)
        """How long one call takes when no batches come."""

    def __call__(self) -> None:
        for _ in range(self.products):
            self._multiply()

    def _multiply(self) -> None:
        torch.matmul(self.left, self.left, out=self.out)


def _seconds_each(work: Callable[[], Any]) -> float:
    for _ in range(ASIDE):
        work()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(20):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / 20


def torchs() -> Iterator[Tensor]:
    """Batches on the device, torch's way."""
    loader = TorchDataLoader(Bulk(), BATCH_SIZE, num_workers=WORKERS, pin_memory=True)
    for batch in loader:
        yield batch.to("cuda", non_blocking=True)


def ours() -> Iterator[Tensor]:
    """Batches on the device, our way."""
    loader: DataLoader[Tensor] = DataLoader(Bulk(), BATCH_SIZE, num_workers=WORKERS, pin_memory=True, device="cuda")
    yield from loader


WAYS = {"torch": torchs, "Loaderscope": ours}


def seconds_per_batch(batches: Iterator[Tensor], work: Callable[[], None]) -> float:
    """From one batch's arrival on the device, and the work on it, to the next."""
    started, counted = 0.0, 0
    for number, batch in enumerate(batches):
        assert batch.is_cuda
        work()
        torch.cuda.synchronize()
        if number + 1 == ASIDE:
            started = time.perf_counter()
        counted += number >= ASIDE
    return (time.perf_counter() - started) / counted


def main() -> None:
    """Measure, print, write benchmarks/results/device.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if not torch.cuda.is_available():
        parser.exit(2, "benchmarks.device needs a CUDA device; this host has none.\n")

    where = table.machine() | {"device": torch.cuda.get_device_name()}
    matrices = Matrices()
    batch_gb = 4 * BATCH_SIZE * math.prod(SAMPLE) / 1e9
    transfer: dict[str, list[float]] = {way: [] for way in WAYS}
    overlap: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in sorted(WAYS, reverse=number % 2 == 1):
            transfer[way].append(batch_gb / seconds_per_batch(WAYS[way](), lambda: None))
            overlap[way].append(matrices.alone_s / seconds_per_batch(WAYS[way](), matrices))
            print(f"round {number + 1} of {rounds}, {way}: {transfer[way][-1]}, {overlap[way][-1]}", flush=True)
    results = {
        way: {
            "transfer_gb_per_s": Spread.of(transfer[way]),
            "transfer_of_torch": table.ratios(transfer[way], transfer["torch"]),
            "overlap_of_compute_alone": Spread.of(overlap[way]),
            "overlap_of_torch": table.ratios(overlap[way], overlap["torch"]),
        }
        for way in WAYS
    }
    columns = ["", "transfer GB/s", "of torch", "overlap: of compute alone", "of torch"]
    rows = [[way, *(str(spread) for spread in entry.values())] for way, entry in results.items()]
    title = f"To the device, {batch_gb * 1000:.1f} MB per batch: median (lowest .. highest) of {rounds} rounds"
    table.show(title, columns, rows, where)
    print(table.write("device", {"machine": where, "rounds": rounds, "results": results}))


if __name__ == "__main__":
    main()
