"""All together: one real training, fed by a loader by hand, by torch's and by ours, on one time axis."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from loader_core.lessons.lesson import Findings, Lesson, Parameter, Question, Setting, Task
from loader_core.lessons.log import Curve, Measure
from loader_core.lessons.recorded import Run, line_of, rows_of, tell, total_ns, wait_share
from loader_core.trace import Kind

PROGRAM = """
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

import loader_core.engine
from loader_core.engine.iteration import PlainLoader
from loader_core.observe import observe
from loader_core.scenarios.photographs import NAMES, crops
from loader_core.trace import Recording


class Photographs:
    def __init__(self, count):
        self.folder, found = crops()
        # es: Barajadas una vez, para todos igual.
        # en: Shuffled once, the same for all.
        order = np.random.default_rng($seed).permutation(len(found))
        self.crops = [found[place] for place in order[:count]]

    def __len__(self):
        return len(self.crops)

    def __getitem__(self, index):
        crop = self.crops[index]
        # es: El disco está en la red.
        # en: The disk is across the network.
        time.sleep($latency_ms / 1000)
        with Image.open(self.folder / crop.file) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((64, 64)), np.float32)
        return torch.from_numpy(pixels / 255).permute(2, 0, 1), crop.label


def collate(samples):
    pixels = torch.stack([pixels for pixels, _ in samples])
    return pixels, torch.tensor([label for _, label in samples])


def by_hand(photographs, recording):
    return observe(map(collate, PlainLoader(photographs, batch_size=$batch_size)), recording)


def of_torch(photographs, recording):
    loader = torch.utils.data.DataLoader(photographs, $batch_size, num_workers=$num_workers)  #? !no-workers
    loader = torch.utils.data.DataLoader(photographs, $batch_size)  #? no-workers
    return observe(loader, recording)


def of_ours(photographs, recording):
    #? with-workers {
    return loader_core.engine.DataLoader(photographs, $batch_size, num_workers=$num_workers, recording=recording)
    #? }
    #? no-workers {
    return loader_core.engine.DataLoader(photographs, $batch_size, recording=recording)
    #? }
    #? with-threads {
    return loader_core.engine.DataLoader(
        photographs, $batch_size, num_workers=$num_workers, worker_method="thread", recording=recording
    )
    #? }


def train(batches):
    torch.manual_seed($seed)
    model = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, stride=2), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, stride=2), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(NAMES))),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for pixels, labels in batches:
        loss = functional.cross_entropy(model(pixels), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    torch.set_num_threads(1)
    train([(torch.zeros(2, 3, 64, 64), torch.zeros(2, dtype=torch.int64))])
    photographs = Photographs($samples)
    folders, losses = {}, {}
    for loader in (by_hand, of_torch, of_ours):
        folders[loader.__name__] = Path(tempfile.mkdtemp())
        with Recording.create(folders[loader.__name__], run_id=loader.__name__) as recording:
            losses[loader.__name__] = train(loader(photographs, recording))
        print(loader.__name__, losses[loader.__name__][-1])
"""

LOADERS = (
    ("by_hand", "by hand", "PlainLoader"),
    ("of_torch", "torch", "DataLoader"),
    ("of_ours", "ours", "DataLoader"),
)
"""Function of the program, name on the page, class."""


def measure(setting: Setting) -> Findings:
    """Runs the program, and holds its three recordings against each other."""
    tempfile.tempdir = os.fspath(setting.folder)  # the program's recordings go with this execution
    names = setting.run()
    folders, losses = names["folders"], names["losses"]
    told = tell(
        [Run(name, folders[function], kind) for function, name, kind in LOADERS],
        asking=line_of(setting, "in batches:"),
        working=line_of(setting, "losses.append"),
    )
    measures: dict[str, Measure] = {}
    for function, _, _ in LOADERS:
        rows = rows_of(folders[function], Kind.WAIT_BATCH, Kind.STEP)
        measures |= {
            f"{function}_took": Measure(int(rows["end"].max() - rows["start"].min()) / 1e9, "s"),
            f"{function}_wait": Measure(wait_share(rows), "share"),
            f"{function}_step": Measure(total_ns(rows, Kind.STEP) / 1e9, "s"),
        }
    return Findings(
        measures=measures | _differences(measures, losses) | _ecosystem(),
        curves=[
            Curve(f"loss_{name}", "batches", "nats", tuple(range(len(one))), tuple(one)) for name, one in losses.items()
        ],
        lanes=told.lanes,
        spans=told.spans,
        steps=told.steps,
    )


def _differences(measures: Mapping[str, Measure], losses: Mapping[str, Any]) -> dict[str, Measure]:
    hand, torchs, ours = (float(measures[f"{function}_took"].value) for function, _, _ in LOADERS)
    first, *others = losses.values()
    return {
        "faster": Measure(hand / ours, "×"),
        "beside_torch": Measure(torchs / ours, "×"),
        "same_losses": Measure(all(abs(a - b) < 1e-4 for other in others for a, b in zip(first, other, strict=True))),
        "batches": Measure(len(first), "batches"),
        "first_loss": Measure(sum(first[:4]) / 4, "nats"),
        "last_loss": Measure(sum(first[-4:]) / 4, "nats"),
        "workers_help": Measure(hand / ours > HELPS),
    }


def _ecosystem() -> dict[str, Measure]:
    """Classes of torch's own datasets of which our loader gives the batches that torch's gives."""
    import torch
    from torch.utils.data import ConcatDataset, StackDataset, Subset, TensorDataset

    pairs = TensorDataset(torch.arange(24).reshape(12, 2), torch.arange(12) % 3)
    found: tuple[Any, ...] = (
        pairs,
        Subset(pairs, [7, 1, 4]),
        ConcatDataset([pairs, pairs]),
        StackDataset(pairs, pairs),
    )
    same = [type(dataset).__name__ for dataset in found if _same_batches(dataset)]
    return {"ecosystem": Measure(len(same), "datasets"), "ecosystem_names": Measure(", ".join(same))}


def _same_batches(dataset: Any) -> bool:
    import torch

    import loader_core.engine

    ours: Any = loader_core.engine.DataLoader(dataset, 4)
    return all(_same(*both) for both in zip(ours, torch.utils.data.DataLoader(dataset, 4), strict=True))


def _same(one: Any, other: Any) -> bool:
    import torch

    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return len(one) == len(other) and all(map(_same, one, other))


HELPS = 1.25
"""So many times faster and more counts as help: less may be noise."""

LESSON = Lesson(
    id="11-together",
    program=PROGRAM,
    variants=("with-workers", "with-threads", "no-workers"),
    parameters=(
        Parameter("num_workers", "int", 2, min=1, max=6, unit="workers"),
        Parameter("latency_ms", "int", 5, min=0, max=20, unit="ms"),
        Parameter("batch_size", "int", 8, min=4, max=32, unit="samples"),
        Parameter("samples", "int", 192, min=64, max=256, unit="samples"),
        Parameter("seed", "int", 0, min=0, max=9999),
    ),
    measure=measure,
    traced=False,
    memory_bytes=8 * 1024**3,
    prediction=Question(measure="by_hand_wait", min=0, max=1, unit="share", tolerance=0.2),
    task=Task(
        start="with-workers",
        choices=("with-workers", "with-threads", "no-workers"),
        measure="workers_help",
        wanted=False,
    ),
    question=Question(measure="same_losses", choices=("true", "false")),
)
