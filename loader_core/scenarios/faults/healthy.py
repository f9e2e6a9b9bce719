"""Loaders that nothing is wrong with, and windows too thin to tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.diagnose.bilingual import Bilingual
from loader_core.scenarios.faults.fault import Engine, Fault, Load, Strength
from loader_core.scenarios.faults.pieces import ENDLESS, Computes, Repeated, Rows, Waits, pictures

OK, THIN = "loader_ok", "undetermined"


SECONDS = 5.0
STEP_S = 0.08
"""Steps are long enough for what torch's loader takes to hand over a batch (1 to 3 ms) to be no problem in them."""


def _slow_consumer(strength: Strength, engine: Engine, folder: Path) -> Load:
    dataset = Repeated(pictures(64, augment=False))
    return Load(dataset, {"batch_size": 16, "num_workers": 2}, Computes(STEP_S), seconds=SECONDS)


def _device_consumer(strength: Strength, engine: Engine, folder: Path) -> Load:
    dataset = Repeated(pictures(96))
    return Load(dataset, {"batch_size": 16, "num_workers": 2}, Waits(STEP_S), seconds=SECONDS)


def _inline(strength: Strength, engine: Engine, folder: Path) -> Load:
    return Load(Rows(), {"batch_size": 16, "num_workers": 0}, Computes(STEP_S), seconds=SECONDS)


def _persistent(strength: Strength, engine: Engine, folder: Path) -> Load:
    arguments = {"batch_size": 16, "num_workers": 2, "persistent_workers": True}
    return Load(Rows(16 * 15), arguments, Waits(STEP_S), seconds=SECONDS)


class Smoothed(Dataset[Tensor]):
    """A signal smoothed by numpy, which lets go of the GIL where it computes."""

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Tensor:
        signal = np.random.default_rng(index).random(65_536)
        return torch.from_numpy(np.sort(signal)[::64].astype(np.float32))


def _threads(strength: Strength, engine: Engine, folder: Path) -> Load:
    arguments = {"batch_size": 8, "num_workers": 2, "persistent_workers": True}
    return Load(Smoothed(), arguments, Waits(STEP_S), seconds=SECONDS, ours={"worker_method": "thread"})


HEALTHY = (
    Fault(
        "slow-consumer",
        OK,
        Bilingual(
            "JPEG con dos workers y un paso que calcula 80 ms, varias veces lo que cuesta el lote.",
            "JPEGs with two workers, and a step that computes for 80 ms, some times what the batch costs.",
        ),
        _slow_consumer,
        strengths=("clear",),
    ),
    Fault(
        "device-consumer",
        OK,
        Bilingual(
            "JPEG con dos workers y un paso que espera 80 ms a un dispositivo, varias veces lo que cuesta el lote.",
            "JPEGs with two workers, and a step that waits 80 ms for a device, some times what the batch costs.",
        ),
        _device_consumer,
        strengths=("clear",),
    ),
    Fault(
        "inline",
        OK,
        Bilingual(
            "Sin workers: las filas están en memoria y el paso calcula 80 ms.",
            "No workers: the rows lie in memory, and the step computes for 80 ms.",
        ),
        _inline,
        strengths=("clear",),
    ),
    Fault(
        "persistent",
        OK,
        Bilingual("Épocas de 15 lotes con workers que permanecen.", "Epochs of 15 batches with workers that stay."),
        _persistent,
        strengths=("clear",),
    ),
    Fault(
        "free-threads",
        OK,
        Bilingual(
            "Muestras que numpy calcula sin el GIL: en hilos con el motor propio, en procesos con el de torch.",
            "Samples that numpy computes without the GIL: in threads with our engine, in processes with torch's.",
        ),
        _threads,
        strengths=("clear",),
    ),
)


def _thin(strength: Strength, engine: Engine, folder: Path) -> Load:
    steps = {"mild": 10, "clear": 4, "severe": 1}[strength]
    dataset = pictures()
    return Load(Repeated(dataset, 16 * steps), {"batch_size": 16, "num_workers": 2}, Waits(0.002), epochs=1)


THIN_WINDOWS = (
    Fault(
        "thin",
        THIN,
        Bilingual("Diez, cuatro o un solo paso: no basta para decir nada.", "Ten, four or one step: too few to tell."),
        _thin,
    ),
)
