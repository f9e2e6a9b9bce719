"""The ranks of one training, each recorded as a run of its own: how long each waits, and which of them is behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loader_core.diagnose.rows import by_end, of_kinds, warm_up_end
from loader_core.errors import TraceError
from loader_core.trace.event import NO_BATCH, Kind
from loader_core.trace.run_file import RUN_FILE, RunHeader, read_run_file
from loader_core.trace.trace import Trace

MOST_RANKS = 64
"""Ranks that are read; of more, the lowest."""
NEWEST = 20_000
"""Events of each that are read: of more, the newest."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a rank gets on, in the mean of its steps after the warm-up."""

    rank: int
    waited_ns: float
    """Per step."""
    stepped_ns: float


def paces_beside(directory: Path, header: RunHeader) -> tuple[Pace, ...]:
    """Of the other ranks of the same start of the script, at the same loader; none where they are not in its folder."""
    script = header.script or {}
    if not isinstance(script.get("ranks"), int) or script["ranks"] < 2:
        return ()
    newest: dict[int, tuple[int, Path]] = {}
    for other, beside in _same_loader(directory, header):
        if other.rank != header.rank and other.started_unix_ns > newest.get(other.rank, (0, beside))[0]:
            newest[other.rank] = other.started_unix_ns, beside
    chosen = (newest[rank][1] for rank in sorted(newest)[:MOST_RANKS])
    return tuple(pace for beside in chosen if (pace := _pace(beside)) is not None)


def _same_loader(directory: Path, header: RunHeader) -> Iterator[tuple[RunHeader, Path]]:
    wanted = _key(header)
    for path in directory.parent.glob(f"*/{RUN_FILE}"):
        try:
            other = read_run_file(path.parent)
        except TraceError:
            continue
        if other.script is not None and _key(other) == wanted:
            yield other, path.parent


def _key(header: RunHeader) -> tuple[object, ...]:
    script = header.script or {}
    return script.get("group"), script.get("site"), script.get("what"), script.get("ranks")


def _pace(directory: Path) -> Pace | None:
    try:
        trace = Trace.open(directory)
        rows = trace.window(0, trace.duration_ns + 1, {Kind.WAIT_BATCH, Kind.STEP}, limit=NEWEST)
    except (TraceError, OSError):
        return None
    steps, waits = by_end(of_kinds(rows, Kind.STEP)), of_kinds(rows, Kind.WAIT_BATCH)
    warm_ns = warm_up_end(steps, 0)
    steps = steps[steps["start"] >= warm_ns]
    if not len(steps):
        return None
    waits = waits[(waits["batch"] != NO_BATCH) & (waits["start"] >= warm_ns)]
    waited, stepped = (float(np.sum(part["end"] - part["start"])) for part in (waits, steps))
    return Pace(trace.run.rank, waited / len(steps), stepped / len(steps))
