"""Whether waits come in the rhythm of the workers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loader_core.diagnose.rows import Numbers

MIN_AUTOCORRELATION = 0.3
"""Waits that come in step are far above it; chance gives about `2 / sqrt(n)`."""
MIN_CYCLES = 5
"""Rounds of all workers that must have been seen."""


@dataclass(frozen=True, slots=True)
class Periodicity:
    """Whether waits come in the rhythm of the workers: every W-th batch, W workers in lock-step.

    Then there are too few workers (or they are too slow), and the batch that was waited for is not to blame.
    """

    lag: int
    """The number of workers."""
    waits: int
    autocorrelation: float
    """Of the waits at that lag, -1..1."""
    in_step: bool
    """It stands out: above what chance would give, and above the lags around it."""


def periodicity(waits_ns: Numbers, workers: int) -> Periodicity | None:
    """Whether waits, `(n,)` in their order, come in the rhythm of `workers`: None if there are too few to tell.

    Workers in lock-step deliver W batches at once, and then the loop waits for all of them again: the waits' sample
    autocorrelation peaks at lag W (pytorch#19836). Box and Jenkins' estimator; 95 % of chance lies within 2/sqrt(n).
    """
    count = len(waits_ns)
    if workers < 2 or count < MIN_CYCLES * workers:
        return None
    around: Numbers = waits_ns - waits_ns.mean()
    power = float(around @ around)
    if power == 0:
        return Periodicity(workers, count, 0.0, in_step=False)
    at_lags = [float(around[lag:] @ around[:-lag]) / power for lag in range(1, workers + 1)]
    at_workers = at_lags[-1]
    needed = max(MIN_AUTOCORRELATION, 2 / np.sqrt(count), *at_lags[:-1])
    return Periodicity(workers, count, at_workers, in_step=bool(at_workers >= needed))
