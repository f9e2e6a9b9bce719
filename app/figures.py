"""The figures of runs, made at most twice a second however many pages ask for them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from app.runs import RunStore
from loader_core.trace.trace import Trace

LIFE_S = 0.5
"""How long the figures of a live run are given out before they are made anew."""
MAX_KEPT = 16
"""Sets of figures kept; the one unused for longest is dropped."""


@dataclass(frozen=True, slots=True)
class _Made:
    json: bytes
    at_s: float
    final: bool


class FigureShelf:
    """Figures as JSON by run, language and theme. Any worker thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, str, str], _Made] = OrderedDict()

    def figures(self, store: RunStore, run_id: str, *, lang: str, theme: str) -> bytes:
        """`{"throughput": ..., "queue": ..., "waits": ...}`. Raises NotFoundError, TraceError."""
        key = run_id, lang, theme
        with store.reading(run_id) as trace:  # one thread at a time makes the figures of a run
            with self._lock:
                kept = self._made.get(key)
            if kept is not None and (kept.final or time.monotonic() - kept.at_s < LIFE_S):
                return kept.json
            live = store.summary(run_id).live
            trace.refresh()
            made = _Made(_make(trace, lang=lang, theme=theme), time.monotonic(), final=not live)
        with self._lock:
            self._made[key] = made
            self._made.move_to_end(key)
            while len(self._made) > MAX_KEPT:
                self._made.popitem(last=False)
        return made.json


def _make(trace: Trace, *, lang: str, theme: str) -> bytes:
    raise NotImplementedError
