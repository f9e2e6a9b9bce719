"""What the tests of the trace share: a recorder's events read back, and scripts run in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from loader_core.trace.event import EVENT_DTYPE
from loader_core.trace.segment import SUFFIX, SegmentReader

ROOT = Path(__file__).resolve().parents[2]

Event = tuple[int, int, int, int, int, int, int, int]
"""start, end, value, sample, batch, epoch, flags, kind: as a record holds them."""


def segments(directory: Path) -> list[Path]:
    """The segment files, chain by chain in order."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def events(directory: Path) -> list[Event]:
    """All events, chain by chain in the order of writing."""
    return [event for path in segments(directory) for event in SegmentReader(path).take().tolist()]


def array(rows: list[Event]) -> np.ndarray[Any, np.dtype[np.void]]:
    """`(n,) EVENT_DTYPE`."""
    return np.array(rows, EVENT_DTYPE)


@contextmanager
def script(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A Python script in a process of its own, with pipes; killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run_script(code: str, *arguments: object) -> tuple[int, str]:
    """Run a script to its end; its exit code (negative: a signal) and what it printed."""
    with script(code, *arguments) as process:
        out, error = process.communicate(timeout=30)
        return process.returncode, out + error
