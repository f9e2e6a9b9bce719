"""The grounds of a verdict: what was measured of a loop, its workers and its waits, once and for all rules.

Waits are of three sorts. The **start**: the wait for the very first batch. A **boundary**: the wait for the first batch
of a later epoch, the wait that finds an epoch at its end, and the time in which workers are started anew between the
two. All others are **steady**, and of these the first few (the warm-up) are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.journeys import PHASES, Journeys, Matrix, journeys, phases
from loader_core.diagnose.memory import Limits, MemoryUse, memory_use
from loader_core.diagnose.order import HeadOfLine, head_of_line_cost
from loader_core.diagnose.rates import steady_rate
from loader_core.diagnose.rows import Rows, union_ns, warm_up_end
from loader_core.diagnose.samples import stage_shares
from loader_core.diagnose.service import LONGEST_GAP_NS
from loader_core.diagnose.setting import Setting
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, Kind, Role

NAMED_SHARE = 0.7
"""Of fetching: from so much in named stages on, their names tell reading from computing."""
COMPUTING_STAGES = ("decode", "transform", "augment", "resize", "crop", "tokenize", "normalize")

COMPUTING_STEP = 0.4
"""Cores that a step must compute with, for its length to tell something of the host ..."""
STRETCHED_SHARE = 0.2
"""... which was busy with other things if steps were longer by this share than the quickest tenth of them."""

Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class WorkerTimes:
    """What making a batch takes, in the mean over the window: nanoseconds per batch."""

    batches: int
    fetch_ns: float
    fetch_cpu_ns: float | None
    """None: not measured."""
    core_wait_share: float | None
    """Of fetching: the worker could have run and no core was free, 0..1; None: not told."""
    collate_ns: float
    send_ns: float
    busy_share: float | None
    """Of the workers' time between their first batch and their last one, 0..1; None where there are no workers."""

    @property
    def made_ns(self) -> float:
        """Making one batch, from its first sample to the end of its sending."""
        return self.fetch_ns + self.collate_ns + self.send_ns

    @property
    def cpu_share(self) -> float | None:
        """Of fetching that is computing, 0..1."""
        if self.fetch_cpu_ns is None or not self.fetch_ns:
            return None
        return min(1.0, self.fetch_cpu_ns / self.fetch_ns)

    @property
    def reading_share(self) -> float | None:
        """Of fetching: neither computing nor without a core, so waiting for what is read or for a lock, 0..1.

        Where nobody tells of cores, waiting for one is in it. None: CPU time was not measured.
        """
        return None if self.cpu_share is None else max(0.0, 1 - self.cpu_share - (self.core_wait_share or 0.0))


class Grounds:
    """Everything measured that rules ask for. Immutable; each number is worked out when it is first asked for."""

    def __init__(self, excerpt: Excerpt, facts: Facts, limits: Limits, setting: Setting | None) -> None:
        self.excerpt = excerpt
        self.facts = facts
        self.limits = limits
        self.setting = setting
        self.waits = excerpt.on(excerpt.ended(Kind.WAIT_BATCH), Role.CONSUMER)
        self.steps = excerpt.on(excerpt.ended(Kind.STEP), Role.CONSUMER)

    # --- the window ---------------------------------------------------------------------------------------------------

    @cached_property
    def first_wait(self) -> Any | None:
        """The wait for the very first batch of the run, if it lies in the window."""
        first = self.waits[(self.waits["batch"] == 0) & (self.waits["epoch"] == 0)]
        return first[np.argmin(first["start"])] if len(first) else None

    @cached_property
    def warm_ns(self) -> int:
        """Where the warm-up ends: what ended later counts."""
        return warm_up_end(self.steps, self.excerpt.start_ns)

    @property
    def end_ns(self) -> int:
        """Where the window ends."""
        return self.excerpt.end_ns

    def warm(self, rows: Rows) -> Rows:
        """Those of `rows` that began after the warm-up and ended in the window."""
        chosen: Rows = rows[(rows["start"] >= self.warm_ns) & (rows["end"] <= self.end_ns)]
        return chosen

    @cached_property
    def warm_steps(self) -> Rows:
        """`(n,)` STEP rows after the warm-up."""
        return self.warm(self.steps)

    @cached_property
    def _at_boundary(self) -> Bools:
        """Which of the waits are no steady ones: for the first batch of an epoch, or at its end."""
        found: Bools = self.waits["batch"] == NO_BATCH
        for lane in np.unique(self.waits["lane"]):
            on_lane = np.flatnonzero((self.waits["lane"] == lane) & ~found)
            epochs = self.waits["epoch"][on_lane].astype(np.int64)
            begins = np.flatnonzero(np.diff(epochs, prepend=-1) != 0)
            begins = begins[(begins > 0) | (self.waits["batch"][on_lane[begins]] == 0)]
            found[on_lane[begins]] = True
        return found

    @cached_property
    def steady_waits(self) -> Rows:
        """`(n,)` WAIT_BATCH rows after the warm-up that are neither start nor boundary."""
        return self.warm(self.waits[~self._at_boundary])

    @cached_property
    def boundary_waits(self) -> Rows:
        """`(n,)` WAIT_BATCH rows at the boundaries of epochs, without the start."""
        rows = self.waits[self._at_boundary]
        first = self.first_wait
        chosen: Rows = rows if first is None else rows[rows["start"] != first["start"]]
        return chosen

    # --- the loop -----------------------------------------------------------------------------------------------------

    @cached_property
    def steady_ns(self) -> int:
        """Time of the steady waits."""
        return _total(self.steady_waits)

    @cached_property
    def respawn_ns(self) -> int:
        """Between the end of an epoch and the question for the next batch, where workers were started: from the first
        of their starts on."""
        starts = np.sort(self.excerpt.on(self.excerpt.of(Kind.START), Role.WORKER)["start"])
        total = 0
        for _, over, asked in self.epoch_ends:
            if asked < self.warm_ns:
                continue
            inside = starts[(starts >= over) & (starts <= asked)]
            total += asked - int(inside[0]) if len(inside) else 0
        return total

    @cached_property
    def epoch_ends(self) -> list[tuple[int, int, int]]:
        """(lane, end of an epoch, question for the next one's first batch), both times in the window."""
        found = []
        for lane in np.unique(self.waits["lane"]).tolist():
            on_lane = self.waits[self.waits["lane"] == lane]
            over = np.flatnonzero(on_lane["batch"] == NO_BATCH)
            over = over[over + 1 < len(on_lane)]
            found += [(lane, int(on_lane["end"][i]), int(on_lane["start"][i + 1])) for i in over.tolist()]
        return found

    @cached_property
    def boundary_ns(self) -> int:
        """Time of the boundaries after the warm-up, the starting of workers between two epochs included."""
        return _total(self.warm(self.boundary_waits)) + (self.respawn_ns if len(self.boundary_waits) else 0)

    @property
    def wait_ns(self) -> int:
        """All waiting that counts: steady, and at boundaries."""
        return self.steady_ns + self.boundary_ns

    @cached_property
    def step_ns(self) -> int:
        """Time of the steps after the warm-up."""
        return _total(self.warm_steps)

    @cached_property
    def gap_ns(self) -> int:
        """Between a step and the question for the next batch of its epoch: the main process's own work, or its waiting
        for a core. Gaps of the script's own (`LONGEST_GAP_NS`), pauses and previews are none."""
        total = 0
        paused = self.excerpt.ended(Kind.PAUSE), self.excerpt.ended(Kind.PREVIEW)
        for lane in np.unique(self.warm_steps["lane"]):
            steps = np.sort(self.warm_steps[self.warm_steps["lane"] == lane]["end"])
            asked = np.sort(self.waits[self.waits["lane"] == lane]["start"])
            place = np.searchsorted(asked, steps)
            known = place < len(asked)
            begins, gaps = steps[known], asked[place[known]] - steps[known]
            for rows in paused:
                others = np.sort(rows[rows["lane"] == lane]["start"])
                between = np.searchsorted(others, begins + gaps) > np.searchsorted(others, begins)
                gaps = np.where(between, 0, gaps)
            total += int(gaps[gaps < LONGEST_GAP_NS].sum())
        return total

    @property
    def loop_ns(self) -> int:
        """Time of the loop that counts: waiting, steps and the gaps between them."""
        return self.wait_ns + self.step_ns + self.gap_ns

    @cached_property
    def stretched_ns(self) -> int:
        """How much longer steps took than the quickest tenth of them, as far as they did not compute meanwhile."""
        cores = self.step_cpu_cores
        lengths = self.warm_steps["end"] - self.warm_steps["start"]
        if cores is None or not len(lengths):
            return 0
        quick = float(np.quantile(lengths, 0.1))
        return int(min(np.maximum(lengths - quick, 0).sum(), max(0.0, 1 - cores) * lengths.sum()))

    @property
    def wait_share(self) -> float | None:
        """Of the loop's time, 0..1: tier 1."""
        return self.wait_ns / self.loop_ns if self.loop_ns else None

    @cached_property
    def step_median_ns(self) -> float:
        """How long a step takes."""
        steps = self.warm_steps
        return float(np.median(steps["end"] - steps["start"])) if len(steps) else 0.0

    @cached_property
    def samples_per_s(self) -> float | None:
        """Samples per second of the window once it was warm, as predictions have it; None where they were not counted,
        or of too few batches."""
        if not len(self.warm_steps) or (self.warm_steps["value"] == NOT_MEASURED).any():
            return None
        rows = self.excerpt.rows
        rate = steady_rate(rows[rows["start"] >= self.excerpt.start_ns])
        return rate.samples_per_s if rate else None

    @cached_property
    def step_cpu_cores(self) -> float | None:
        """Cores that the training process computes with during its steps; None where CPU time was not measured.

        Its worker threads, if it has any, compute in it too.
        """
        marks = self.excerpt.ended(Kind.CPU)
        marks = marks[marks["start"] >= self.warm_ns]
        if not len(marks) or not self.step_ns:
            return None
        return float(marks["value"].sum()) / self.step_ns

    @cached_property
    def host_busy(self) -> bool:
        """Whether steps that compute lasted longer now and then, without computing more: others had their core."""
        cores = self.step_cpu_cores
        if cores is None or cores < COMPUTING_STEP or not self.step_ns:
            return False
        return self.stretched_ns >= STRETCHED_SHARE * self.step_ns

    # --- waits and their batches --------------------------------------------------------------------------------------

    @cached_property
    def journeys(self) -> Journeys:
        """What was recorded of the batches of the steady waits."""
        return journeys(self.excerpt, self.steady_waits)

    @cached_property
    def phases(self) -> Matrix:
        """How each steady wait is shared out: `(n, 10)` nanoseconds."""
        waits = self.steady_waits
        return phases(self.journeys, waits["start"].astype(np.int64), waits["end"].astype(np.int64))

    @cached_property
    def phase_ns(self) -> dict[str, int]:
        """Steady waiting by phase."""
        totals = self.phases.sum(axis=0).tolist()
        return dict(zip(PHASES, totals, strict=True))

    @cached_property
    def covered_share(self) -> float:
        """Of the steady waits whose batch's FETCH was recorded, by time; 1.0 where there are none."""
        if not self.steady_ns:
            return 1.0
        waits, has = self.steady_waits, self.journeys.has(Kind.FETCH)
        return float((waits["end"] - waits["start"])[has].sum()) / self.steady_ns

    @cached_property
    def head_of_line(self) -> HeadOfLine | None:
        """What delivery in order costs."""
        return head_of_line_cost(self.excerpt)

    # --- workers ------------------------------------------------------------------------------------------------------

    @cached_property
    def workers(self) -> int:
        """Workers that made batches in the window; 0 where the training process made them itself."""
        if self.setting is not None:
            return self.setting.num_workers
        fetched = np.unique(self.excerpt.on(self.excerpt.of(Kind.FETCH), Role.WORKER)["lane"]).tolist()
        return sum(1 for lane in fetched if (self.excerpt.worker(lane) or 0) >= 0 and self._is_worker(lane))

    def _is_worker(self, lane: int) -> bool:
        worker = self.excerpt.worker(lane)
        return worker is not None and worker >= 0

    @cached_property
    def fetches(self) -> Rows:
        """`(n,)` FETCH rows after the warm-up; all of the window where that leaves none."""
        rows = self.excerpt.ended(Kind.FETCH)
        warm = self.warm(rows)
        return warm if len(warm) else rows

    @cached_property
    def worker_times(self) -> WorkerTimes | None:
        """What a batch takes a worker; None where no FETCH was recorded."""
        fetches = self.fetches
        if not len(fetches):
            return None
        cpu = fetches["value"][fetches["value"] != NOT_MEASURED]
        return WorkerTimes(
            batches=len(fetches),
            fetch_ns=_mean(fetches),
            fetch_cpu_ns=float(cpu.mean()) if len(cpu) == len(fetches) else None,
            core_wait_share=self._core_wait_share,
            collate_ns=_mean(self._since_warm(Kind.COLLATE)),
            send_ns=_mean(self._since_warm(Kind.SEND)),
            busy_share=self.busy_share,
        )

    @property
    def _core_wait_share(self) -> float | None:
        """From those fetches of which it was told, if they are most of the time."""
        told, fetches = self.excerpt.ended(Kind.CORE_WAIT), self.fetches
        keys, told_keys = self.excerpt.keys(fetches), self.excerpt.keys(told)
        took = fetches["end"] - fetches["start"]
        took_of_told = took[np.isin(keys, told_keys)].sum()
        if took_of_told <= took.sum() / 2:
            return None
        waited = told["value"][np.isin(told_keys, keys)].sum()
        return float(min(1.0, waited / took_of_told))

    def _since_warm(self, kind: Kind) -> Rows:
        rows = self.excerpt.ended(kind)
        warm = self.warm(rows)
        return warm if len(warm) else rows

    @cached_property
    def busy_share(self) -> float | None:
        """How much of their time workers worked, while the loop went on: in its steady waits and steps."""
        if not self.workers or not len(self.warm_steps):
            return None
        begin, end = self.warm_ns, int(self.warm_steps["end"].max())
        busy = self.excerpt.on(self.excerpt.rows, Role.WORKER)
        busy = busy[np.isin(busy["kind"], (Kind.FETCH, Kind.COLLATE, Kind.SEND))]
        idle = self.excerpt.on(self.excerpt.of(Kind.WAIT_TASK), Role.WORKER)
        worked = waited = 0
        for lane in np.unique(busy["lane"]):
            worked += union_ns(busy[busy["lane"] == lane], start_ns=begin, end_ns=end)
            waited += union_ns(idle[idle["lane"] == lane], start_ns=begin, end_ns=end)
        return worked / (worked + waited) if worked + waited else None

    @property
    def cores(self) -> float | None:
        """Of the affinity mask; None: not known."""
        return None if self.setting is None else self.setting.cores

    @property
    def threads(self) -> bool:
        """Workers are threads of the training process."""
        if self.setting is not None:
            return self.setting.worker_method == "thread" and self.setting.num_workers > 0
        return self.workers > 0 and not self.excerpt.has_processes

    @cached_property
    def cores_used(self) -> float | None:
        """Cores that workers and steps computed with, in the mean over the loop's time; None where it was not measured.

        Time in COLLATE and SEND counts as computing: nobody measures its CPU time.
        """
        times = self.worker_times
        cpu = self.excerpt.ended(Kind.CPU)
        cpu = cpu[cpu["start"] >= self.warm_ns]
        if self.threads and len(cpu):  # the CPU time of their process is that of all of them
            return self.step_cpu_cores
        if times is None or times.fetch_cpu_ns is None or not self.loop_ns:
            return None
        made = (times.fetch_cpu_ns + times.collate_ns + times.send_ns) * len(self.warm_steps)
        stepped = float(cpu["value"].sum()) if len(cpu) else 0.0
        return (made + stepped) / self.loop_ns

    @cached_property
    def computing_share(self) -> float | None:
        """Of fetching: the stages whose names say that they compute; None where too little of it has a name.

        Time in them that is no CPU time is waiting for a core, and not for storage.
        """
        stages = stage_shares(self.excerpt)
        if sum(stage.share for stage in stages) < NAMED_SHARE:
            return None
        return min(1.0, sum(stage.share for stage in stages if stage.name.lower() in COMPUTING_STAGES))

    @cached_property
    def fetch_computes(self) -> bool:
        """Whether fetching is computing in the main, so that only CPU time tells slow samples from unlucky ones."""
        times = self.worker_times
        if times is None or times.reading_share is None:
            return False
        return times.reading_share <= 0.5 or (self.computing_share or 0.0) >= 0.5

    # --- resources ----------------------------------------------------------------------------------------------------

    @cached_property
    def memory(self) -> MemoryUse:
        """Memory and descriptors of the processes."""
        return memory_use(self.excerpt, self.limits)


def _total(rows: Rows) -> int:
    return int((rows["end"] - rows["start"]).sum())


def _mean(rows: Rows) -> float:
    return float((rows["end"] - rows["start"]).mean()) if len(rows) else 0.0
