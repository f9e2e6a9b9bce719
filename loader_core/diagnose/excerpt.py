"""What a diagnosis is made from: rows of a trace around a window of time, and what the numbers in them stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from loader_core.diagnose.ranks import Pace
from loader_core.diagnose.rows import Rows, Times, of_kinds
from loader_core.trace.event import NO_BATCH, Kind, Role
from loader_core.trace.trace import MAX_LANES, TraceLane

Keys = np.ndarray[Any, np.dtype[np.int64]]
"""`(n,) int64`: which batch of which epoch of which rank each row is about."""

Indices = np.ndarray[Any, np.dtype[np.intp]]
"""`(n,)` places in an array of rows; -1: none."""


JOURNEY_KINDS = frozenset(
    {
        Kind.DISPATCH,
        Kind.WAIT_TASK,
        Kind.FETCH,
        Kind.COLLATE,
        Kind.SEND,
        Kind.RECEIVE,
        Kind.HOLD,
        Kind.PIN,
        Kind.COPY,
        Kind.WAIT_BATCH,
        Kind.STEP,
        Kind.PAUSE,
        Kind.PREVIEW,
        Kind.DRAW,
        Kind.START,
        Kind.STOP,
        Kind.MEMORY,
        Kind.FILES,
        Kind.TENSORS,
        Kind.CPU,
        Kind.CORE_WAIT,
        Kind.ERROR,
        Kind.DIED,
    }
)
"""What is read of the whole window: a few events per batch."""

DETAIL_KINDS = frozenset({Kind.ITEM, Kind.STAGE, Kind.STACK})
"""What is read of its newest part only, where it holds too many: several events per sample."""


@dataclass(frozen=True)
class Excerpt:
    """Rows of a trace around the window after `start_ns` up to and with `end_ns`.

    Rows may reach back before the window, so that the journey of a batch that was waited for early in the window is
    whole. Immutable; what is derived from it is kept.
    """

    rows: Rows
    """`(n,) ROW_DTYPE` by start."""
    start_ns: int
    end_ns: int
    lanes: Sequence[TraceLane]
    """By number."""
    stages: Mapping[int, str] = field(default_factory=dict)
    """Names of stages by the value of their STAGE rows."""
    places: Mapping[int, str] = field(default_factory=dict)
    """Lines of code by the value of their STACK rows."""
    details_from_ns: int = 0
    """ITEM, STAGE and STACK rows are all there from here on."""
    shortened: bool = False
    """The window that was asked for began earlier, and held too many rows."""
    lost: int = 0
    """Events of the run that its recording no longer holds."""
    beside: Sequence[Pace] = ()
    """The other ranks of the training that were recorded as runs of their own."""

    def of(self, kind: Kind) -> Rows:
        """The rows of this kind, by start."""
        rows = self._kept.get(kind)
        if rows is None:
            rows = self._kept[kind] = of_kinds(self.rows, kind)
        return rows

    def ended(self, kind: Kind) -> Rows:
        """The rows of this kind that ended in the window, by start."""
        rows = self.of(kind)
        ended: Rows = rows[(rows["end"] > self.start_ns) & (rows["end"] <= self.end_ns)]
        return ended

    def keys(self, rows: Rows) -> Keys:
        """The batch that each of `rows` is about, as one number; smaller for earlier batches of a rank."""
        rank, epoch = self.ranks(rows), rows["epoch"].astype(np.int64)
        keys: Keys = rank << 48 | epoch << 32 | rows["batch"].astype(np.int64)
        return keys

    def worker(self, lane: int) -> int | None:
        """The worker of a lane: -1 the main process as its own worker, None a lane of another role."""
        found = self._by_number.get(lane)
        return found.worker if found is not None and found.role is Role.WORKER else None

    def rank(self, lane: int) -> int:
        """The rank of a lane."""
        return int(self._ranks[lane])

    def ranks(self, rows: Rows) -> Times:
        """The rank of each of `rows`."""
        ranks: Times = self._ranks[rows["lane"]]
        return ranks

    def label(self, lane: int) -> str:
        """What a lane is called."""
        found = self._by_number.get(lane)
        return found.label if found is not None else f"lane {lane}"

    def on(self, rows: Rows, role: Role) -> Rows:
        """Those of `rows` that lie on lanes of this role."""
        chosen: Rows = rows[np.isin(rows["lane"], [lane.lane for lane in self.lanes if lane.role is role])]
        return chosen

    def stage_name(self, value: int) -> str:
        """The name of a stage; its number where nobody told its name."""
        return self.stages.get(value, f"{value:08x}")

    @cached_property
    def has_processes(self) -> bool:
        """Whether a worker is a process of its own: no thread of the main process, nor that process itself."""
        main = {pid for lane in self.lanes if lane.role is not Role.WORKER for pid in lane.pids}
        return any(lane.role is Role.WORKER and not main.intersection(lane.pids) for lane in self.lanes)

    @cached_property
    def _kept(self) -> dict[Kind, Rows]:
        return {}

    @cached_property
    def _by_number(self) -> dict[int, TraceLane]:
        return {lane.lane: lane for lane in self.lanes}

    @cached_property
    def _ranks(self) -> Times:
        ranks = np.zeros(MAX_LANES, np.int64)
        for lane in self.lanes:
            ranks[lane.lane] = lane.rank
        return ranks


class PartsOfFetch:
    """ITEM and STAGE rows by lane, to find those inside a FETCH or a sample."""

    def __init__(self, excerpt: Excerpt) -> None:
        self._excerpt = excerpt
        self._kept: dict[tuple[Kind, int], Rows] = {}

    def inside(self, kind: Kind, around: Any) -> Rows:
        """The rows of a kind on the lane of the row `around` that lie inside it, by start."""
        lane = int(around["lane"])
        rows = self._kept.get((kind, lane))
        if rows is None:
            of_kind = self._excerpt.of(kind)
            rows = self._kept[kind, lane] = of_kind[of_kind["lane"] == lane]
        first, last = np.searchsorted(rows["start"], [around["start"], around["end"]])
        begun = rows[first:last]
        inside: Rows = begun[begun["end"] <= around["end"]]
        return inside


def latest(keys: Keys, times: Times, wanted: Keys, until: Times) -> Indices:
    """For each of `wanted` the place of the last row with that key whose time is not after `until`; -1 for none.

    A batch has one row of a kind, or a few: after the death of a worker it is made again.
    """
    order = np.lexsort((times, keys))
    ordered = keys[order]
    first, place = np.searchsorted(ordered, wanted), np.searchsorted(ordered, wanted, "right") - 1
    late = (place >= first) & (times[order[place]] > until) if len(order) else np.zeros(len(wanted), np.bool_)
    while late.any():
        place = place - late
        late = (place >= first) & (times[order[place]] > until)
    found: Indices = np.where(place >= first, order[place], -1) if len(order) else np.full(len(wanted), -1)
    return found


def with_batch(rows: Rows) -> Rows:
    """Those of `rows` that belong to a batch."""
    chosen: Rows = rows[rows["batch"] != NO_BATCH]
    return chosen
