"""Faults of workers that compute: too much, with too many of them, in collate, and in a few samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.diagnose.bilingual import Bilingual
from loader_core.scenarios import photographs
from loader_core.scenarios.dials import Dials
from loader_core.scenarios.faults.fault import WAIT_SHARES, Engine, Fault, Load, Strength
from loader_core.scenarios.faults.pieces import ENDLESS, Repeated, Waits, pictures, step_for, took
from loader_core.scenarios.images import ImageFiles, Transform
from loader_core.scenarios.sources import topic_paragraphs
from loader_core.scenarios.text import pad_collate, tokenize

CORES = 2
"""Workers that a fault of computing has, and is meant for: more cores than workers make it another fault."""
BATCH, SIZE = 40, 96
"""Large batches of small pictures: next to decoding them, all else costs little."""


def _worker_cpu(strength: Strength, engine: Engine, folder: Path) -> Load:
    dataset = pictures(SIZE)
    each = took(lambda index: dataset[index], 100)
    step = step_for(BATCH * each / CORES, WAIT_SHARES[strength])
    return Load(Repeated(dataset), {"batch_size": BATCH, "num_workers": CORES}, Waits(step), seconds=3.5)


def _one_worker(strength: Strength, engine: Engine, folder: Path) -> Load:
    dataset = pictures(SIZE)
    each = took(lambda index: dataset[index], 100)
    share = {"mild": 0.32, "clear": 0.38, "severe": 0.44}[strength]
    arguments = {"batch_size": BATCH, "num_workers": 1}
    return Load(Repeated(dataset), arguments, Waits(step_for(BATCH * each, share)), seconds=6.0)


def _too_many(strength: Strength, engine: Engine, folder: Path) -> Load:
    dataset = pictures(SIZE)
    each = took(lambda index: dataset[index], 100)
    workers = {"mild": 6, "clear": 8, "severe": 10}[strength]
    arguments = {"batch_size": BATCH, "num_workers": workers}
    return Load(Repeated(dataset), arguments, Waits(step_for(BATCH * each / CORES, 0.5)), seconds=5.5)


class Texts(Dataset[tuple[bytes, int]]):
    """Paragraphs as they are: what has to be done to them is left to the collate function."""

    def __init__(self) -> None:
        self.paragraphs, self.labels, _ = topic_paragraphs()

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        place = index % len(self.labels)
        return self.paragraphs[place], self.labels[place]


def tokenize_and_pad(samples: Sequence[tuple[bytes, int]]) -> tuple[Tensor, Tensor]:
    """Tokenises each text, then pads them to one length: in the collate function, where whole batches are in hand."""
    return pad_collate([(tokenize(text.decode()), label) for text, label in samples])


def _collate(strength: Strength, engine: Engine, folder: Path) -> Load:
    dataset = Texts()
    made = took(lambda number: tokenize_and_pad([dataset[512 * number + i] for i in range(512)]), 10)
    arguments = {"batch_size": 512, "num_workers": CORES, "collate_fn": tokenize_and_pad}
    return Load(dataset, arguments, Waits(step_for(made / CORES, WAIT_SHARES[strength])), seconds=3.5)


class _OneHuge(Dataset[tuple[Tensor, int]]):
    """Small pictures, and in each batch one that is huge."""

    def __init__(self, small: Any, huge: Any, every: int) -> None:
        self.small, self.huge, self.every = small, huge, every

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        huge = index % self.every == self.every // 2
        sample: tuple[Tensor, int] = self.huge[0] if huge else self.small[index % len(self.small)]
        return sample


def _skewed(strength: Strength, engine: Engine, folder: Path) -> Load:
    side = {"mild": 2000, "clear": 2800, "severe": 3600}[strength]
    small = pictures(64, augment=False)
    path = folder / f"huge-{side}.jpg"
    if not path.exists():
        with Image.open(photographs.crops()[0] / photographs.crops()[1][0].file) as picture:
            picture.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)
    huge = ImageFiles([path], [0], transform=Transform(64, augment=False), dials=Dials())
    batch = 24
    made = (batch - 1) * took(lambda index: small[index], 100) + took(lambda _: huge[0], 5)
    arguments = {"batch_size": batch, "num_workers": CORES}
    step = step_for(made / CORES, 0.5)
    return Load(_OneHuge(small, huge, batch), arguments, Waits(step), seconds=4.0)


COMPUTING = (
    Fault(
        "decoding",
        "worker_cpu_bound",
        Bilingual(
            "Dos workers en dos núcleos decodifican JPEG sin pausa y aun así no bastan.",
            "Two workers on two cores decode JPEGs without a break, and it is not enough.",
        ),
        _worker_cpu,
    ),
    Fault(
        "one-worker",
        "too_few_workers",
        Bilingual(
            "Un solo worker decodifica JPEG mientras el otro núcleo descansa.",
            "One worker alone decodes JPEGs while the other core rests.",
        ),
        _one_worker,
    ),
    Fault(
        "crowd",
        "too_many_workers",
        Bilingual(
            "Seis, ocho o diez workers que calculan se reparten dos núcleos.",
            "Six, eight or ten workers that compute share two cores.",
        ),
        _too_many,
    ),
    Fault(
        "tokenising",
        "collate_bound",
        Bilingual(
            "collate_fn separa en palabras y rellena los textos de cada lote; leerlos no cuesta nada.",
            "collate_fn tokenises and pads the texts of each batch; to read them costs nothing.",
        ),
        _collate,
    ),
    Fault(
        "huge-picture",
        "skewed_samples",
        Bilingual(
            "En cada lote hay una foto enorme, que cuesta más que todas las demás juntas; ningún worker descansa.",
            "In each batch is one huge picture that costs more than all others together; no worker rests.",
        ),
        _skewed,
    ),
)
