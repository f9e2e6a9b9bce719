"""Diagnoses of runs: what their processes may use, and how often diagnoses are made."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from app.host import shm_free_bytes
from app.reading import on_this_host, run_time_now
from app.runs import RunStore
from app.scores import Scores
from loader_core.diagnose.diagnosis import Diagnosis, examine
from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.memory import Limits
from loader_core.diagnose.stored import judged_from_ns, read_excerpt, setting_of
from loader_core.trace.facts import read_facts
from loader_core.trace.trace import ROW_DTYPE

MAX_KEPT = 16
"""Diagnoses kept; the one unused for longest is dropped."""
LIFE_S = 1.0
"""How long a diagnosis of a live run is given out before it is made anew ..."""
LIFE_FACTOR = 5.0
"""... or so many times the CPU time that it took to make: making them takes a sixth of one core at most."""
QUIET_NS = 5_000_000_000
"""Of a live run in which nothing has ended for so long, the window reaches up to now: it may be stuck."""

CONTROL_GROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class _Made:
    diagnosis: Diagnosis
    seen: tuple[int, int]
    """Batches, and the end of the newest event, of the trace that it was made from."""
    until_s: float


class DiagnosisShelf:
    """Diagnoses by run and window. Any worker thread may ask; one at a time makes new ones."""

    def __init__(self, scores: Scores) -> None:
        self._scores = scores
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, int, int | None], _Made] = OrderedDict()

    def diagnosis(self, store: RunStore, run_id: str, *, start_ns: int, end_ns: int | None) -> Diagnosis:
        """The diagnosis of the window; `end_ns=None`: to the newest event. Raises NotFoundError, TraceError."""
        key = run_id, start_ns, end_ns
        with self._lock:
            made = self._made.get(key)
            if made is None or time.monotonic() >= made.until_s:
                made = self._make(store, run_id, made, start_ns, end_ns)
            self._made[key] = made
            self._made.move_to_end(key)
            if len(self._made) > MAX_KEPT:
                self._made.popitem(last=False)
        return made.diagnosis

    def _make(self, store: RunStore, run_id: str, before: _Made | None, start_ns: int, end_ns: int | None) -> _Made:
        began, began_s = time.monotonic(), time.thread_time()
        summary = store.summary(run_id)
        if summary.state == "starting":
            excerpt = Excerpt(np.empty(0, ROW_DTYPE), start_ns, start_ns if end_ns is None else end_ns, [])
            return _Made(examine(excerpt, Facts.of([]), Limits()), (0, 0), began)
        with store.reading(run_id) as trace:  # held while it is read and no longer: the live view waits for it
            trace.refresh()
            live, until_ns = summary.live and on_this_host(trace), end_ns
            if live and end_ns is None and run_time_now(trace) - trace.duration_ns >= QUIET_NS:
                until_ns = run_time_now(trace)
            seen = trace.batches, until_ns or trace.duration_ns
            unchanged = before is not None and before.seen == seen
            if not unchanged:
                excerpt = read_excerpt(trace, start_ns, until_ns)
                facts = Facts.of(read_facts(trace.directory))
                limits = limits_of(facts, here=live)
                setting, judged_ns = setting_of(trace.run), judged_from_ns(trace.run)
        if before is not None and unchanged:
            diagnosis = before.diagnosis
        else:
            error = self._scores.error()
            diagnosis = examine(excerpt, facts, limits, setting=setting, error=error, judged_from_ns=judged_ns)
        took_s = time.thread_time() - began_s
        return _Made(diagnosis, seen, time.monotonic() + max(LIFE_S, LIFE_FACTOR * took_s))


def limits_of(facts: Facts, *, here: bool) -> Limits:
    """What the processes of a run may use. `here`: it goes on now, on this host, so that what is left can be asked."""
    if not here:
        return Limits(memory_bytes=facts.memory_bytes, files=facts.files_limit, shm_bytes=facts.shm_bytes)
    group, used = _number(CONTROL_GROUP / "memory.max"), _number(CONTROL_GROUP / "memory.current")
    available = psutil.virtual_memory().available
    if group is not None and used is not None:
        available = min(available, max(0, group - used))
    return Limits(
        memory_bytes=facts.memory_bytes,
        memory_available_bytes=available,
        files=facts.files_limit,
        shm_bytes=facts.shm_bytes,
        shm_free_bytes=shm_free_bytes(),
    )


def _number(path: Path) -> int | None:
    """What a file of the kernel says; None where it says "max", or there is none."""
    try:
        text = path.read_text("ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
