"""How fast a training loop went once it was warm, and how sure that is. Pure: the same rows give the same numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from loader_core.diagnose.rows import Numbers, Rows, by_end, of_kinds
from loader_core.trace.event import NO_BATCH, Kind

RATE_KINDS = frozenset({Kind.WAIT_BATCH, Kind.STEP, Kind.PAUSE, Kind.PREVIEW})
"""The kinds that `steady_rate` reads."""

WARM_UP, LONGEST_WARM_UP = 5, 40
"""Where no whole epoch was seen, one step in 5 is left out, 40 at most: workers start, caches fill."""
MIN_BATCHES = 4
"""Of fewer there is no rate."""
MAX_GROUPS, MIN_GROUPS, MIN_GROUP = 10, 4, 3
"""Neighbouring batches hang together, so that an interval is of the means of groups of them (batch means, Law and
Kelton 2000, 9.5.3), and there is none for fewer than 4 groups of 3."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Of a run after its warm-up, with a 95 % interval; no interval where there was too little."""

    samples_per_s: float
    low: float | None
    """Samples per second."""
    high: float | None
    batches_per_s: float
    batches: int
    """That it was measured from."""
    start_ns: int
    """In run time; before it the run warmed up."""
    end_ns: int


def steady_rate(rows: Rows) -> Rate | None:
    """The rate of the training loop in `rows` of one rank; None for fewer than `MIN_BATCHES`.

    Over whole epochs after the first where two or more were seen to their end, with what lies between them; else over
    the steps after the warm-up. Time in PAUSE and PREVIEW does not count.
    """
    waits, steps = by_end(of_kinds(rows, Kind.WAIT_BATCH)), by_end(of_kinds(rows, Kind.STEP))
    if len(steps) < MIN_BATCHES + 1:
        return None
    ends = steps["end"].astype(np.int64)
    over = epoch_ends(waits, steps)["end"].astype(np.int64)
    if len(over) >= 2 and over[0] > ends[0]:
        begin, end = int(over[0]), int(over[-1])
    else:
        warm = min(len(steps) // WARM_UP, LONGEST_WARM_UP, len(steps) - 1 - MIN_BATCHES)
        begin, end = int(ends[warm]), int(ends[-1])
    inside = (ends > begin) & (ends <= end)
    if inside.sum() < MIN_BATCHES:
        return None
    samples = np.maximum(steps["value"][inside].astype(np.float64), 1.0)
    marks = np.concatenate([[begin], ends[inside]])
    marks[-1] = end  # what comes after the last step of an epoch belongs to it
    took_s = np.diff(marks) / 1e9 - _paused_s(rows, marks)
    total_s = float(took_s.sum())
    if total_s <= 0:
        return None
    per_s = float(samples.sum()) / total_s
    low, high = _interval(took_s, samples, per_s)
    return Rate(per_s, low, high, len(samples) / total_s, len(samples), begin, end)


def epoch_ends(waits: Rows, steps: Rows) -> Rows:
    """Of the WAIT_BATCH rows those that end an epoch, by a break or because no batch was left.

    A run that is stopped leaves its last epoch too: one that was left counts only if an earlier one was as short.
    """
    ends: Rows = waits[waits["batch"] == NO_BATCH]
    if not len(ends) or ends["end"][-1] > ends["start"][-1]:  # who leaves does not wait
        return ends
    *whole, last = (int((steps["epoch"] == epoch).sum()) for epoch in ends["epoch"])
    return ends if last in whole else ends[:-1]


def ratio(a: Rate, b: Rate) -> tuple[float, float, float] | None:
    """What `b` is of `a`, with its 95 % interval, the two errors taken as independent (first-order propagation on the
    logarithm); None without intervals."""
    if a.low is None or a.high is None or b.low is None or b.high is None or min(a.low, b.low) <= 0:
        return None
    half = math.hypot(math.log(a.high / a.low) / 2, math.log(b.high / b.low) / 2)
    quotient = b.samples_per_s / a.samples_per_s
    return quotient, quotient * math.exp(-half), quotient * math.exp(half)


def told_apart(a: Rate, b: Rate) -> bool:
    """Whether 1 lies outside of the interval of their ratio. Rates without an interval are not told apart."""
    found = ratio(a, b)
    return found is not None and not found[1] <= 1.0 <= found[2]


def student_975(freedom: float) -> float:
    """The 97.5 % quantile of Student's distribution, within 0.5 % for 3 degrees of freedom or more, and for 1 and 2.

    Cornish and Fisher's expansion in the normal quantile (Abramowitz and Stegun, 26.7.5).
    """
    if freedom < 3:
        known = {1: 12.706, 2: 4.303}
        return known[max(1, int(freedom))]
    z = 1.959964
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / freedom + second / freedom**2 + third / freedom**3 + fourth / freedom**4


def _paused_s(rows: Rows, marks: np.ndarray) -> np.ndarray:
    """Seconds of PAUSE and PREVIEW between each two neighbours of `marks`, `(n,)` -> `(n - 1,)`."""
    paused = np.zeros(len(marks) - 1)
    for pause in of_kinds(rows, Kind.PAUSE, Kind.PREVIEW):
        overlap = np.minimum(marks[1:], pause["end"]) - np.maximum(marks[:-1], pause["start"])
        paused += np.maximum(overlap, 0) / 1e9
    return paused


def _interval(took_s: Numbers, samples: Numbers, per_s: float) -> tuple[float | None, float | None]:
    groups = min(MAX_GROUPS, len(took_s) // MIN_GROUP)
    if groups < MIN_GROUPS:
        return None, None
    parts = np.array_split(np.arange(len(took_s)), groups)
    per_sample_s = np.array([took_s[part].sum() / samples[part].sum() for part in parts])
    half = student_975(groups - 1) * float(per_sample_s.std(ddof=1)) / math.sqrt(groups)
    middle = 1.0 / per_s
    return 1.0 / (middle + half), (1.0 / (middle - half) if half < middle else None)
