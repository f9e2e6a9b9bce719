"""The figures of runs, made at most twice a second however many pages ask for them."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.runs import RunStore
from loader_core.diagnose.queues import QueueCount
from loader_core.diagnose.rows import Rows, of_kinds
from loader_core.trace.event import NO_BATCH, Kind
from loader_core.trace.rollup import BUCKET_DTYPE
from loader_core.trace.trace import ROW_DTYPE, Trace

LIFE_S = 0.5
"""How long the figures of a live run are given out before they are made anew."""
MAX_KEPT = 16
"""Sets of figures kept; the one unused for longest is dropped."""

DRAWN_KINDS = frozenset({Kind.DISPATCH, Kind.SEND, Kind.WAIT_BATCH})
"""What the queue and the waits are counted from. The throughput comes from the roll-up."""

Lang = Literal["es", "en"]
Theme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class _Made:
    json: bytes
    at_s: float
    final: bool

    @property
    def fresh(self) -> bool:
        return self.final or time.monotonic() - self.at_s < LIFE_S


class FigureShelf:
    """Figures as JSON by run, language and theme. Any worker thread may ask; one at a time makes new ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, Lang, Theme], _Made] = OrderedDict()

    def figures(self, store: RunStore, run_id: str, *, lang: Lang, theme: Theme) -> bytes:
        """`{"throughput": ..., "queue": ..., "waits": ...}`. Raises NotFoundError, TraceError."""
        final = not store.summary(run_id).live
        key = run_id, lang, theme
        with self._lock:
            made = self._made.get(key)
            if made is None or not made.fresh:
                made = _Made(_make(store, run_id, lang=lang, theme=theme), time.monotonic(), final)
            self._made[key] = made
            self._made.move_to_end(key)
            if len(self._made) > MAX_KEPT:
                self._made.popitem(last=False)
        return made.json


def _make(store: RunStore, run_id: str, *, lang: Lang, theme: Theme) -> bytes:
    if store.summary(run_id).state == "starting":
        buckets, rows = np.empty(0, BUCKET_DTYPE), np.empty(0, ROW_DTYPE)
    else:
        with store.reading(run_id) as trace:  # held while it is read and no longer: the live view waits for it
            buckets, rows = seen_of(trace)
    return figures_json(buckets, rows, lang=lang, theme=theme).encode()


def seen_of(trace: Trace) -> tuple[Rows, Rows]:
    """What the figures are made of: `(n,) BUCKET_DTYPE` and `(m,) ROW_DTYPE`, of all that is recorded by now."""
    trace.refresh()
    return trace.rollup().copy(), trace.window(0, trace.duration_ns, DRAWN_KINDS)


def figures_json(buckets: Rows, rows: Rows, *, lang: Lang, theme: Theme) -> str:
    """`{"throughput": ..., "queue": ..., "waits": ...}`: each a figure as plotly.js takes it."""
    from loader_core.diagnose import figures  # plotly is loaded when somebody first looks

    ready, in_flight = QueueCount().add(rows)
    waited = of_kinds(rows, Kind.WAIT_BATCH)
    waited = waited[waited["batch"] != NO_BATCH]  # the end of an epoch is no batch
    drawn = {
        "throughput": figures.throughput(buckets, lang=lang, theme=theme),
        "queue": figures.queue(ready, in_flight, lang=lang, theme=theme),
        "waits": figures.waits(waited["end"] - waited["start"], lang=lang, theme=theme),
    }
    return "{" + ",".join(f'"{name}":{figure.to_json()}' for name, figure in drawn.items()) + "}"
