"""Faults of moving batches: from workers, to page-locked memory, to the device.

This project's hosts need no accelerator: page-locking and the device are stand-ins that really lock, really copy, and
whose records are marked as simulated where a record has such a mark.
"""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.diagnose.bilingual import Bilingual
from loader_core.engine.device import Simulated
from loader_core.observe import device_copies, transfer
from loader_core.scenarios.faults.fault import WAIT_SHARES, Engine, Fault, Load, Strength
from loader_core.scenarios.faults.pieces import ENDLESS, Waits, as_is, step_for, took
from loader_core.trace import Flag, Kind, Role, now

# --- between processes ------------------------------------------------------------------------------------------------


class Tiny(Dataset[list[Tensor]]):
    """Each sample is a list of tiny tensors, as of a graph's nodes or of boxes in a picture."""

    def __init__(self, tensors: int) -> None:
        self.parts = [torch.tensor([float(number)]) for number in range(tensors)]

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> list[Tensor]:
        return self.parts


def _tiny_tensors(strength: Strength, engine: Engine, folder: Path) -> Load:
    # torch passes a descriptor per tensor, and a process may have some ten thousand of them.
    few: dict[Strength, int] = {"mild": 100, "clear": 200, "severe": 500}
    many: dict[Strength, int] = {"mild": 2000, "clear": 4000, "severe": 10_000}
    tensors = (few if engine == "torch" else many)[strength]
    arguments = {"batch_size": 2, "num_workers": 1, "collate_fn": as_is}
    return Load(Tiny(tensors // 2), arguments, Waits(0.010), seconds=5.0)


# --- page-locked memory -----------------------------------------------------------------------------------------------

PINNED_BYTES = 64 << 20


class Shared(Dataset[Tensor]):
    """Batches that lie in shared memory already, so that making and sending one costs next to nothing."""

    def __init__(self, nbytes: int) -> None:
        self.parts: list[Tensor] = [torch.zeros(nbytes, dtype=torch.uint8).share_memory_() for _ in range(4)]

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Tensor:
        return self.parts[index % len(self.parts)]


def _first(samples: Sequence[Tensor]) -> Tensor:
    return samples[0]


_libc = ctypes.CDLL(None, use_errno=True)


class PageLocked:
    """Copies batches to memory that is page-locked (mlock), as far as this process may lock some.

    Memory is locked once and used again, as torch's allocator for the host does. `BUFFERS` are more than there are
    batches on their way.
    """

    BUFFERS = 12

    def __init__(self, nbytes: int) -> None:
        self.buffers = [torch.frombuffer(mmap.mmap(-1, nbytes), dtype=torch.uint8) for _ in range(self.BUFFERS)]
        for buffer in self.buffers:
            _libc.mlock(ctypes.c_void_p(buffer.data_ptr()), ctypes.c_size_t(nbytes))
        self.next = 0

    def __call__(self, batch: Tensor, device: Any = None) -> Tensor:
        """In the place of torch's `pin_memory(data, device)`."""
        self.next = (self.next + 1) % self.BUFFERS
        return self.buffers[self.next].copy_(batch)


@contextmanager
def _as_if_accelerated(locked: PageLocked) -> Iterator[None]:
    """torch's loader finds an accelerator, and its pin thread copies batches by `locked`."""
    here = torch.utils.data._utils.pin_memory
    with (
        mock.patch.object(torch.accelerator, "is_available", return_value=True),
        mock.patch.object(torch.accelerator, "current_accelerator", return_value=torch.device("cpu")),
        mock.patch.object(torch.accelerator, "current_device_index", return_value=0),
        mock.patch.object(torch.accelerator, "set_device_index"),
        mock.patch.object(here, "pin_memory", locked),
    ):
        yield


def _pin(strength: Strength, engine: Engine, folder: Path) -> Load:
    dataset, locked = Shared(PINNED_BYTES), PageLocked(PINNED_BYTES)
    made = 2 * min(took(lambda index: locked(dataset[index]), 5) for _ in range(4))  # to map it costs as much again
    arguments = {
        "batch_size": 1,
        "num_workers": 2,
        "prefetch_factor": 4,
        "collate_fn": _first,
        "pin_memory": True,
    }
    step = step_for(made, WAIT_SHARES[strength])
    return Load(dataset, arguments, Waits(step), around=lambda: _as_if_accelerated(locked), seconds=3.5)


# --- the device -------------------------------------------------------------------------------------------------------

BATCH_BYTES = 4 << 20
SLOW_GB_PER_S = 0.25


class Pageable:
    """A step that first moves its batch to a device, and waits for it, as `batch.to(device)` from pageable memory does.

    The device is a stand-in: bytes are really copied, no faster than `gb_per_s`. The copy is recorded as simulated.
    """

    def __init__(self, seconds: float, gb_per_s: float) -> None:
        self.seconds = seconds
        self.bytes_per_s = gb_per_s * 1e9

    def __call__(self, batch: Tensor) -> None:
        here = device_copies._here.delivered
        with transfer():
            start = now()
            batch.clone()
            time.sleep(max(0.0, batch.nbytes / self.bytes_per_s - (now() - start) / 1e9))
        if here is not None:
            recorder = here.run.own_recorder(Role.DEVICE)
            recorder.epoch = here.epoch
            recorder.add(Kind.COPY, here.number, start, value=batch.nbytes, flags=Flag.SIMULATED)
        time.sleep(self.seconds)


def _device(strength: Strength, engine: Engine, folder: Path) -> Load:
    copied = BATCH_BYTES / SLOW_GB_PER_S / 1e9
    share = WAIT_SHARES[strength]
    arguments = {"batch_size": 1, "num_workers": 2, "collate_fn": _first}
    if engine == "torch":
        return Load(Shared(BATCH_BYTES), arguments, Pageable(copied * (1 - share) / share, SLOW_GB_PER_S))
    ours = {"device": Simulated(SLOW_GB_PER_S)}
    return Load(Shared(BATCH_BYTES), arguments, Waits(step_for(copied, share)), ours=ours)


TRANSFER = (
    Fault(
        "tiny-tensors",
        "transport_bound",
        Bilingual(
            "Cada lote son cientos o miles de tensores diminutos, y cada uno viaja por su cuenta.",
            "Each batch is hundreds or thousands of tiny tensors, and each travels on its own.",
        ),
        _tiny_tensors,
    ),
    Fault(
        "page-locking",
        "pin_bound",
        Bilingual(
            "El hilo que fija memoria copia lotes de 64 MB a memoria bloqueada de verdad (mlock); no hay "
            "acelerador: torch cree que lo hay.",
            "The pin thread copies batches of 64 MB to memory that is really locked (mlock); there is no accelerator: "
            "torch is made to find one.",
        ),
        _pin,
        impossible={
            "ours": Bilingual(
                "El motor propio no tiene hilo que fije memoria: sus ranuras se bloquean una vez y se reutilizan.",
                "Our engine has no thread that page-locks: its slots are locked once and used again.",
            )
        },
    ),
    Fault(
        "slow-bus",
        "h2d_bound",
        Bilingual(
            "La copia al dispositivo simulado va a 0,25 GB/s: con el motor propio junto al paso, con el de torch "
            "dentro de él, como desde memoria paginable.",
            "The copy to the simulated device goes at 0.25 GB/s: with our engine beside the step, with torch's within "
            "it, as from pageable memory.",
        ),
        _device,
    ),
)
