"""The journeys of batches: for each wait of the training loop, what was recorded of the batch that it waited for.

A wait is shared out among the phases of its batch's journey, and it is told which other batches were ready meanwhile.
Everything is an array with one entry per wait, so that a run of a million batches is diagnosed in a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from loader_core.diagnose.excerpt import Excerpt, Indices, latest, with_batch
from loader_core.diagnose.rows import Rows, Times
from loader_core.trace.event import NO_BATCH, Kind

PhaseName = Literal["draw", "queue", "fetch", "collate", "send", "receive", "pin", "copy", "end", "other"]
"""Where a batch was while the loop waited for it.

- draw: it was not given to a worker yet: the sampler drew it, or the workers were just started;
- queue: it was given to a worker, which had something else to do first, or was starting;
- fetch, collate, send: its worker made it, and sent it or was about to;
- receive, pin, copy: it was taken, copied to page-locked memory, copied to the device, or was about to be;
- end: there was none: the epoch was over, and its workers were ended;
- other: none of these was recorded at that time.
"""

PHASES: tuple[PhaseName, ...] = ("draw", "queue", "fetch", "collate", "send", "receive", "pin", "copy", "end", "other")

_SPANS: tuple[tuple[PhaseName, Kind], ...] = (
    ("fetch", Kind.FETCH),
    ("collate", Kind.COLLATE),
    ("send", Kind.SEND),
    ("receive", Kind.RECEIVE),
    ("pin", Kind.PIN),
    ("copy", Kind.COPY),
)
JOURNEY_KINDS = (Kind.DISPATCH, *(kind for _, kind in _SPANS), Kind.HOLD)
"""What is looked up of each batch."""

Matrix = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Journeys:
    """What was recorded of the batch of each wait.

    `rows[kind]` holds all rows of a kind and `place[kind]`, `(n,)`, which of them is the batch's; -1: none.
    """

    waits: Rows
    rows: dict[Kind, Rows]
    place: dict[Kind, Indices]

    def has(self, kind: Kind) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """`(n,) bool`: whether the batch has a row of this kind."""
        return self.place[kind] >= 0

    def times(self, kind: Kind, field: Literal["start", "end"], missing: Times) -> Times:
        """`(n,)` starts or ends of the batches' rows of a kind, `missing` where there is none."""
        rows, place = self.rows[kind], self.place[kind]
        if not len(rows):
            return missing
        found: Times = np.where(place >= 0, rows[field][place], missing)
        return found

    def row(self, kind: Kind, wait: int) -> Any | None:
        """The row of this kind of one wait's batch."""
        place = int(self.place[kind][wait])
        return self.rows[kind][place] if place >= 0 else None


def journeys(excerpt: Excerpt, waits: Rows) -> Journeys:
    """Look up the journey of the batch of each of `waits`, WAIT_BATCH rows of the excerpt."""
    wanted = excerpt.keys(waits)
    none = waits["batch"] == NO_BATCH
    rows, place = {}, {}
    for kind in JOURNEY_KINDS:
        rows[kind] = with_batch(excerpt.of(kind))
        found = latest(excerpt.keys(rows[kind]), rows[kind]["start"], wanted, waits["end"])
        place[kind] = np.where(none, -1, found)
    return Journeys(waits, rows, place)


def phases(found: Journeys, starts: Times, ends: Times) -> Matrix:
    """How each interval `[starts, ends]` is shared out among `PHASES`: `(n, 10)` nanoseconds.

    Each row adds up to `ends - starts`, whatever was recorded: time that two spans claim is the earlier one's in the
    order of the journey, time between two spans is the later one's (the batch was about to be sent, received ...), and
    what none claims is "other".
    """
    table = np.zeros((len(starts), len(PHASES)), np.int64)
    dispatched = found.times(Kind.DISPATCH, "end", starts)
    fetched_from = found.times(Kind.FETCH, "start", np.where(found.has(Kind.DISPATCH), dispatched, starts))
    reached = np.clip(dispatched, starts, ends)
    table[:, 0] = reached - starts
    known = found.has(Kind.DISPATCH) & found.has(Kind.FETCH)
    reached_fetch = np.clip(fetched_from, reached, ends)
    table[:, 1] = np.where(known, reached_fetch - reached, 0)
    reached = np.where(known, reached_fetch, reached)
    for column, (_, kind) in enumerate(_SPANS, start=2):
        has = found.has(kind)
        begin = np.clip(found.times(kind, "start", starts), reached, ends) if kind is Kind.FETCH else reached
        end = np.clip(found.times(kind, "end", starts), begin, ends)
        table[:, column] = np.where(has, end - begin, 0)
        reached = np.where(has, end, reached)
    table[:, PHASES.index("end")] = np.where(found.waits["batch"] == NO_BATCH, ends - starts, 0)
    table[:, -1] = ends - starts - table.sum(axis=1)
    return table
