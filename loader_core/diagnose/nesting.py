"""Spans inside spans: how much of each is its own."""

from __future__ import annotations

import numpy as np

from loader_core.diagnose.rows import Times


def own_times(starts: Times, ends: Times) -> Times:
    """How long each span of one lane was the innermost one: `(n,)`, in the order given.

    The sum is the time that at least one of the spans covers. Of two spans that overlap without one lying in the other
    (a clock that is read late) the one that began later has the time.
    """
    own: Times = np.maximum(ends - starts, 0)
    order = np.lexsort((-ends, starts))
    starts, ends = starts[order], np.maximum(ends, starts)[order]
    reached = np.maximum.accumulate(np.concatenate([[np.iinfo(np.int64).min], ends[:-1]]))
    overlaps = np.append(starts < reached, False)
    # Most spans neither hold nor touch another one: only clusters of those that do are walked through.
    begins = np.flatnonzero(overlaps[1:] & ~overlaps[:-1])
    for begin in begins.tolist():
        end = begin + 1
        while overlaps[end]:
            end += 1
        own[order[begin:end]] = _own_in_cluster(starts[begin:end].tolist(), ends[begin:end].tolist())
    return own


def _own_in_cluster(starts: list[int], ends: list[int]) -> list[int]:
    """By start, outer spans first. A stack of what is open; time goes to what is on top of it."""
    own = [0] * len(starts)
    open_spans: list[int] = []
    now = starts[0]

    def advance(until: int) -> None:
        nonlocal now
        while open_spans and now < until:
            top = open_spans[-1]
            stop = min(until, ends[top])
            own[top] += max(0, stop - now)
            now = max(now, stop)
            if ends[top] <= now:
                open_spans.pop()
        now = max(now, until)

    for span, start in enumerate(starts):
        advance(start)
        open_spans.append(span)
    advance(max(ends))
    return own
