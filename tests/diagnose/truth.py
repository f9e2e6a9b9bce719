"""Loaders whose timetable is known exactly, as rows of a trace: the truth that predictions are held against.

The timetable is the max-plus recursion of a round-robin loader that nothing slows down; it shares no code with
`loader_core.diagnose.replay`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from loader_core.diagnose.rows import Rows
from loader_core.trace.event import Kind
from tests.diagnose.rows import CONSUMER, FIRST_WORKER, MAIN, row, rows_of

MS = 1_000_000
HAND_OVER = 1_000


@dataclass(frozen=True)
class Truth:
    """A loader in milliseconds; `make_ms(k)` is how long batch k takes a worker, `wait` the share that is no CPU."""

    make_ms: Callable[[int], float]
    step_ms: float
    wait: float = 1.0
    step_wait: float = 1.0
    batch_size: int = 4

    def timetable(self, workers: int, prefetch: int, batches: int) -> np.ndarray:
        """Of each batch: dispatched, begun, made, asked, got, ended: `(batches, 6)` ns. No workers: made when asked."""
        table = np.zeros((batches, 6), np.int64)
        capacity = workers * prefetch
        for k in range(batches):
            asked = table[k - 1, 5] if k else 0
            make = round(self.make_ms(k) * MS)
            if workers:
                dispatched = table[k - capacity, 4] if k >= capacity else 0
                begun = max(dispatched, table[k - workers, 2] if k >= workers else 0)
                made = begun + make
                got = max(asked, made)
            else:
                dispatched = begun = asked
                made = got = asked + make
            table[k] = (dispatched, begun, made, asked, got, got + HAND_OVER + round(self.step_ms * MS))
        return table

    def rate(self, workers: int, prefetch: int, batches: int = 480) -> float:
        """Batches per second once it is warm."""
        ended = self.timetable(workers, prefetch, batches)[:, 5]
        counted = batches // 120 * 60
        return counted * 1e9 / float(ended[-1] - ended[-1 - counted])

    def rows(self, workers: int, prefetch: int, batches: int = 120) -> Rows:
        """What a recording of it holds."""
        found = []
        for k, (dispatched, begun, made, asked, got, ended) in enumerate(
            self.timetable(workers, prefetch, batches).tolist()
        ):
            lane = FIRST_WORKER + k % max(workers, 1)
            cpu = round((made - begun) * (1 - self.wait))
            found.append(row(Kind.DRAW, dispatched, dispatched, lane=MAIN, batch=k, value=self.batch_size))
            found.append(row(Kind.DISPATCH, dispatched, lane=MAIN, batch=k, value=1))
            found.append(row(Kind.FETCH, begun, made, lane=lane, batch=k, value=cpu))
            if workers:
                found.append(row(Kind.SEND, made, made, lane=lane, batch=k, value=1))
            found.append(row(Kind.RECEIVE, got, got, lane=MAIN, batch=k, value=1))
            through = got + HAND_OVER
            ready = int(made < asked) if workers else 0
            found.append(row(Kind.WAIT_BATCH, asked, through, lane=CONSUMER, batch=k, value=ready))
            found.append(row(Kind.STEP, through, ended, lane=CONSUMER, batch=k, value=self.batch_size))
            step_cpu = round((ended - through) * (1 - self.step_wait))
            found.append(row(Kind.CPU, ended, lane=CONSUMER, batch=k, value=step_cpu))
        rows = rows_of(*found)
        return rows[np.argsort(rows["start"], kind="stable")]
