"""Headroom: what a loader that never lets the loop wait would give, measured in the user's own training.

Asked for by LOADERSCOPE_HEADROOM=STEPS. After some steps the loop gets copies of the last batches again, so many times,
while the loader rests with its queues full; then it goes on where it was. The training sees that many batches more than
it would have: that is what it costs, and why it has to be asked for. Loops without gradients, such as a validation, are
left alone. (The idea is that of SPDL's CacheDataLoader, and of DS-Analyzer's run on synthetic data.)
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch.utils._pytree import tree_map

from loader_core.observe.linting import length_of
from loader_core.observe.walk import Walk
from loader_core.start import HEADROOM, MOST_HEADROOM_STEPS, swallow
from loader_core.trace import now
from loader_core.trace.facts import append_fact

WARM, KEPT = 20, 10
"""Steps before batches are kept, and how many of them are."""
NONE: Any = object()
"""No batch: None may be one."""


def asked_steps() -> int:
    """How many steps the environment asks for; 0: none."""
    text = os.environ.get(HEADROOM, "")
    return min(MOST_HEADROOM_STEPS, int(text)) if text.isdecimal() else 0


class Headroom:
    """The measurement in one iterator. Belongs to the thread of the training loop."""

    def __init__(self, loader: Any, steps: int, directory: Path) -> None:
        self._steps = steps
        self._epoch_batches = None
        if length_of(loader) is not None:  # a stream's length is a guess, and torch remembers who asked for it
            with suppress(Exception):
                self._epoch_batches = len(loader)
        self._directory = directory
        self._batches: list[Any] = []
        self._seen = 0
        self._asked: list[int] = []
        """When the loop asked for each batch, ns: before, then during the replay."""
        self._replayed: list[int] = []
        self.is_over = False

    def look_at(self, batch: Any) -> None:
        """The loop has got this batch from the loader. Raises nothing: what cannot be copied ends the measurement."""
        if self.is_over or not torch.is_grad_enabled():
            return
        self._seen += 1
        self._asked.append(now())
        if self._seen > WARM:
            try:
                self._batches.append(tree_map(_copy, batch))
            except Exception:  # noqa: BLE001 - no memory, or a type that cannot be copied
                self._give_up()

    def again(self, walk: Walk) -> Any:
        """The batch that the loop gets instead of the loader's next one; NONE: it gets the loader's. Raises nothing."""
        if self.is_over or len(self._batches) < KEPT:
            return NONE
        if not self._replayed:
            walk.end_step()
        self._replayed.append(now())
        if len(self._replayed) > self._steps:
            self._finish(walk)
            return NONE
        try:
            # A copy: the loop may change what it gets.
            return tree_map(_copy, self._batches[len(self._replayed) % KEPT])
        except Exception:  # noqa: BLE001 - as above
            walk.paused(self._replayed[0])
            self._give_up()
            return NONE

    def _give_up(self) -> None:
        swallow("measuring the headroom")
        self.is_over = True
        self._batches = []

    def _finish(self, walk: Walk) -> None:
        self.is_over = True
        self._batches = []
        walk.paused(self._replayed[0])
        append_fact(
            self._directory,
            {
                "kind": "headroom",
                "steps": self._steps,
                "before_ns": round(_mean_gap(self._asked[WARM // 4 :])),
                "cached_ns": round(_mean_gap(self._replayed)),
                "epoch_batches": self._epoch_batches,
            },
        )


def _mean_gap(moments: list[int]) -> float:
    return fmean(after - before for before, after in pairwise(moments))


def _copy(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    copy = value.detach().clone()
    return copy.pin_memory() if value.is_pinned() else copy
