"""Two ranks that train together, one of which has the heavier shard."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from loader_core.diagnose.bilingual import Bilingual
from loader_core.scenarios.faults.fault import Engine, Fault, Load, Strength
from loader_core.scenarios.faults.pieces import Repeated, Waits, pictures, step_for, took

RANKS = 2
BATCH = 16
STEPS = 90
"""The same number in each rank: who stops sooner leaves the others waiting."""


def rank() -> int:
    """Of this process."""
    return int(os.environ.get("RANK", "0"))


class Together(Waits):
    """A step that ends with a mean over all ranks, for which each waits for the others: gloo's all-reduce."""

    def __call__(self, batch: Any) -> None:
        time.sleep(self.seconds)
        torch.distributed.all_reduce(torch.ones(1024))


@contextmanager
def _group(meeting: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank(), world_size=RANKS)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def _skewed_shards(strength: Strength, engine: Engine, folder: Path) -> Load:
    light, heavy = pictures(32, augment=False), pictures(448)
    each = min(took(lambda index: heavy[index], 20) for _ in range(3))
    share = {"mild": 0.5, "clear": 0.65, "severe": 0.8}[strength]
    step = step_for(BATCH * each, share)
    own = heavy if rank() == 1 else light
    meeting = folder / f"meeting-{os.environ.get('LOADERSCOPE_GROUP', '')}"
    arguments = {"batch_size": BATCH, "num_workers": 1}
    return Load(
        Repeated(own, STEPS * BATCH),
        arguments,
        Together(step),
        epochs=1,
        seconds=30.0,
        around=lambda: _group(meeting),
    )


RANKED = (
    Fault(
        "skewed-shards",
        "rank_straggler",
        Bilingual(
            "Dos procesos entrenan juntos; las fotos del segundo cuestan mucho más, y el primero lo espera en cada "
            "paso.",
            "Two processes train together; the second one's pictures cost far more, and the first waits for it in "
            "each step.",
        ),
        _skewed_shards,
        ranks=RANKS,
    ),
)
