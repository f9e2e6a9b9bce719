"""Straight lines through noisy numbers, robustly: the slope of Theil and Sen with its interval."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from loader_core.diagnose.rows import Numbers, Times

Z_95 = 1.959964
"""Standard deviations that hold 95 % of a normal distribution."""

MAX_FITTED = 200
"""Measurements that a slope is fitted to. Of more, the medians of so many stretches."""


class Slope(NamedTuple):
    """A slope per second, and the interval that holds it with 95 %."""

    per_s: float
    low_per_s: float
    high_per_s: float


def slope(times_ns: Times, values: Numbers) -> Slope:
    """The median of the slopes of all pairs of points, `(n,)` each and n >= 2.

    P. K. Sen (1968), J. Am. Stat. Assoc. 63, 1379: up to 29 % of the points may be anything. The interval is Sen's too,
    from the normal approximation of Kendall's statistic; it takes the noise of points to be independent.
    """
    times_ns, values = thinned(times_ns, values, MAX_FITTED)
    first, second = np.triu_indices(len(values), 1)
    spans = (times_ns[second] - times_ns[first]) / 1e9
    apart = spans > 0
    slopes = np.sort((values[second] - values[first])[apart] / spans[apart])
    if not len(slopes):
        return Slope(0.0, -math.inf, math.inf)
    count = len(values)
    spread = Z_95 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low, high = math.floor((len(slopes) - spread) / 2), math.ceil((len(slopes) + spread) / 2)
    return Slope(
        float(np.median(slopes)),
        float(slopes[low]) if low >= 0 else -math.inf,
        float(slopes[high]) if high < len(slopes) else math.inf,
    )


def thinned(times_ns: Times, values: Numbers, most: int) -> tuple[Times, Numbers]:
    """At most `most` points: the median time and value of each of so many stretches."""
    if len(values) <= most:
        return times_ns, values
    stretches = list(pairwise(np.linspace(0, len(values), most + 1).astype(np.int64)))
    return (
        np.array([int(np.median(times_ns[first:last])) for first, last in stretches], np.int64),
        np.array([float(np.median(values[first:last])) for first, last in stretches]),
    )
