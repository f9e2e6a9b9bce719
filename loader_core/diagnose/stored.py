"""A stored run as what diagnoses are made from: rows within bounds, the loader's arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from loader_core.diagnose.excerpt import DETAIL_KINDS, JOURNEY_KINDS, Excerpt
from loader_core.diagnose.ranks import paces_beside
from loader_core.diagnose.setting import Setting
from loader_core.trace.run_file import RunHeader
from loader_core.trace.trace import Trace

MAX_ROWS = 600_000
"""Events of batches that a diagnosis is made from: some 40,000 batches. Of a window with more, its newest part."""
MAX_DETAIL_ROWS = 600_000
"""Events of samples, stages and stacks, likewise."""

LOOK_BACK_NS = 60_000_000_000
"""How much of what was before a window is read, so that the batches waited for at its beginning are whole."""


def read_excerpt(trace: Trace, start_ns: int, end_ns: int | None = None) -> Excerpt:
    """What a diagnosis of this window is made from, within the bounds above. The trace is as it was last refreshed."""
    end_ns = max(start_ns, trace.duration_ns) if end_ns is None else end_ns
    journeys = trace.window(start_ns - LOOK_BACK_NS, end_ns, JOURNEY_KINDS, limit=MAX_ROWS)
    details = trace.window(start_ns, end_ns, DETAIL_KINDS, limit=MAX_DETAIL_ROWS)
    # Of more rows than the limit those that ended first are missing: what is left is whole from its first end on.
    whole_from_ns = int(journeys["end"].min()) if len(journeys) == MAX_ROWS else start_ns
    begin_ns = min(max(start_ns, whole_from_ns), end_ns)
    rows = np.concatenate([journeys, details])
    return Excerpt(
        rows=rows[np.argsort(rows["start"], kind="stable")],
        start_ns=begin_ns,
        end_ns=end_ns,
        lanes=list(trace.lanes),
        stages=dict(trace.stages),
        places=dict(trace.places),
        details_from_ns=int(details["end"].min()) if len(details) == MAX_DETAIL_ROWS else begin_ns,
        shortened=begin_ns > start_ns,
        lost=trace.lost,
        beside=paces_beside(trace.directory, trace.run),
    )


def setting_of(run: RunHeader) -> Setting | None:
    """The arguments of a run's loader as they are now; None where nobody wrote them down."""
    said: dict[str, Any] | None = run.settings if run.settings is not None else run.loader
    if said is None or not isinstance(said.get("num_workers"), int):
        return None
    method = "thread" if said.get("worker_method") == "thread" else "process"
    cpus = run.host.get("cpus")
    return Setting(
        num_workers=said["num_workers"],
        prefetch_factor=int(said.get("prefetch_factor") or 2),
        batch_size=int(said.get("batch_size") or 1),
        worker_method=method,  # type: ignore[arg-type]
        in_order=bool(said.get("in_order", True)),
        persistent_workers=bool(said.get("persistent_workers", False)),
        pin_memory=bool(said.get("pin_memory", False)),
        cores=float(cpus) if isinstance(cpus, int) and cpus > 0 else 1.0,
    )


def judged_from_ns(run: RunHeader) -> int:
    """Where the stretch of a run begins that was recorded with its newest arguments."""
    changed = [change for change in run.changes if change.get("restarted_loader")]
    return max((int(change.get("at_ns", 0)) for change in changed), default=0)
