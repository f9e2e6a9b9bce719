"""What waiting is due to: each nanosecond that the loop waited is given to one cause at most.

First by where the batch was (the phases of `loader_core.diagnose.journeys`), then by what its worker, the main process
or the device did at that time. Causes are added up and never overlap, so shares never exceed the wait.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from loader_core.diagnose.grounds import Bools, Grounds
from loader_core.diagnose.journeys import PHASES, Journeys, Matrix, journeys, phases
from loader_core.diagnose.order import head_of_line_cost
from loader_core.diagnose.rows import Numbers, Rows, Times
from loader_core.trace.event import NOT_MEASURED, Kind, Role

SLOW_SAMPLE = 4.0
"""A sample that takes so many times the median is a slow one ..."""
SLOW_SHARE = 0.3
"""... if what it takes beyond that is this share of its batch's FETCH."""
SLOW_BATCH = 3.0
"""The same of whole batches, where samples were not recorded."""

IDLE_SHARE, BUSY_SHARE = 0.6, 0.9
"""Workers that are busy for less than the first share of their time are not scarce; from the second on they are."""

HAND_OVER_NS = 200_000
"""From the end of SEND until the main process begins to receive: what takes longer is being late."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The waiting that counts, by cause, in nanoseconds. All of it together is `total_ns`."""

    total_ns: int
    respawn_ns: int
    """Workers that are started anew between epochs, and ended."""
    head_of_line_ns: int
    """A later batch was ready, and workers idled."""
    slow_samples_ns: int
    """What single samples took beyond the usual."""
    fetch_ns: int
    collate_ns: int
    send_ns: int
    receive_ns: int
    """Taking a batch out of its message."""
    delayed_ns: int
    """A batch had been sent, and the main process did not begin to take it."""
    draw_ns: int
    """The sampler drew indices."""
    pin_ns: int
    copy_ns: int
    unknown_ns: int
    """Nothing recorded tells what went on."""


@dataclass(frozen=True, slots=True)
class _Making:
    """Waiting for the making of batches and for their way to the loop, in nanoseconds."""

    fetch: float
    slow: float
    collate: float
    send: float
    receive: float
    delayed: float


class Causes:
    """Where the waiting of a window goes. Each number is worked out when it is first asked for."""

    def __init__(self, grounds: Grounds) -> None:
        self._grounds = grounds
        self._excerpt = grounds.excerpt

    @cached_property
    def waits(self) -> Rows:
        """`(n,)` WAIT_BATCH rows that count, by start."""
        grounds = self._grounds
        rows = np.concatenate([grounds.steady_waits, grounds.warm(grounds.boundary_waits)])
        ordered: Rows = rows[np.argsort(rows["start"], kind="stable")]
        return ordered

    @cached_property
    def _bounds(self) -> tuple[Times, Times]:
        return self.waits["start"].astype(np.int64), self.waits["end"].astype(np.int64)

    @cached_property
    def _found(self) -> Journeys:
        return journeys(self._excerpt, self.waits)

    @cached_property
    def _phases(self) -> Matrix:
        return phases(self._found, *self._bounds)

    def _phase(self, *names: str) -> Times:
        columns = [PHASES.index(name) for name in names]
        summed: Times = self._phases[:, columns].sum(axis=1)
        return summed

    @cached_property
    def _respawned(self) -> Bools:
        """Which waits are for the first batch of an epoch whose workers were started for it, or end such an epoch."""
        starts = np.sort(self._excerpt.on(self._excerpt.of(Kind.START), Role.WORKER)["start"])
        waits = self.waits
        found = np.zeros(len(waits), np.bool_)
        for lane, over, asked in self._grounds.epoch_ends:
            first = np.flatnonzero((waits["lane"] == lane) & (waits["start"] == asked))
            until = int(waits["end"][first[0]]) if len(first) else asked
            if np.searchsorted(starts, until, "right") > np.searchsorted(starts, over):
                found[first] = True
                found |= (waits["lane"] == lane) & (waits["end"] == over)
        return found

    @cached_property
    def waiting(self) -> Waiting:
        """All waiting, by cause."""
        grounds = self._grounds
        respawned = self._respawned
        usual_fetch = float(np.median(_lengths(grounds.fetches))) if len(grounds.fetches) else 0.0
        in_fetch, in_queue = self._phase("fetch").astype(float), self._phase("queue").astype(float)
        in_collate, in_send = self._phase("collate").astype(float), self._phase("send").astype(float)
        in_pin, in_copy = self._phase("pin").astype(float), self._phase("copy").astype(float)
        to_draw, in_receive = self._phase("draw").astype(float), self._phase("receive").astype(float)
        other = self._phase("other").astype(float)

        respawn = np.where(
            respawned, to_draw + in_queue + self._phase("end") + np.maximum(in_fetch - usual_fetch, 0), 0
        )
        in_fetch = np.where(respawned, np.minimum(in_fetch, usual_fetch), in_fetch)
        in_queue, to_draw = np.where(respawned, 0, in_queue), np.where(respawned, 0, to_draw)

        making = in_fetch + in_queue
        slow = np.minimum(making, self._slow_of_waits)
        making = making - slow
        fetch, collate, send = _split(making, in_fetch, self._made_parts)
        collate, send = collate + in_collate, send + in_send

        drawing = np.minimum(to_draw + other + in_receive, self._drawing)
        to_draw, other, in_receive = _take(drawing, to_draw, other, in_receive)
        pinning = np.minimum(in_receive, self._pinning)
        in_receive, in_pin = in_receive - pinning, in_pin + pinning
        receive = np.minimum(in_receive, self._receiving + HAND_OVER_NS)
        delayed = in_receive - receive
        seen = _Making(*(float(one.sum()) for one in (fetch, slow, collate, send, receive, delayed)))
        made = self._by_scarcity(seen, self._sender_computed)
        hol_ns = min(float(self._head_of_line_ns), made.fetch + made.slow)
        by_slow = min(hol_ns, made.slow)
        return Waiting(
            total_ns=int(grounds.wait_ns),
            respawn_ns=int(respawn.sum()) + grounds.respawn_ns,
            head_of_line_ns=int(hol_ns),
            slow_samples_ns=int(made.slow - by_slow),
            fetch_ns=int(made.fetch - (hol_ns - by_slow)),
            collate_ns=int(made.collate),
            send_ns=int(made.send),
            receive_ns=int(made.receive),
            delayed_ns=int(made.delayed),
            draw_ns=int(drawing.sum()),
            pin_ns=int(in_pin.sum()),
            copy_ns=int(in_copy.sum()),
            unknown_ns=int((to_draw + other).sum()),
        )

    # --- parts --------------------------------------------------------------------------------------------------------

    @cached_property
    def _made_parts(self) -> tuple[float, float, float]:
        """How a worker's time for a batch is shared out among FETCH, COLLATE and SEND; they add up to 1."""
        times = self._grounds.worker_times
        if times is None or not times.made_ns:
            return 1.0, 0.0, 0.0
        return times.fetch_ns / times.made_ns, times.collate_ns / times.made_ns, times.send_ns / times.made_ns

    @cached_property
    def _head_of_line_ns(self) -> int:
        warm = replace(self._excerpt, start_ns=max(self._excerpt.start_ns, self._grounds.warm_ns))
        cost = head_of_line_cost(warm) if self._grounds.workers > 1 else None
        return 0 if cost is None else cost.gain_ns

    def _by_scarcity(self, seen: _Making, computed_ns: float) -> _Making:
        """What was seen of each wait, given to what is scarce.

        The end of a batch's journey is what a wait sees of it: its beginning is hidden by the step before. So where
        workers are busy throughout, a wait is due to all that they do, in the proportions in which they do it, and
        not to the sending that happened to come last. And where a batch was on its way while its worker computed the
        next ones, that computing kept it from sending (one core, one GIL).
        """
        scarce = self._scarcity
        whole = seen.fetch + seen.slow + seen.collate + seen.send + seen.receive + seen.delayed
        moved = scarce * whole
        way = (1 - scarce) * (seen.send + seen.receive + seen.delayed)
        late = min((1 - scarce) * computed_ns, way)
        left = (1 - scarce) * (1 - late / way if way else 1.0)
        fetching, collating, sending = self._made_parts
        computing = max(fetching + collating, 1e-9)
        fetched = moved * fetching + late * fetching / computing
        return _Making(
            fetch=(1 - scarce) * seen.fetch + fetched * (1 - self._slow_share),
            slow=(1 - scarce) * seen.slow + fetched * self._slow_share,
            collate=(1 - scarce) * seen.collate + moved * collating + late * collating / computing,
            send=moved * sending + left * seen.send,
            receive=left * seen.receive,
            delayed=left * seen.delayed,
        )

    @cached_property
    def _scarcity(self) -> float:
        """0..1: how much workers are what is scarce, by how busy they are."""
        busy = self._grounds.busy_share
        return 0.0 if busy is None else float(np.clip((busy - IDLE_SHARE) / (BUSY_SHARE - IDLE_SHARE), 0.0, 1.0))

    @cached_property
    def _sender_computed(self) -> float:
        """How long batches were on their way to the loop while it waited, and their workers fetched or collated."""
        starts, ends = self._bounds
        on_way = np.clip(self._found.times(Kind.COLLATE, "end", ends), starts, ends)
        sent, place = self._found.rows[Kind.SEND], self._found.place[Kind.SEND]
        if not len(sent):
            return 0.0
        lanes = np.where(place >= 0, sent["lane"][place], -1)
        work = self._excerpt.rows[np.isin(self._excerpt.rows["kind"], (Kind.FETCH, Kind.COLLATE))]
        return float(
            sum(
                covered_ns(on_way[lanes == lane], ends[lanes == lane], work[work["lane"] == lane]).sum()
                for lane in np.unique(lanes[lanes >= 0])
            )
        )

    @cached_property
    def _usual_item_ns(self) -> float:
        items = self._excerpt.of(Kind.ITEM)
        return float(np.median(_lengths(items))) if len(items) else 0.0

    @cached_property
    def _beyond(self) -> Numbers:
        """`(n,)`: what the slow samples of each FETCH row that belongs to a batch took beyond the usual.

        Where workers compute, no more than its CPU time says: a sample whose worker had no core is not a slow one.
        """
        fetches = self._found.rows[Kind.FETCH]
        took = _lengths(fetches)
        usual = self._usual_item_ns
        count, beyond = self._slow_items(fetches, usual)
        usual_batch = float(np.median(_lengths(self._grounds.fetches))) if len(self._grounds.fetches) else 0.0
        without = np.where(took >= SLOW_BATCH * usual_batch, took - usual_batch, 0.0)
        beyond = np.where(count > 0, beyond, without)
        if self._grounds.fetch_computes:
            expected = np.where(count > 0, usual * count, usual_batch)
            cpu = np.maximum(fetches["value"].astype(np.float64), 1.0)
            most = took * np.maximum(cpu - expected, 0.0) / cpu
            beyond = np.where(fetches["value"] == NOT_MEASURED, beyond, np.minimum(beyond, most))
        return np.where(beyond >= SLOW_SHARE * took, beyond, 0.0)

    def _slow_items(self, fetches: Rows, usual: float) -> tuple[Numbers, Numbers]:
        """How many ITEM rows lie inside each of `fetches`, and what the slow ones of them took beyond `usual`."""
        count, beyond = np.zeros(len(fetches)), np.zeros(len(fetches))
        items = self._excerpt.of(Kind.ITEM)
        for lane in np.unique(fetches["lane"]) if len(items) else ():
            own = items[items["lane"] == lane]
            places = np.flatnonzero(fetches["lane"] == lane)
            starts, lengths = np.ascontiguousarray(own["start"]), _lengths(own)
            excess = np.concatenate([[0.0], np.cumsum(np.where(lengths >= SLOW_SAMPLE * usual, lengths - usual, 0.0))])
            first = np.searchsorted(starts, fetches["start"][places])
            last = np.searchsorted(starts, fetches["end"][places])
            count[places], beyond[places] = last - first, excess[last] - excess[first]
        return count, beyond

    @cached_property
    def _slow_of_waits(self) -> Numbers:
        """`(n,)`: what the slow samples of each wait's batch took beyond the usual."""
        place = self._found.place[Kind.FETCH]
        if not len(self._beyond):
            return np.zeros(len(self.waits))
        found: Numbers = np.where(place >= 0, self._beyond[place], 0.0)
        return found

    @cached_property
    def _slow_share(self) -> float:
        """Of all fetching, what slow samples took beyond the usual."""
        fetches = self._found.rows[Kind.FETCH]
        counted = (fetches["start"] >= self._grounds.warm_ns) & (fetches["end"] <= self._grounds.end_ns)
        lengths = _lengths(fetches)[counted]
        return float(min(1.0, self._beyond[counted].sum() / lengths.sum())) if lengths.sum() else 0.0

    @cached_property
    def _drawing(self) -> Numbers:
        draws = self._excerpt.of(Kind.DRAW)
        return covered_ns(*self._bounds, draws)

    @cached_property
    def _pinning(self) -> Numbers:
        """`(n,)`: how long the pin thread had another batch while this one had been sent, and was not received yet."""
        pins = self._excerpt.of(Kind.PIN)
        starts, ends = self._bounds
        if not len(pins):
            return np.zeros(len(starts))
        sent = np.clip(self._found.times(Kind.SEND, "end", ends), starts, ends)
        received = np.clip(self._found.times(Kind.RECEIVE, "start", ends), sent, ends)
        return covered_ns(sent, received, pins)

    @cached_property
    def _receiving(self) -> Numbers:
        """`(n,)`: how much of each wait the batch was being received."""
        starts, ends = self._bounds
        begin = np.clip(self._found.times(Kind.RECEIVE, "start", ends), starts, ends)
        end = np.clip(self._found.times(Kind.RECEIVE, "end", ends), begin, ends)
        taken: Numbers = (end - begin).astype(np.float64)
        return taken

    @cached_property
    def tensors(self) -> int:
        """Tensors of a batch; 0: not counted."""
        marks = self._excerpt.ended(Kind.TENSORS)
        counts = [int(value) for value in marks["value"] if value > 0]
        counts = counts or [fact.count for fact in self._grounds.facts.tensors]
        return int(np.median(counts)) if counts else 0


def _lengths(rows: Rows) -> Numbers:
    lengths: Numbers = (rows["end"] - rows["start"]).astype(np.float64)
    return lengths


def _split(making: Numbers, in_fetch: Numbers, parts: tuple[float, float, float]) -> tuple[Numbers, Numbers, Numbers]:
    """Time in which a batch was made or its worker made others: FETCH first, the rest as workers spend theirs."""
    fetch = np.minimum(making, in_fetch)
    queued = making - fetch
    return fetch + queued * parts[0], queued * parts[1], queued * parts[2]


def _take(amount: Numbers, *of: Numbers) -> list[Numbers]:
    """What is left of each of `of` when `amount` is taken from them, from the first ones first."""
    left = []
    for one in of:
        taken = np.minimum(amount, one)
        left.append(one - taken)
        amount = amount - taken
    return left


def covered_ns(begins: Times, ends: Times, spans: Rows) -> Numbers:
    """`(n,)`: how much of each interval lies in at least one of `spans`."""
    if not len(spans) or not len(begins):
        return np.zeros(len(begins))
    order = np.lexsort((spans["end"], spans["start"]))
    firsts, lasts = spans["start"][order].astype(np.int64), spans["end"][order].astype(np.int64)
    reached = np.maximum.accumulate(lasts)
    firsts = np.maximum(firsts, np.concatenate([firsts[:1], reached[:-1]]))
    lasts = np.maximum(lasts, firsts)
    whole = np.concatenate([[0], np.cumsum(lasts - firsts)])

    def before(at: Times) -> Any:
        begun = np.searchsorted(firsts, at, "right")
        last = np.maximum(begun - 1, 0)
        return whole[begun] - np.where(begun > 0, np.maximum(lasts[last] - at, 0), 0)

    covered: Numbers = (before(ends) - before(begins)).astype(np.float64)
    return covered
