"""Head of line: what delivering batches in order costs, where a later batch was ready and an earlier one was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loader_core.diagnose.excerpt import Excerpt, Keys, with_batch
from loader_core.diagnose.journeys import Journeys, journeys
from loader_core.diagnose.rows import Rows, Times
from loader_core.trace.event import NO_BATCH, Kind, Role

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class HeadOfLine:
    """What delivering in order costs over all waits of the window."""

    waits: int
    """Waits during which a later batch was ready."""
    hol_ns: int
    idle_ns: int
    """Time that workers had nothing to do while the loop waited so: what `in_order=False` could put to use."""
    gain_ns: int
    """Upper bound of what `in_order=False` could save: if no worker was idle it only moves the waits."""


def head_of_line_cost(excerpt: Excerpt) -> HeadOfLine | None:
    """What delivering in order costs over all waits of the window; None if nobody recorded when batches were ready.

    The bound: W workers that had nothing to do for `idle_ns` together while the loop waited for another batch could
    have made `idle_ns / W` of wall time's worth of batches in it, and no order of delivery can win more.
    """
    arrived = arrivals(excerpt)
    waits = excerpt.ended(Kind.WAIT_BATCH)
    if arrived is None or not len(waits):
        return None
    begins, ends = head_of_line(excerpt, journeys(excerpt, waits), arrived)
    held = ends > begins
    begins, ends = begins[held], ends[held]
    idle = excerpt.on(excerpt.of(Kind.WAIT_TASK), Role.WORKER)
    idle_ns = sum(_overlaps(begins, ends, idle[idle["lane"] == lane]) for lane in np.unique(idle["lane"]))
    workers = len(np.unique(excerpt.on(excerpt.of(Kind.FETCH), Role.WORKER)["lane"]))
    hol_ns = int((ends - begins).sum())
    return HeadOfLine(int(held.sum()), hol_ns, idle_ns, min(hol_ns, idle_ns // max(1, workers)))


def _overlaps(begins: Times, ends: Times, spans: Rows) -> int:
    """How much of the spans of one lane, none of which overlaps another, lies in the intervals, none likewise."""
    edges = np.concatenate([begins, ends])
    return int((_covered(ends, spans) - _covered(begins, spans)).sum()) if len(edges) and len(spans) else 0


def _covered(at: Times, spans: Rows) -> Times:
    """How much of the spans lies before each time."""
    starts, ends = spans["start"].astype(np.int64), spans["end"].astype(np.int64)
    whole = np.concatenate([[0], np.cumsum(ends - starts)])
    begun = np.searchsorted(starts, at, "right")
    last = np.maximum(begun - 1, 0)
    beyond = np.where(begun > 0, np.maximum(ends[last] - at, 0), 0)
    covered: Times = whole[begun] - beyond
    return covered


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When batches were ready for the loop, in the order in which it got them."""

    keys: Keys
    ready_ns: Times
    got_ns: Times
    """`NEVER` for a batch that it has not got yet."""
    lanes: np.ndarray[Any, np.dtype[np.uint8]]
    """Where each was made (or received, if nobody recorded that)."""


def arrivals(excerpt: Excerpt) -> Arrivals | None:
    """When each batch was ready: its SEND has ended. None if that was not recorded, or nobody waited in order."""
    sent = with_batch(excerpt.of(Kind.SEND))
    waits = with_batch(excerpt.of(Kind.WAIT_BATCH))
    if not len(sent) or not len(waits):
        return None
    keys = excerpt.keys(sent)
    wait_keys = excerpt.keys(waits)
    order = np.argsort(wait_keys, kind="stable")
    place = np.searchsorted(wait_keys[order], keys)
    place = np.minimum(place, len(order) - 1)
    got = np.where(wait_keys[order][place] == keys, waits["end"][order][place], NEVER)
    epochs = keys >> 32
    in_turn = np.lexsort((keys, got, epochs))
    return Arrivals(keys[in_turn], sent["end"][in_turn].astype(np.int64), got[in_turn], sent["lane"][in_turn])


def head_of_line(excerpt: Excerpt, found: Journeys, arrived: Arrivals) -> tuple[Times, Times]:
    """From when to when each wait was head-of-line: `(n,)` begins and ends, equal where it was not.

    A wait for batch k is head-of-line while k was not ready and a batch that is handed over after it was:
    `hol = max(0, min(got_k, arr_k) - max(asked_k, min arr_j))` (tier 7 of the diagnosis; Lotus, MinatoLoader). The end
    is no later than k's own arrival: what follows it is the main process's time, and in no other order would be less.
    """
    waits = found.waits
    asked, got = waits["start"].astype(np.int64), waits["end"].astype(np.int64)
    own = found.times(Kind.SEND, "end", got)
    until = np.clip(own, asked, got)
    begin = np.clip(_first_ready_after(excerpt, waits, arrived), asked, until)
    measured = (waits["batch"] != NO_BATCH) & found.has(Kind.SEND)
    return np.where(measured, begin, until), until


def _first_ready_after(excerpt: Excerpt, waits: Rows, arrived: Arrivals) -> Times:
    """`(n,)` when the first of the batches that were handed over after each wait's batch was ready; NEVER if none."""
    epochs = arrived.keys >> 32
    earliest = np.full(len(arrived.keys) + 1, NEVER)
    _suffix_minimum(arrived.ready_ns, epochs, earliest[:-1])
    keys = excerpt.keys(waits)
    order = np.argsort(arrived.keys, kind="stable")
    place = np.minimum(np.searchsorted(arrived.keys[order], keys), len(order) - 1)
    at = order[place]
    known = arrived.keys[at] == keys
    following = at + 1
    same_epoch = np.append(epochs, -1)[following] == keys >> 32
    found: Times = np.where(known & same_epoch, earliest[following], NEVER)
    return found


def _suffix_minimum(values: Times, groups: Keys, into: Times) -> None:
    """For each place the least of `values` from there to the end of its group. Groups are contiguous."""
    for group in np.unique(groups):
        first, last = np.searchsorted(groups, [group, group + 1])
        into[first:last] = np.minimum.accumulate(values[first:last][::-1])[::-1]
