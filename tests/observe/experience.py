"""What a training loop sees of a loader: everything in which an observed run may not differ from an unobserved one."""

from __future__ import annotations

import gc
import random
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from loader_core.observe import observe
from loader_core.trace import Recording, Trace
from tests.observe.datasets import Failing

Make = Callable[[], DataLoader[Any]]
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Experience:
    """All that was seen, in plain values."""

    batches: list[list[Any]] = field(default_factory=list)
    types: set[Any] = field(default_factory=set)
    error: Any = None
    warned: list[Any] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)


def plain(value: Any) -> Any:
    """A batch as plain values that compare by type and by bit."""
    if isinstance(value, torch.Tensor):
        return (
            type(value),
            value.dtype,
            tuple(value.shape),
            value.is_pinned(),
            value.is_shared(),
            value.numpy().tobytes(),
        )
    if isinstance(value, np.ndarray):
        return type(value), value.dtype, value.shape, value.tobytes()
    if isinstance(value, dict):
        return type(value), [(key, plain(part)) for key, part in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [plain(part) for part in value]
    return type(value), value


def told(error: BaseException) -> Any:
    """An exception's type, text and traceback below the test, without process ids."""
    frames = [(frame.filename, frame.lineno, frame.name) for frame in traceback.extract_tb(error.__traceback__)]
    below = [
        (file, None if name == "_next_data" else line, name)  # which line of it depends on what came first
        for file, line, name in frames
        if not file.endswith(("experience.py", "contextlib.py"))
    ]
    cause = None if error.__cause__ is None else told(error.__cause__)
    return type(error), re.sub(r"pid(\(s\))? [\d, ]+", "pid", str(error)), below, cause


def experience(make: Make, *, epochs: int = 2, leave_after: int | None = None, observed: Any = None) -> Experience:
    """Iterate over the loader that `make` makes; `observed` is given the loader before that."""
    seen = Experience()
    random.seed(5)
    np.random.seed(6)
    torch.manual_seed(7)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loader = make()
        if observed is not None:
            assert observed(loader) is loader
        for _ in range(epochs):
            _epoch(loader, seen, leave_after)
        del loader
    seen.warned = [(w.category, str(w.message), w.filename, w.lineno) for w in caught]
    seen.states = [random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()]
    return seen


def _epoch(loader: DataLoader[Any], seen: Experience, leave_after: int | None) -> None:
    got: list[Any] = []
    seen.batches.append(got)
    try:
        iterator = iter(loader)
        seen.types |= {type(loader), type(iterator), len(vars(loader)), type(loader.dataset)}
        for batch in iterator:
            got.append(plain(batch))
            if len(got) == leave_after:
                break
    except Exception as error:  # noqa: BLE001 - to be compared
        seen.error = told(error)
    if seen.error is not None or isinstance(loader.dataset, Failing):
        # torch's exceptions are cycles with their iterator; workers forked later would end it in their parent's stead.
        gc.collect()


@contextmanager
def recorded(directory: Path) -> Iterator[Recording]:
    """A recording in `directory`, finished at the end."""
    recording = Recording.create(directory, run_id=directory.name)
    try:
        yield recording
    finally:
        recording.finish("finished")


def both(make: Make, directory: Path, *, detail: str = "stage", **how: Any) -> tuple[Experience, Trace]:
    """Experience a loader without and with observation, demand that nothing differs, and give what was recorded."""
    without = experience(make, **how)
    with recorded(directory) as recording:
        seen = experience(make, observed=lambda loader: observe(loader, recording, detail=detail), **how)
    assert seen.batches == without.batches
    assert seen == without
    return seen, Trace.open(directory)
