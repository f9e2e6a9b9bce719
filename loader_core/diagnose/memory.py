"""Memory, descriptors and shared memory: how they grow, and when they will be exhausted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from loader_core.diagnose import memory_texts as texts
from loader_core.diagnose.bilingual import Bilingual, count, size
from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.rows import Numbers, Rows, Times
from loader_core.diagnose.trends import Slope, slope, thinned
from loader_core.trace.event import NOT_MEASURED, Kind

TrendName = Literal["growing", "steady", "shrinking", "unknown"]
"""unknown: seen too rarely or for too short a time to tell."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value at a time."""

    at_ns: int
    value: int


@dataclass(frozen=True, slots=True)
class Trend:
    """How one number of one process went on. None: unknown."""

    lane: int
    worker: int | None
    """None for the main process."""
    label: str
    latest: int
    highest: int
    seen: int
    """Measurements."""
    over_ns: int
    """Time between the first and the last of them."""
    trend: TrendName
    per_s: float | None
    """Slope: the median of the slopes of all pairs of measurements (Theil and Sen)."""
    low_per_s: float | None
    high_per_s: float | None
    """The interval that holds the slope with 95 % (Sen, 1968)."""
    points: list[Point]
    """Thinned out, for drawing."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """When growth will reach its bound. None: it does not grow, or nothing says where its bound is."""

    available: int | None
    """How much is left, in bytes or descriptors."""
    limit: int | None
    per_s: float | None
    """Growth of all processes together."""
    exhausted_in_ns: int | None
    soonest_ns: int | None
    latest_ns: int | None
    """The interval of `exhausted_in_ns`; `latest_ns` is None where growth may be as good as none."""
    sentence: Bilingual


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """Shared memory that batches on their way take up."""

    batch_bytes: int
    """The largest batch seen."""
    in_flight: int
    """The most batches in flight that were seen."""
    needed_bytes: int
    limit_bytes: int | None
    free_bytes: int | None
    sentence: Bilingual


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Memory and descriptors of the processes of a run. Empty lists: not measured."""

    memory: list[Trend]
    """Unique bytes (USS) by process."""
    memory_forecast: Forecast | None
    files: list[Trend]
    """Open descriptors by process."""
    files_forecast: Forecast | None
    """Of the process that will be the first to have no descriptor left."""
    shared: SharedMemory | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the processes of a run may use at most, asked of the host by whoever can. None: not known."""

    memory_bytes: int | None = None
    """Memory that may be used in all: the control group's limit, or the host's memory."""
    memory_available_bytes: int | None = None
    """What is left of it: MemAvailable, or the control group's limit less its use if that is less."""
    files: int | None = None
    """Descriptors that one process may have open (RLIMIT_NOFILE)."""
    shm_bytes: int | None = None
    shm_free_bytes: int | None = None


MIN_MEASUREMENTS = 6
"""Measurements in the newer half of the time seen, from which on a slope is told."""
MIN_SPAN_NS = 2_000_000_000
"""Time that this half must last."""
MIN_GROWTH_BYTES = 1 << 20
MIN_GROWTH_FILES = 4
"""Growth within that half that counts: less is what processes breathe."""
MIN_GROWTH_SHARE = 0.02
"""The same as a share of the newest value."""

MAX_POINTS = 120
"""Points of a trend that are kept for drawing."""


def memory_use(excerpt: Excerpt, limits: Limits) -> MemoryUse:
    """Memory, descriptors and shared memory of the run's processes in the window, against their limits."""
    memory = _trends(excerpt, Kind.MEMORY, MIN_GROWTH_BYTES)
    files = _trends(excerpt, Kind.FILES, MIN_GROWTH_FILES)
    return MemoryUse(
        memory=memory,
        memory_forecast=memory_forecast(memory, limits) if memory else None,
        files=files,
        files_forecast=files_forecast(files, limits) if files else None,
        shared=_shared(excerpt, limits),
    )


def _trends(excerpt: Excerpt, kind: Kind, least_growth: int) -> list[Trend]:
    rows = excerpt.ended(kind)
    rows = rows[rows["value"] != NOT_MEASURED]
    return [_trend(excerpt, rows[rows["lane"] == lane], int(lane), least_growth) for lane in np.unique(rows["lane"])]


def _trend(excerpt: Excerpt, rows: Rows, lane: int, least_growth: int) -> Trend:
    times, values = rows["end"].astype(np.int64), rows["value"].astype(np.float64)
    fitted = _newer_half(times, values)
    drawn_times, drawn_values = thinned(times, values, MAX_POINTS)
    return Trend(
        lane=lane,
        worker=excerpt.worker(lane),
        label=excerpt.label(lane),
        latest=int(values[-1]),
        highest=int(values.max()),
        seen=len(values),
        over_ns=int(times[-1] - times[0]),
        trend="unknown" if fitted is None else _name(fitted, least_growth, float(values[-1])),
        per_s=None if fitted is None else fitted.slope.per_s,
        low_per_s=None if fitted is None else _finite(fitted.slope.low_per_s),
        high_per_s=None if fitted is None else _finite(fitted.slope.high_per_s),
        points=[Point(int(at), int(value)) for at, value in zip(drawn_times, drawn_values, strict=True)],
    )


class Fitted(NamedTuple):
    """How the newer half of what was seen went on."""

    slope: Slope
    seconds: float
    before: float
    """The highest value of the older half."""


def _newer_half(times: Times, values: Numbers) -> Fitted | None:
    """The newer half of the time seen; None if too little was seen to tell.

    The newer half, because workers grow as they warm up and as their first pass unshares memory (copy-on-write), and
    then stay: what counts is whether they still grow. And what comes back to where it was has not grown: memory that
    a process shares with others, such as the code of libraries, is its own again when those end.
    """
    newer = times >= (times[0] + times[-1]) // 2
    before = float(values[~newer].max()) if not newer.all() else 0.0
    times, values = times[newer], values[newer]
    if len(times) < MIN_MEASUREMENTS or times[-1] - times[0] < MIN_SPAN_NS:
        return None
    return Fitted(slope(times, values), float(times[-1] - times[0]) / 1e9, before)


def _name(fitted: Fitted, least_growth: int, latest: float) -> TrendName:
    (per_s, low, high), seconds, before = fitted
    least = max(least_growth, MIN_GROWTH_SHARE * latest)
    if abs(per_s) * seconds < least:
        return "steady"
    if low > 0:
        return "growing" if latest - before >= least else "steady"
    return "shrinking" if high < 0 else "steady"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# --- forecasts --------------------------------------------------------------------------------------------------------


def memory_forecast(trends: list[Trend], limits: Limits) -> Forecast:
    """When the growth of all processes together will have used up what is left."""
    growing = [trend for trend in trends if trend.trend == "growing"]
    unknown = all(trend.trend == "unknown" for trend in trends)
    per_s = sum(trend.per_s or 0.0 for trend in growing)
    low, high = sum(trend.low_per_s or 0.0 for trend in growing), _sum_of(trend.high_per_s for trend in growing)
    available = limits.memory_available_bytes
    times = _until(available, per_s, low, high) if growing else (None, None, None)
    used = sum(trend.latest for trend in trends)
    if unknown:
        sentence = texts.TOO_LITTLE
    elif not growing:
        sentence = texts.memory_steady(len(trends), size(used))
    else:
        sentence = texts.memory_grows(len(growing), size(per_s), size(low))
        sentence += texts.until(times, left=None if available is None else size(available))
    return Forecast(available, limits.memory_bytes, None if unknown else per_s, *times, sentence)


def files_forecast(trends: list[Trend], limits: Limits) -> Forecast:
    """When the first process will have no descriptor left."""
    limit = limits.files
    nearest = max(trends, key=lambda trend: trend.latest)
    left = None if limit is None else limit - nearest.latest
    growing = [trend for trend in trends if trend.trend == "growing" and trend.per_s]
    if not growing:
        sentence = texts.files_open(nearest.label, nearest.latest, limit)
        return Forecast(left, limit, None if nearest.trend == "unknown" else 0.0, None, None, None, sentence)
    first = min(growing, key=lambda trend: _time_left(trend, limit))
    left = None if limit is None else limit - first.latest
    times = _until(left, first.per_s or 0.0, first.low_per_s or 0.0, first.high_per_s)
    sentence = texts.files_grow(first.label, first.latest, first.per_s or 0.0)
    sentence += texts.until(times, left=None if left is None else count(left))
    return Forecast(left, limit, first.per_s, *times, sentence)


def _time_left(trend: Trend, limit: int | None) -> float:
    left = 0 if limit is None else limit - trend.latest
    return left / trend.per_s if trend.per_s else math.inf


def _sum_of(values: Iterable[float | None]) -> float | None:
    """The sum, or None if one of them is not known."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _until(
    left: int | None, per_s: float, low_per_s: float, high_per_s: float | None
) -> tuple[int | None, int | None, int | None]:
    """In how many nanoseconds `left` is used up at these rates: expected, soonest, latest."""
    if left is None or per_s <= 0:
        return None, None, None
    left = max(0, left)
    soonest = round(left / high_per_s * 1e9) if high_per_s else None
    latest = round(left / low_per_s * 1e9) if low_per_s > 0 else None
    return round(left / per_s * 1e9), soonest, latest


# --- shared memory ----------------------------------------------------------------------------------------------------


def _shared(excerpt: Excerpt, limits: Limits) -> SharedMemory | None:
    """What the batches on their way take up; None if workers are no processes, or nobody counted bytes."""
    sent, flights = excerpt.ended(Kind.SEND), excerpt.ended(Kind.DISPATCH)
    largest, most = int(max(sent["value"], default=0)), int(max(flights["value"], default=0))
    if not excerpt.has_processes or largest <= 0 or most <= 0:
        return None
    needed, free = largest * most, limits.shm_free_bytes
    sentence = texts.SHARED.format(most=count(most), batch=size(largest), needed=size(needed))
    if free is not None:
        sentence += texts.SHARED_FREE.format(free=size(free))
    return SharedMemory(largest, most, needed, limits.shm_bytes, free, sentence)
