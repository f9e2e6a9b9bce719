"""Loaders simulated to the nanosecond: the rows that they would leave, and what is true of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.rows import Rows
from loader_core.trace.event import Kind, Role
from loader_core.trace.names import name_number
from loader_core.trace.trace import TraceLane
from tests.diagnose.rows import CONSUMER, FIRST_WORKER, MAIN, row, rows_of

MS = 1_000_000
STAGES = {name_number(name): name for name in ("read", "decode", "forward", "backward")}


def lanes_of(workers: int) -> list[TraceLane]:
    return [
        TraceLane(MAIN, Role.MAIN, -1, 0, "main", [100]),
        TraceLane(CONSUMER, Role.CONSUMER, -1, 0, "training loop", [100]),
        *(
            TraceLane(FIRST_WORKER + worker, Role.WORKER, worker, 0, f"worker {worker}", [101 + worker])
            for worker in range(workers)
        ),
    ]


def excerpt_of(
    rows: Rows, *, workers: int = 3, start_ns: int | None = None, end_ns: int | None = None, **more: Any
) -> Excerpt:
    """An excerpt of which all rows are in the window, unless it is given."""
    rows = rows[np.argsort(rows["start"], kind="stable")]
    first, last = (int(rows["start"].min()) - 1, int(rows["end"].max())) if len(rows) else (0, 0)
    return Excerpt(
        rows,
        first if start_ns is None else start_ns,
        last if end_ns is None else end_ns,
        lanes_of(workers),
        stages=STAGES,
        **more,
    )


@dataclass
class Loader:
    """A loader that delivers in order: `service_ns[k]` is what its worker takes to read batch k."""

    workers: int
    service_ns: list[int]
    step_ns: int = 10 * MS
    collate_ns: int = MS
    send_ns: int = MS
    receive_ns: int = MS
    prefetch: int = 2
    epoch: int = 0
    begin_ns: int = 0
    asked: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)
    got: list[int] = field(default_factory=list)

    def rows(self) -> Rows:
        """All rows of one epoch; `asked`, `ready` and `got` are filled in."""
        window = self.workers * self.prefetch
        free = [self.begin_ns] * self.workers
        found = []
        ask = self.begin_ns
        for batch, service in enumerate(self.service_ns):
            worker = batch % self.workers
            lane, of = FIRST_WORKER + worker, {"batch": batch, "epoch": self.epoch}
            dispatched = self.begin_ns if batch < window else self.got[batch - window]
            begin = max(free[worker], dispatched)
            read, collated = begin + service, begin + service + self.collate_ns
            sent = free[worker] = collated + self.send_ns
            got = max(ask, sent) + self.receive_ns
            ready = sum(1 for earlier in self.ready if earlier <= ask) - batch
            found += [
                row(Kind.DISPATCH, dispatched, lane=MAIN, value=min(batch + 1, window), **of),
                row(Kind.WAIT_TASK, begin if batch < self.workers else free[worker], begin, lane=lane, **of),
                row(Kind.FETCH, begin, read, lane=lane, value=service, **of),
                row(Kind.ITEM, begin, read, lane=lane, sample=batch, **of),
                row(Kind.COLLATE, read, collated, lane=lane, value=1_000, **of),
                row(Kind.SEND, collated, sent, lane=lane, value=1_000, **of),
                row(Kind.RECEIVE, got - self.receive_ns, got, lane=MAIN, value=1_000, **of),
                row(Kind.WAIT_BATCH, ask, got, value=max(0, ready), **of),
                row(Kind.STEP, got, got + self.step_ns, value=8, **of),
            ]
            self.asked.append(ask)
            self.ready.append(sent)
            self.got.append(got)
            ask = got + self.step_ns
        found.append(row(Kind.WAIT_BATCH, ask, ask, epoch=self.epoch))
        rows = rows_of(*found)
        # A worker waits for its next task from the end of one SEND to the beginning of the next FETCH.
        for worker in range(self.workers):
            lane = rows["lane"] == FIRST_WORKER + worker
            sends, fetches = rows[lane & (rows["kind"] == Kind.SEND)], rows[lane & (rows["kind"] == Kind.FETCH)]
            waits = np.flatnonzero(lane & (rows["kind"] == Kind.WAIT_TASK))
            rows["start"][waits] = np.concatenate([[self.begin_ns], sends["end"][:-1]])[: len(waits)]
            rows["end"][waits] = fetches["start"]
        return rows

    def head_of_line(self, batch: int) -> int:
        """By the definition, one batch at a time: how long a later batch was ready and this one was not."""
        later = self.ready[batch + 1 :]
        until = min(self.got[batch], max(self.asked[batch], self.ready[batch]))
        return max(0, until - max(self.asked[batch], min(later))) if later else 0


@st.composite
def loaders(draw: st.DrawFn, *, most: int = 40) -> Loader:
    """Any loader: balanced, starved, or with a slow batch now and then."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    batches = draw(st.integers(1, most))
    longest = draw(st.sampled_from((1, MS, 50 * MS)))
    service = random.integers(0, longest + 1, batches)
    if draw(st.booleans()):
        service[:: draw(st.integers(2, 9))] += 100 * MS
    return Loader(
        workers=draw(st.integers(1, 4)),
        service_ns=service.tolist(),
        step_ns=draw(st.sampled_from((0, MS, 20 * MS))),
        collate_ns=draw(st.sampled_from((0, MS))),
        send_ns=draw(st.sampled_from((0, MS))),
        receive_ns=draw(st.sampled_from((0, MS, 5 * MS))),
        prefetch=draw(st.integers(1, 3)),
        begin_ns=draw(st.integers(0, 10**12)),
    )


def marks(kind: Kind, values: list[int], *, every_ns: int, lane: int = FIRST_WORKER, begin_ns: int = 0) -> Rows:
    """Marks with these values, evenly apart."""
    times = itertools.count(begin_ns, every_ns)
    return rows_of(*(row(kind, at, lane=lane, value=value) for at, value in zip(times, values, strict=False)))
