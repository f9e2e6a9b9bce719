"""Rules of the linter about memory and descriptors."""

from __future__ import annotations

from loader_core.diagnose import linter_texts as texts
from loader_core.diagnose.bilingual import count, duration
from loader_core.diagnose.findings import Amount, LintFinding, LintLevel
from loader_core.diagnose.memory import Forecast, MemoryUse

URGENT_NS = 24 * 3_600 * 1_000_000_000
"""What will be used up within a day is a warning; what grows more slowly is a note."""

NEAR_SHARE = 0.8
"""Descriptors open, as a share of what is possible, from which on there is a warning."""


def memory_growth(memory: MemoryUse) -> LintFinding | None:
    """Memory that grows and does not stop."""
    forecast = memory.memory_forecast
    growing = [trend for trend in memory.memory if trend.trend == "growing"]
    if forecast is None or not growing or not forecast.per_s:
        return None
    return LintFinding(
        code="MEMORY_GROWTH",
        level=_level(forecast),
        sentence=forecast.sentence,
        seen=texts.SEEN_MEMORY.format(
            points=count(sum(trend.seen for trend in growing)), time=duration(max(trend.over_ns for trend in growing))
        ),
        advice=texts.MEMORY_ADVICE,
        evidence=[Amount(texts.GROWTH, forecast.per_s, "bytes/s")],
        workers=sorted(trend.worker for trend in growing if trend.worker is not None),
        epoch=None,
    )


def files_near_limit(memory: MemoryUse) -> LintFinding | None:
    """A process that has nearly as many descriptors open as it may, or opens more and more."""
    forecast = memory.files_forecast
    if forecast is None or not memory.files:
        return None
    most = max(memory.files, key=lambda trend: trend.latest)
    near = forecast.limit is not None and most.latest >= NEAR_SHARE * forecast.limit
    if not near and forecast.exhausted_in_ns is None:
        return None
    return LintFinding(
        code="FILES_NEAR_LIMIT",
        level="warning" if near else _level(forecast),
        sentence=forecast.sentence,
        seen=texts.SEEN_FILES.format(points=count(most.seen), time=duration(most.over_ns)),
        advice=texts.FILES_ADVICE,
        evidence=[Amount(texts.FILES_OPEN, most.latest, "descriptors")],
        workers=[] if most.worker is None else [most.worker],
        epoch=None,
    )


def _level(forecast: Forecast) -> LintLevel:
    return "warning" if forecast.exhausted_in_ns is not None and forecast.exhausted_in_ns < URGENT_NS else "note"
