"""Faults that cost no time until they end the run: memory that grows, descriptors that run out."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.diagnose.bilingual import Bilingual
from loader_core.scenarios.faults.fault import Engine, Fault, Load, Strength
from loader_core.scenarios.faults.pieces import ENDLESS, Waits

LOOK_EVERY_NS = 200_000_000
"""These runs last seconds and not hours, so memory and descriptors are looked at more often than once per second."""

FILES = 256
"""Descriptors that a process may have open in the run of `OpenFiles`."""


class Keeps(Dataset[Tensor]):
    """Keeps what it has read in a list."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.kept: list[object] = []

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Tensor:
        read = np.full(self.nbytes // 8, float(index))  # each page is written
        self.kept.append(read)
        return torch.from_numpy(read[:64].copy())


def _leak(strength: Strength, engine: Engine, folder: Path) -> Load:
    nbytes = {"mild": 64, "clear": 256, "severe": 768}[strength] << 10
    arguments = {"batch_size": 2, "num_workers": 2}
    return Load(Keeps(nbytes), arguments, Waits(0.03), seconds=7.0, look_every_ns=LOOK_EVERY_NS)


class OpenFiles(Dataset[Tensor]):
    """Opens a file for each sample and never closes it, up to a share of what the process may have open."""

    def __init__(self, path: Path, share: float) -> None:
        self.path = path
        self.share = share
        self.files: list[IO[bytes]] = []

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Tensor:
        if len(os.listdir("/proc/self/fd")) < self.share * FILES:  # noqa: PTH208 - numbers are wanted, not paths
            self.files.append(self.path.open("rb"))
        return torch.full((64,), float(index))


@contextmanager
def _few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _descriptors(strength: Strength, engine: Engine, folder: Path) -> Load:
    share = {"mild": 0.85, "clear": 0.9, "severe": 0.96}[strength]
    path = folder / "opened"
    path.touch()
    arguments = {"batch_size": 6, "num_workers": 2}
    return Load(
        OpenFiles(path, share),
        arguments,
        Waits(0.03),
        seconds=3.0,
        around=_few_descriptors,
        look_every_ns=LOOK_EVERY_NS,
    )


RESOURCES = (
    Fault(
        "leak",
        "memory_growth",
        Bilingual(
            "El conjunto de datos guarda en una lista todo lo que lee; el bucle no espera.",
            "The dataset keeps all that it reads in a list; the loop does not wait.",
        ),
        _leak,
        heavy=True,
    ),
    Fault(
        "open-files",
        "shm_or_fd_risk",
        Bilingual(
            "El conjunto de datos abre un fichero por muestra y no lo cierra; el proceso puede tener 256.",
            "The dataset opens a file per sample and does not close it; the process may have 256.",
        ),
        _descriptors,
    ),
)
