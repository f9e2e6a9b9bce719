"""The stalls of a training loop: each long wait for a batch, and what that batch was doing meanwhile.

The loop that waits experiences a stall and never causes it (the rule of XProf's input-pipeline analyser): so each wait
is laid against the journey of its own batch, and its time is shared out among the parts of that journey.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loader_core.diagnose.bilingual import NOTHING, Bilingual
from loader_core.diagnose.excerpt import Excerpt, PartsOfFetch
from loader_core.diagnose.journeys import PHASES, Matrix, PhaseName, journeys, phases
from loader_core.diagnose.order import Arrivals, arrivals, head_of_line
from loader_core.diagnose.rows import Rows
from loader_core.diagnose.stall_texts import sentence
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, Flag, Kind

STALL_SHARE = 0.05
"""A stall is longer than this share of a median step: below 5 % of a step input is no problem (XProf) ..."""
STALL_NS = 1_000_000
"""... and longer than 1 ms: Lotus's class of waits that are not already there or nearly so."""

MAX_STALLS = 200
"""Stalls that are listed: the longest."""
MAX_READY_LATER = 8
"""Later batches that are named with a stall: those that were ready first."""

SHOWN = (Kind.FETCH, Kind.COLLATE, Kind.SEND, Kind.HOLD, Kind.RECEIVE, Kind.PIN, Kind.COPY)
"""The spans of a batch that are told with its stall."""


@dataclass(frozen=True, slots=True)
class StallPhase:
    """A part of a wait. The phases of a stall add up to its wait."""

    name: PhaseName
    ns: int


@dataclass(frozen=True, slots=True)
class StallSpan:
    """One span of the journey of a batch: draw it, or point an arrow at it."""

    kind: int
    """Number of the kind, as the spans of the timeline have it."""
    lane: int
    start_ns: int
    end_ns: int
    inferred: bool
    """Deduced by an observer, not measured."""


@dataclass(frozen=True, slots=True)
class StallItem:
    """The slowest sample of a stall's batch."""

    sample: int | None
    """Its index; None where the dataset has none."""
    start_ns: int
    duration_ns: int
    of: int
    """Samples of the batch."""
    share: float
    """Of the time that all of them took, 0..1."""


@dataclass(frozen=True, slots=True)
class StallStage:
    """The part of a stall's batch that took longest: all stages of that name within the batch."""

    name: str
    sample: int | None
    """The sample whose stage of this name took longest."""
    total_ns: int
    share: float
    """Of FETCH, 0..1."""


@dataclass(frozen=True, slots=True)
class ReadyBatch:
    """A later batch that was ready while the loop waited for an earlier one."""

    batch: int
    worker: int | None
    lane: int
    ready_ns: int


@dataclass(frozen=True, slots=True)
class Stall:
    """A long wait of the training loop for a batch, and its cause. None: not measured."""

    epoch: int
    batch: int
    rank: int
    lane: int
    start_ns: int
    end_ns: int
    wait_ns: int
    start_up: bool
    """It waited for the first batch of an epoch: workers start, and no batch could be prefetched."""
    ready: int | None
    """Batches ready when the loop asked."""
    cause: PhaseName
    """The phase that took most of the wait."""
    phases: list[StallPhase]
    """Longest first; they add up to `wait_ns`."""
    worker: int | None
    """The worker that made the batch; -1: the main process by itself; None: not recorded."""
    worker_lane: int | None
    dispatched_ns: int | None
    spans: list[StallSpan]
    """FETCH, COLLATE, SEND, HOLD, RECEIVE, PIN and COPY of the batch, as far as they were recorded, by start."""
    item: StallItem | None
    stage: StallStage | None
    hol_ns: int | None
    """How much of the wait was head-of-line: a later batch was ready. 0: none was."""
    ready_later: list[ReadyBatch]
    """Later batches that were ready during the wait, the first ones by time."""
    sentence: Bilingual


@dataclass(frozen=True, slots=True)
class Stalls:
    """The stalls of a window."""

    threshold_ns: int | None
    """A wait longer than this is a stall; None: nothing was waited for."""
    count: int
    total_ns: int
    """Of all stalls, also of those not listed."""
    longest: list[Stall]
    """The longest `MAX_STALLS`, longest first."""


def find_stalls(excerpt: Excerpt) -> Stalls:
    """The stalls that ended in the excerpt's window."""
    waits = excerpt.ended(Kind.WAIT_BATCH)
    starts_up = _first_of_epoch(excerpt)
    waits = waits[waits["batch"] != NO_BATCH]
    if not len(waits):
        return Stalls(None, 0, 0, [])
    threshold_ns = stall_threshold_ns(excerpt)
    lengths = waits["end"] - waits["start"]
    stalled = lengths > threshold_ns
    longest = np.argsort(-lengths, kind="stable")[: min(MAX_STALLS, int(stalled.sum()))]
    listed = waits[longest]
    teller = _Teller(excerpt, listed, starts_up)
    stalls = [teller.stall(number) for number in range(len(listed))]
    return Stalls(threshold_ns, int(stalled.sum()), int(lengths[stalled].sum()), stalls)


def stall_threshold_ns(excerpt: Excerpt) -> int:
    """How long a wait must last to be called a stall."""
    steps = excerpt.ended(Kind.STEP)
    if not len(steps):
        return STALL_NS
    return max(STALL_NS, int(STALL_SHARE * np.median(steps["end"] - steps["start"])))


def _first_of_epoch(excerpt: Excerpt) -> set[tuple[int, int]]:
    """(lane, start) of the waits for the first batch of an epoch.

    Of the oldest epoch in the excerpt it is only batch 0: its beginning may lie before.
    """
    waits = excerpt.of(Kind.WAIT_BATCH)
    found = set()
    for lane in np.unique(waits["lane"]):
        on_lane = waits[(waits["lane"] == lane) & (waits["batch"] != NO_BATCH)]
        begins = np.flatnonzero(np.diff(on_lane["epoch"].astype(np.int64), prepend=-1) != 0)
        begins = begins[(begins > 0) | (on_lane["batch"][begins] == 0)]
        found |= {(int(lane), int(start)) for start in on_lane["start"][begins]}
    return found


class _Teller:
    """Tells of each listed wait what happened. Looks everything up once for all of them."""

    def __init__(self, excerpt: Excerpt, waits: Rows, starts_up: set[tuple[int, int]]) -> None:
        self._excerpt = excerpt
        self._waits = waits
        self._starts_up = starts_up
        self._found = journeys(excerpt, waits)
        self._phases: Matrix = phases(self._found, waits["start"], waits["end"])
        self._arrived = arrivals(excerpt)
        self._hol = None if self._arrived is None else head_of_line(excerpt, self._found, self._arrived)
        self._parts = PartsOfFetch(excerpt)

    def stall(self, number: int) -> Stall:
        wait, excerpt = self._waits[number], self._excerpt
        shares = self._phases[number]
        order = np.argsort(-shares, kind="stable")
        told = [StallPhase(PHASES[place], int(shares[place])) for place in order if shares[place] > 0]
        spans = self._spans(number)
        maker = next((span for span in spans if span.kind in (Kind.FETCH, Kind.COLLATE, Kind.SEND)), None)
        dispatch, fetch = self._found.row(Kind.DISPATCH, number), self._found.row(Kind.FETCH, number)
        hol_ns, later = self._head_of_line(number)
        stall = Stall(
            epoch=int(wait["epoch"]),
            batch=int(wait["batch"]),
            rank=excerpt.rank(int(wait["lane"])),
            lane=int(wait["lane"]),
            start_ns=int(wait["start"]),
            end_ns=int(wait["end"]),
            wait_ns=int(wait["end"] - wait["start"]),
            start_up=(int(wait["lane"]), int(wait["start"])) in self._starts_up,
            ready=None if wait["value"] == NOT_MEASURED else int(wait["value"]),
            cause=told[0].name,
            phases=told,
            worker=None if maker is None else excerpt.worker(maker.lane),
            worker_lane=None if maker is None else maker.lane,
            dispatched_ns=None if dispatch is None else int(dispatch["end"]),
            spans=spans,
            item=None if fetch is None else _slowest_item(self._parts, fetch),
            stage=None if fetch is None else _slowest_stage(excerpt, self._parts, fetch),
            hol_ns=hol_ns,
            ready_later=later,
            sentence=NOTHING,
        )
        return replace(stall, sentence=sentence(stall))

    def _spans(self, number: int) -> list[StallSpan]:
        rows = [row for kind in SHOWN if (row := self._found.row(kind, number)) is not None]
        spans = [
            StallSpan(
                int(row["kind"]),
                int(row["lane"]),
                int(row["start"]),
                int(row["end"]),
                bool(row["flags"] & Flag.INFERRED),
            )
            for row in rows
        ]
        return sorted(spans, key=lambda span: span.start_ns)

    def _head_of_line(self, number: int) -> tuple[int | None, list[ReadyBatch]]:
        if self._arrived is None or self._hol is None or self._found.row(Kind.SEND, number) is None:
            return None, []
        begin, until = int(self._hol[0][number]), int(self._hol[1][number])
        if begin >= until:
            return 0, []
        return until - begin, self._ready_later(number, self._arrived, until)

    def _ready_later(self, number: int, arrived: Arrivals, until_ns: int) -> list[ReadyBatch]:
        wait = self._waits[number : number + 1]
        key = int(self._excerpt.keys(wait)[0])
        later = (
            (arrived.keys >> 32 == key >> 32)
            & (arrived.ready_ns < until_ns)
            & (arrived.got_ns >= wait["end"][0])
            & (arrived.keys != key)
        )
        places = np.flatnonzero(later)
        places = places[np.argsort(arrived.ready_ns[places], kind="stable")][:MAX_READY_LATER]
        return [
            ReadyBatch(
                batch=int(arrived.keys[place] & 0xFFFF_FFFF),
                worker=self._excerpt.worker(int(arrived.lanes[place])),
                lane=int(arrived.lanes[place]),
                ready_ns=int(arrived.ready_ns[place]),
            )
            for place in places
        ]


def _slowest_item(parts: PartsOfFetch, fetch: Any) -> StallItem | None:
    """The sample of a FETCH row that took longest; None if no samples were recorded."""
    items = parts.inside(Kind.ITEM, fetch)
    if not len(items):
        return None
    lengths = items["end"] - items["start"]
    place = int(np.argmax(lengths))
    sample, longest, total = int(items["sample"][place]), int(lengths[place]), int(lengths.sum())
    return StallItem(
        None if sample == NOT_MEASURED else sample,
        int(items["start"][place]),
        longest,
        len(items),
        longest / total if total else 0.0,
    )


def _slowest_stage(excerpt: Excerpt, parts: PartsOfFetch, fetch: Any) -> StallStage | None:
    """The stage that took most of a FETCH row; None if no stages were recorded."""
    rows = parts.inside(Kind.STAGE, fetch)
    if not len(rows):
        return None
    lengths = rows["end"] - rows["start"]
    names, which = np.unique(rows["value"], return_inverse=True)
    totals = np.zeros(len(names), np.int64)
    np.add.at(totals, which, lengths)
    name = int(np.argmax(totals))
    of_name = np.flatnonzero(which == name)
    sample = int(rows["sample"][of_name[np.argmax(lengths[of_name])]])
    return StallStage(
        excerpt.stage_name(int(names[name])),
        None if sample == NOT_MEASURED else sample,
        int(totals[name]),
        min(1.0, int(totals[name]) / max(1, int(fetch["end"] - fetch["start"]))),
    )
