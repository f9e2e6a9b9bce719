"""Comparisons of two runs for the page: what `loaderscope compare` says, and what it takes to draw both."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from app.problems import ConflictError
from app.reading import lanes_of
from app.reports.comparison import compare_runs
from app.reports.words import code_name
from app.runs import RunStore
from app.sweep_wire import ComparedRun, Difference, RunComparison
from app.wire import RunSettings, Stage
from loader_core.diagnose.rates import RATE_KINDS, steady_rate
from loader_core.diagnose.rows import of_kinds
from loader_core.diagnose.verdict_types import Verdict
from loader_core.trace.event import NO_BATCH, Kind
from loader_core.trace.rollup import BUCKET_NS

MAX_KEPT = 8
"""Comparisons kept; the one unused for longest is dropped."""
MAX_POINTS = 1_200
"""Points of one curve; buckets of a longer run are put together."""
BATCHES_PER_POINT = 3
"""Batches that a point of a curve has on average at least: of fewer the curve would show when batches ended."""


class ComparisonShelf:
    """Comparisons by the ids of their runs. Any worker thread may ask; one at a time makes new ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, str], RunComparison] = OrderedDict()

    def comparison(self, store: RunStore, before: str, after: str) -> RunComparison:
        """Raises NotFoundError, TraceError, and ConflictError for a run that goes on."""
        for run in (before, after):
            if store.summary(run).live:
                raise ConflictError(f"run {run} is going on: compare it when it has ended", code="run_live")
        with self._lock:
            made = self._made.get((before, after)) or _compare(store, before, after)
            self._made[before, after] = made
            self._made.move_to_end((before, after))
            if len(self._made) > MAX_KEPT:
                self._made.popitem(last=False)
        return made


def _compare(store: RunStore, before: str, after: str) -> RunComparison:
    compared = compare_runs(store.directory(before), store.directory(after))
    first, second = (_one(store, run, verdict) for run, verdict in zip((before, after), compared.verdicts, strict=True))
    changed = compared.changed | _dials_changed(first.run.settings, second.run.settings)
    return RunComparison(
        before=first,
        after=second,
        differences=[Difference(name=name, before=was, after=now) for name, (was, now) in changed.items()],
        rate=compared.rate,
    )


def _dials_changed(before: RunSettings | None, after: RunSettings | None) -> dict[str, tuple[Any, Any]]:
    if before is None or after is None:
        return {}
    was, now = before.dials.model_dump(), after.dials.model_dump()
    return {f"dials.{name}": (was[name], now[name]) for name in was if was[name] != now[name]}


def _together(buckets: int, busy: int, batches: int) -> int:
    """How many neighbouring buckets make one point of a curve; the batches came in `busy` of them."""
    return max(1, -(-buckets // MAX_POINTS), -(-busy * BATCHES_PER_POINT // max(1, batches)))


def _one(store: RunStore, run: str, verdict: Verdict) -> ComparedRun:
    with store.reading(run) as trace:
        trace.refresh()
        buckets, batches = trace.rollup()["samples"].astype(np.float64), trace.batches
        rows = trace.window(0, trace.duration_ns, RATE_KINDS | {Kind.WAIT_BATCH})
        lanes = lanes_of(trace)
        stages = [Stage(id=number, name=name) for number, name in sorted(trace.stages.items())]
    waits = of_kinds(rows, Kind.WAIT_BATCH)
    came = waits["end"][waits["batch"] != NO_BATCH]
    begun = int(np.argmax(buckets > 0)) if buckets.any() else 0
    together = _together(len(buckets), len(buckets) - begun, batches)
    sums = np.add.reduceat(buckets, np.arange(0, len(buckets), together)) if len(buckets) else buckets
    top = verdict.top()
    return ComparedRun(
        run=store.summary(run),
        lanes=lanes,
        stages=stages,
        verdict=code_name(top.code),
        sentence=top.sentence,
        wait_share=verdict.wait_share,
        steps=verdict.steps,
        rate=steady_rate(rows),
        first_batch_ns=int(came.min()) if len(came) else None,
        bucket_ns=BUCKET_NS * together,
        curve=[float(each) for each in sums * 1e9 / (BUCKET_NS * together)],
    )
