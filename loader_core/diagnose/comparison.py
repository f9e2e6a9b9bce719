"""Two runs compared: by how much the rate changed, and whether that is more than noise.

Steps that follow one another are alike (a slow file, a busy host), so they are no independent measurements. Each run's
steps after its warm-up are cut into blocks of whole steps, and Welch's test of the logarithms of the blocks' rates
gives the ratio of the two rates with its interval (B. L. Welch, 1947, Biometrika 34, 28). Blocks that are like their
neighbours count for less than their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from loader_core.diagnose.grounds import Grounds
from loader_core.diagnose.rates import student_975
from loader_core.diagnose.rows import Numbers
from loader_core.trace.event import NOT_MEASURED

MOST_BLOCKS, LEAST_BLOCKS = 20, 4
"""Blocks that a run is cut into."""
MOST_ALIKE = 0.8
"""Correlation of neighbouring blocks that is reckoned with at most."""
LEAST_STEPS = 3
"""Steps of a block."""

Judgement = Literal["faster", "slower", "same", "unknown"]
"""same: the interval holds 1, so the difference may be noise."""


@dataclass(frozen=True, slots=True)
class RateChange:
    """By how much the samples per second changed. None: not enough was seen."""

    before_per_s: float | None
    after_per_s: float | None
    ratio: float | None
    """After over before."""
    low: float | None
    high: float | None
    """The interval that holds the ratio with 95 %."""
    blocks: tuple[int, int]
    judgement: Judgement


def rate_change(before: Grounds, after: Grounds) -> RateChange:
    """The change of the rate from one run to another."""
    first, second = np.log(block_rates(before)), np.log(block_rates(after))
    blocks = len(first), len(second)
    if min(blocks) < LEAST_BLOCKS:
        return RateChange(before.samples_per_s, after.samples_per_s, None, None, None, blocks, "unknown")
    alone = [independent(rates) for rates in (first, second)]
    parts = [float(rates.var(ddof=1)) / n for rates, n in zip((first, second), alone, strict=True)]
    spread = math.sqrt(sum(parts))
    difference = float(second.mean() - first.mean())
    freedom = sum(parts) ** 2 / max(
        sum(part**2 / max(n - 1, 1.0) for part, n in zip(parts, alone, strict=True)), 1e-300
    )
    half = student_975(max(1.0, freedom)) * spread if spread else 0.0
    low, high = math.exp(difference - half), math.exp(difference + half)
    judgement: Judgement = "faster" if low > 1 else "slower" if high < 1 else "same"
    return RateChange(before.samples_per_s, after.samples_per_s, math.exp(difference), low, high, blocks, judgement)


def block_rates(grounds: Grounds) -> Numbers:
    """`(n,)` samples per second (batches, where samples were not counted) of each block of steps; empty of too few.

    A block lasts from the end of the last step before it to the end of its own last one, epochs' ends included.
    """
    steps = grounds.warm_steps
    steps = steps[np.argsort(steps["end"], kind="stable")]
    count = min(MOST_BLOCKS, (len(steps) - 1) // LEAST_STEPS)
    if count < LEAST_BLOCKS:
        return np.empty(0)
    edges = np.linspace(0, len(steps) - 1, count + 1).astype(np.int64)
    values = np.where(steps["value"] == NOT_MEASURED, 1, np.maximum(steps["value"], 1)).astype(np.float64)
    made = np.add.reduceat(values[1:], edges[:-1])
    took = np.diff(steps["end"][edges].astype(np.int64))
    rates: Numbers = made * 1e9 / np.maximum(took, 1)
    return rates


def independent(rates: Numbers) -> float:
    """How many independent measurements these blocks are worth: `n (1 - r) / (1 + r)`, with r the correlation of
    neighbours where it is above 0, freed of its bias in short series (Marriott and Pope, 1954, Biometrika 41, 390)."""
    count, around = len(rates), rates - rates.mean()
    power = float(around @ around)
    if not power:
        return float(count)
    seen = float(around[1:] @ around[:-1]) / power
    alike = min(MOST_ALIKE, max(0.0, seen + (1 + 3 * seen) / count))
    return max(2.0, count * (1 - alike) / (1 + alike))
