"""A verdict: what holds a training loop back, what to change, what it will gain, and what would refute it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

from loader_core.diagnose.bilingual import Bilingual
from loader_core.diagnose.setting import Prediction, Setting


class Code(StrEnum):
    """The vocabulary of verdicts. A code is never used again for another meaning."""

    LOADER_OK = "loader_ok"
    """Input is no problem here: look elsewhere."""
    WORKER_CPU_BOUND = "worker_cpu_bound"
    """Workers compute throughout, and the cores are used up."""
    TOO_FEW_WORKERS = "too_few_workers"
    """Workers are busy throughout, and cores are free."""
    TOO_MANY_WORKERS = "too_many_workers"
    """Workers wait for cores that others of them, or the training loop, have."""
    STORAGE_BOUND = "storage_bound"
    """Workers wait for what they read."""
    COLLATE_BOUND = "collate_bound"
    """Making one batch out of samples takes most of a worker's time."""
    TRANSPORT_BOUND = "transport_bound"
    """Sending batches from workers to the main process takes most of the time."""
    MAIN_THREAD_BOUND = "main_thread_bound"
    """The main process has too much to do for each batch, such as drawing indices."""
    PIN_BOUND = "pin_bound"
    """Copying to page-locked memory holds batches up."""
    H2D_BOUND = "h2d_bound"
    """Copying to the device holds batches up."""
    HEAD_OF_LINE = "head_of_line"
    """Later batches are ready, and have to wait for their turn while workers idle."""
    SKEWED_SAMPLES = "skewed_samples"
    """A few samples take much longer than the others."""
    STARTUP_BOUND = "startup_bound"
    """The first batch takes a large part of the run."""
    EPOCH_RESPAWN = "epoch_respawn"
    """Workers are started anew for each epoch."""
    GIL_BOUND = "gil_bound"
    """Threads wait for Python's global lock."""
    HANG = "hang"
    """The loop waits for a batch that does not come."""
    MEMORY_GROWTH = "memory_growth"
    """Memory grows and does not stop."""
    SHM_OR_FD_RISK = "shm_or_fd_risk"
    """Shared memory or file descriptors are nearly used up."""
    RANK_STRAGGLER = "rank_straggler"
    """One rank waits longer for its batches than the others, and they wait for it."""
    UNDETERMINED = "undetermined"
    """The recording does not tell."""


Confidence = Literal["high", "medium", "low"]

Measure = Literal["share", "total_ns", "mean_ns", "median_ns", "cpu_share", "count", "max", "derived"]
"""How the number of an Evidence follows from its rows (`loader_core.diagnose.evidence.measured_again`):

- total_ns, mean_ns, median_ns: of the rows' durations;
- share: the first kind's durations, of those of all kinds;
- cpu_share: the values of the rows (CPU ns), of their durations;
- count: how many rows there are; max: their largest value;
- derived: calculated from several of these, as the name says.
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A number that a finding rests on, and the query that reproduces it."""

    name: Bilingual
    value: float
    unit: str
    kinds: tuple[str, ...]
    """Names of the kinds of rows that it is made from."""
    lanes: tuple[int, ...]
    """Their lanes; empty: all."""
    start_ns: int
    end_ns: int
    """Rows that began at `start_ns` or later, and ended at `end_ns` or before."""
    measure: Measure = "derived"


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is advised."""

    argument: str
    """Name of the loader's argument; "" for a change of code that is no argument."""
    value: int | float | bool | str | None
    line: Bilingual
    """What to type, such as num_workers=4."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause of waiting (or a danger), with all that one needs to believe it or not."""

    code: Code
    sentence: Bilingual
    """The whole finding, with its numbers."""
    share: float | None
    """Of the wait that it explains, 0..1; those of a verdict add up to 1 at most. None: it is not about waiting."""
    confidence: Confidence
    evidence: tuple[Evidence, ...]
    place: str | None
    """Where in the user's code: train.py:41 decode. None where neither stacks nor stages were recorded."""
    advice: Bilingual
    changes: tuple[Change, ...]
    setting: Setting | None
    """The setting that `changes` lead to; None where they change no argument of the loader."""
    predicted: Prediction | None
    """What that setting would give; None where it cannot be predicted."""
    refuted_by: Bilingual
    """What would show that this is wrong."""
    experiment: Bilingual
    """One next experiment."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a window of a run comes to."""

    start_ns: int
    end_ns: int
    steps: int
    """Steps that it rests on, without those of the warm-up."""
    wait_share: float | None
    """Of the loop's time in these steps, 0..1; None where there were none."""
    wait_ns: int
    findings: tuple[Finding, ...]
    """The top one first; never empty."""
    samples_per_s: float | None = None
    """Of the window once it was warm: what predictions are held against."""
    setting: Setting | None = None
    """Under which it was recorded; None where that is not known."""

    def top(self) -> Finding:
        """The finding that matters most."""
        return self.findings[0]


def verdict_json(verdict: Verdict) -> str:
    """A verdict as canonical JSON: the same verdict is the same text, byte for byte."""
    return json.dumps(as_plain(verdict), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def as_plain(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain values: what JSON can hold."""
    plain: dict[str, Any] = asdict(verdict)
    return plain
