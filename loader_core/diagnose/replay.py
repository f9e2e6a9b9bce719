"""A loader and its training loop as a network of queues, replayed event by event, many settings side by side.

The actors are the workers and the training loop. Each goes through *programs*: phases in which it waits (for storage,
for a device, to be woken), needs a core, or needs a core and the GIL. Phases that need a core share the cores evenly
(processor sharing, which is what a fair scheduler does to threads over more than a few milliseconds): of `n` that are
runnable on `c` cores each goes on at speed `min(1, c / n)`. Those that need the GIL share one core among them.

All rows of a replay advance in lock-step, each to its own next event, so that a step of a hundred settings costs about
as much as one of a single setting. Pure: no clock, no thread, no file. Times are float64 nanoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from loader_core.diagnose.rows import Numbers

Whole = np.ndarray[Any, np.dtype[np.int64]]
"""`(n,)` or `(n, m) int64`."""

Mask = np.ndarray[Any, np.dtype[np.bool_]]

WOKEN = 0
"""The phase at which an actor begins that had nothing to do: what it takes to be woken."""
AWAKE = 1
"""The phase at which it begins if it was awake."""

_INSTANT_NS = 1e-3
_FOREVER = np.inf


class Phase(IntEnum):
    """What an actor needs in order to go on."""

    OVER = 0
    WAIT = 1
    """Time alone."""
    CORE = 2
    GIL = 3
    """A core, and the GIL of the training process."""
    TEAM = 4
    """As many cores as the training loop has threads (`Case.team`)."""


@dataclass(frozen=True, slots=True)
class Programs:
    """What actors can do: `amounts[p, n, f]` ns of phase f of observation n of program p, of kind `phases[p, n, f]`.

    Phase 0 is the waking. Each observation ends with at least one `Phase.OVER`.
    """

    amounts: Numbers
    phases: np.ndarray[Any, np.dtype[np.int8]]

    @classmethod
    def of(cls, programs: Sequence[Sequence[tuple[Phase, Numbers]]]) -> Programs:
        """Each program is a list of its phases with their amounts, `(n,)` ns; amounts of 0 are left out.

        The first phase of each, the waking, stays in any case, as does the last.
        """
        packed = [_packed(parts) for parts in programs]
        count = max(amounts.shape[0] for amounts, _ in packed)
        width = max(amounts.shape[1] for amounts, _ in packed)
        amounts = np.zeros((len(packed), count, width))
        phases = np.zeros((len(packed), count, width), np.int8)
        for number, (own, kinds) in enumerate(packed):
            rows = np.arange(count) % len(own)
            amounts[number, :, : own.shape[1]] = own[rows]
            phases[number, :, : own.shape[1]] = kinds[rows]
        return cls(amounts, phases)


def _packed(parts: Sequence[tuple[Phase, Numbers]]) -> tuple[Numbers, np.ndarray[Any, np.dtype[np.int8]]]:
    """One program, phases of no length taken out: `(n, f)` amounts and kinds, OVER at the end."""
    amounts = np.column_stack([np.broadcast_to(part, len(parts[-1][1])) for _, part in parts]).astype(np.float64)
    amounts[:, [0, -1]] = np.maximum(amounts[:, [0, -1]], 1.0)
    phases = np.broadcast_to(np.array([kind for kind, _ in parts], np.int8), amounts.shape)
    order = np.argsort(amounts <= 0, axis=1, kind="stable")
    amounts, phases = np.take_along_axis(amounts, order, 1), np.take_along_axis(phases, order, 1)
    phases = np.where(amounts > 0, phases, Phase.OVER).astype(np.int8)
    pad = ((0, 0), (0, 1))
    return np.pad(amounts, pad), np.pad(phases, pad)


@dataclass(frozen=True, slots=True)
class Case:
    """One setting to replay."""

    workers: int
    """0: the training loop makes its batches by itself, and `consume` says so."""
    prefetch: int
    cores: float
    make: int
    """The program of a worker that makes a batch."""
    consume: int
    """The program of the training loop from being handed a batch to asking for the next one."""
    begin: int
    """The program of the training loop before the first batch of an epoch is given to a worker."""
    epoch: int
    """Batches of an epoch."""
    in_order: bool = True
    team: float = 1.0
    """Threads that the training loop computes with in `Phase.TEAM`."""


@dataclass(frozen=True, slots=True)
class Course:
    """How the cases went: `(cases, batches)` ns from the start."""

    asked: Numbers
    """When the training loop asked for each batch."""
    got: Numbers
    """When it was there, to be handed over."""
    ended: Numbers
    """When the training loop was done with it."""
    making_ns: Numbers
    """`(cases,)`: how long a worker took to make a batch, in the mean; 0 without workers."""


def replay(cases: Sequence[Case], programs: Programs, made_by: Whole, consumed_by: Whole) -> Course:
    """Replay each case until `n` batches have been consumed.

    made_by, consumed_by: `(cases, n)`: which observation of its program each batch takes in a worker, and in the
    training loop.
    """
    network = _Network(cases, programs, made_by, consumed_by)
    network.run()
    return Course(network.asked, network.got, network.ended, network.making_ns / np.maximum(network.made, 1))


class _Network:
    """The state of all rows. Actor 0 is the training loop, actors 1.. are the workers."""

    def __init__(self, cases: Sequence[Case], programs: Programs, made_by: Whole, consumed_by: Whole) -> None:
        rows, self.total = made_by.shape
        self.amounts, self.phases = programs.amounts, programs.phases
        self.made_by, self.consumed_by = made_by, consumed_by
        self.workers = np.array([case.workers for case in cases])
        self.capacity = self.workers * np.array([case.prefetch for case in cases])
        self.prefetch = np.array([case.prefetch for case in cases])
        self.cores = np.array([case.cores for case in cases], np.float64)
        self.team = np.array([case.team for case in cases], np.float64)
        self.make = np.array([case.make for case in cases])
        self.consume = np.array([case.consume for case in cases])
        self.begin = np.array([case.begin for case in cases])
        self.epoch = np.array([case.epoch for case in cases])
        self.in_order = np.array([case.in_order for case in cases], np.bool_)
        actors = 1 + int(self.workers.max(initial=0))
        self.has_gil = bool((self.phases == Phase.GIL).any())
        self.has_team = bool((self.phases == Phase.TEAM).any())
        self.kind = np.zeros((rows, actors), np.int64)
        self.left = np.full((rows, actors), _FOREVER)
        self.program = np.zeros((rows, actors), np.int64)
        self.observation = np.zeros((rows, actors), np.int64)
        self.at = np.zeros((rows, actors), np.int64)
        self.now = np.zeros(rows)
        self.number = np.zeros(rows, np.int64)
        """The batch that the training loop has, or asks for."""
        self.first = np.zeros(rows, np.int64)
        """The first batch of the epoch."""
        self.dispatched = np.zeros(rows, np.int64)
        self.next_of = np.zeros((rows, actors), np.int64)
        """In order: the batch that each worker makes, or will make next."""
        self.queued = np.zeros((rows, actors), np.int64)
        """Out of order: tasks that lie before each worker, and ..."""
        self.load = np.zeros((rows, actors), np.int64)
        """... batches given to it and not yet handed over."""
        self.turn = np.zeros(rows, np.int64)
        self.begun = np.zeros(rows, np.int64)
        self.arrivals: list[list[int]] = [[] for _ in range(rows)]
        self.blocked = np.zeros(rows, np.bool_)
        self.beginning = np.zeros(rows, np.bool_)
        self.asked, self.got, self.ended = (np.zeros((rows, self.total)) for _ in range(3))
        self.since = np.zeros((rows, actors))
        """When each worker began with what it makes."""
        self.making_ns = np.zeros(rows)
        self.made = np.zeros(rows)

    # --- time ---------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        rows = np.arange(len(self.now))
        self._begin_epoch(rows)
        base = 5 * rows[:, None]
        speeds = np.ones((len(rows), 5))
        while True:
            self._share_cores(speeds)
            speed = speeds.ravel()[base + self.kind]
            step = (self.left / speed).min(axis=1)
            if not np.isfinite(step).any():
                return
            step[~np.isfinite(step)] = 0.0
            self.now += step
            self.left -= step[:, None] * speed
            self._advance(*np.nonzero(self.left <= _INSTANT_NS))

    def _share_cores(self, speeds: Numbers) -> None:
        """How fast each kind of phase goes on in each row, given who is runnable."""
        runnable = (self.kind == Phase.CORE).sum(axis=1).astype(np.float64)
        if self.has_team:
            runnable += np.where(self.kind[:, 0] == Phase.TEAM, self.team, 0.0)
        if self.has_gil:
            holders = (self.kind == Phase.GIL).sum(axis=1)
            runnable += holders > 0
        share = np.minimum(1.0, self.cores / np.maximum(runnable, 1e-9))
        speeds[:, Phase.CORE] = share
        if self.has_gil:
            speeds[:, Phase.GIL] = share / np.maximum(holders, 1)
        if self.has_team:
            speeds[:, Phase.TEAM] = share * self.team

    def _advance(self, rows: Whole, actors: Whole) -> None:
        """These actors have come to the end of a phase."""
        self.at[rows, actors] += 1
        self._enter(rows, actors)

    def _enter(self, rows: Whole, actors: Whole) -> None:
        where = (self.program[rows, actors], self.observation[rows, actors], self.at[rows, actors])
        kinds = self.phases[where]
        over = kinds == Phase.OVER
        self.kind[rows, actors] = kinds
        self.left[rows, actors] = np.where(over, _FOREVER, self.amounts[where])
        if over.any():
            rows, actors = rows[over], actors[over]
            loop = actors == 0
            if not loop.all():
                self._made(rows[~loop], actors[~loop])
            if loop.any():
                self._loop_is_free(rows[loop])

    def _start(self, rows: Whole, actors: Whole | int, programs: Whole, observations: Whole, at: int) -> None:
        self.program[rows, actors] = programs
        self.observation[rows, actors] = observations
        self.at[rows, actors] = at
        self.since[rows, actors] = self.now[rows]
        self._enter(rows, np.broadcast_to(np.asarray(actors), rows.shape))

    # --- workers ------------------------------------------------------------------------------------------------------

    def _made(self, rows: Whole, actors: Whole) -> None:
        """These workers have made a batch."""
        np.add.at(self.making_ns, rows, self.now[rows] - self.since[rows, actors])
        np.add.at(self.made, rows, 1)
        ordered = self.in_order[rows]
        self._next_in_order(rows[ordered], actors[ordered])
        if not ordered.all():
            self._next_out_of_order(rows[~ordered], actors[~ordered])
        waiting = np.unique(rows[self.blocked[rows]])
        ready = waiting[self._is_ready(waiting)]
        if len(ready):
            self._hand_over(ready, WOKEN)

    def _next_in_order(self, rows: Whole, actors: Whole) -> None:
        self.next_of[rows, actors] += self.workers[rows]
        more = self.next_of[rows, actors] < self.dispatched[rows]
        self._make(rows[more], actors[more], AWAKE)

    def _make(self, rows: Whole, actors: Whole, at: int) -> None:
        if len(rows):
            numbers = self.next_of[rows, actors]
            self._start(rows, actors, self.make[rows], self.made_by[rows, numbers % self.total], at)

    def _next_out_of_order(self, rows: Whole, actors: Whole) -> None:
        for row, actor in zip(rows.tolist(), actors.tolist(), strict=True):
            self.arrivals[row].append(actor)
        more = self.queued[rows, actors] > 0
        self._take_task(rows[more], actors[more], AWAKE)

    def _take_task(self, rows: Whole, actors: Whole, at: int) -> None:
        for row, actor in zip(rows, actors, strict=True):  # two workers of a row may begin at the same instant
            number = int(self.begun[row]) % self.total
            self.begun[row] += 1
            self.queued[row, actor] -= 1
            one = np.array([row])
            self._start(one, np.array([actor]), self.make[one], self.made_by[one, [number]], at)

    # --- the training loop --------------------------------------------------------------------------------------------

    def _loop_is_free(self, rows: Whole) -> None:
        """The training loop has come to the end of a program: of the beginning of an epoch, or of a batch."""
        beginning = self.beginning[rows]
        starting, ending = rows[beginning], rows[~beginning]
        if len(starting):
            self.beginning[starting] = False
            self._fill(starting)
            self._ask(starting)
        if len(ending):
            self.ended[ending, self.number[ending]] = self.now[ending]
            self.number[ending] += 1
            self._rest(ending[self.number[ending] >= self.total])
            ending = ending[self.number[ending] < self.total]
            at_end = self.number[ending] - self.first[ending] >= self.epoch[ending]
            if at_end.any():
                self.first[ending[at_end]] = self.number[ending[at_end]]
                self._begin_epoch(ending[at_end])
            if not at_end.all():
                self._ask(ending[~at_end])

    def _rest(self, rows: Whole) -> None:
        """These rows are over: nobody does anything any more."""
        self.kind[rows] = Phase.OVER
        self.left[rows] = _FOREVER

    def _begin_epoch(self, rows: Whole) -> None:
        self.beginning[rows] = True
        self.asked[rows, self.number[rows]] = self.now[rows]
        self._start(rows, 0, self.begin[rows], np.zeros(len(rows), np.int64), AWAKE)

    def _last(self, rows: Whole) -> Whole:
        """One past the last batch of the epoch."""
        last: Whole = self.first[rows] + self.epoch[rows]
        return last

    def _fill(self, rows: Whole) -> None:
        """Give the workers the first batches of an epoch."""
        rows = rows[self.workers[rows] > 0]
        ordered = rows[self.in_order[rows]]
        self.next_of[ordered] = self.first[ordered, None] + np.arange(-1, self.next_of.shape[1] - 1)
        self.dispatched[rows] = self.first[rows]
        self.dispatched[ordered] = np.minimum(self.first[ordered] + self.capacity[ordered], self._last(ordered))
        for worker in range(1, self.next_of.shape[1]):
            has = (self.workers[ordered] >= worker) & (self.next_of[ordered, worker] < self.dispatched[ordered])
            self._make(ordered[has], np.full(int(has.sum()), worker), WOKEN)
        for row in rows[~self.in_order[rows]]:
            self.turn[row], self.begun[row], self.load[row] = 0, self.first[row], 0
            for _ in range(int(self.capacity[row])):
                self._dispatch_out_of_order(int(row))

    def _dispatch_out_of_order(self, row: int) -> None:
        """Give one batch to the next worker that has less than its share of them, as torch does."""
        if self.dispatched[row] >= self._last(np.array([row]))[0]:
            return
        workers = int(self.workers[row])
        for step in range(workers):
            worker = (int(self.turn[row]) + step) % workers
            if self.load[row, 1 + worker] < self.prefetch[row]:
                self.turn[row] = (worker + 1) % workers
                self.load[row, 1 + worker] += 1
                self.queued[row, 1 + worker] += 1
                self.dispatched[row] += 1
                if self.kind[row, 1 + worker] == Phase.OVER:
                    self._take_task(np.array([row]), np.array([1 + worker]), WOKEN)
                return

    def _is_ready(self, rows: Whole) -> Mask:
        """Whether the batch that the training loop asks for has been made."""
        workers = np.maximum(self.workers[rows], 1)
        owner = 1 + (self.number[rows] - self.first[rows]) % workers
        owner = np.minimum(owner, self.next_of.shape[1] - 1)
        made = self.next_of[rows, owner] > self.number[rows]
        if not self.in_order.all():
            made = np.where(
                self.in_order[rows], made, np.array([bool(self.arrivals[row]) for row in rows.tolist()], np.bool_)
            )
        ready: Mask = made | (self.workers[rows] == 0)
        return ready

    def _ask(self, rows: Whole) -> None:
        first_of_epoch = self.number[rows] == self.first[rows]
        self.asked[rows, self.number[rows]] = np.where(
            first_of_epoch, self.asked[rows, self.number[rows]], self.now[rows]
        )
        ready = self._is_ready(rows)
        if ready.any():
            self._hand_over(rows[ready], AWAKE)
        self.blocked[rows[~ready]] = True

    def _hand_over(self, rows: Whole, at: int) -> None:
        """The training loop gets its batch, and a worker is given another one to make."""
        self.blocked[rows] = False
        self.got[rows, self.number[rows]] = self.now[rows]
        behind = rows[(self.workers[rows] > 0) & (self.dispatched[rows] < self._last(rows))]
        ordered = behind[self.in_order[behind]]
        if len(ordered):
            numbers = self.dispatched[ordered]
            self.dispatched[ordered] += 1
            actors = 1 + (numbers - self.first[ordered]) % self.workers[ordered]
            idle = (self.next_of[ordered, actors] == numbers) & (self.kind[ordered, actors] == Phase.OVER)
            self._make(ordered[idle], actors[idle], WOKEN)
        if not self.in_order.all():
            for row in rows[~self.in_order[rows] & (self.workers[rows] > 0)].tolist():
                self.load[row, self.arrivals[row].pop(0)] -= 1
                self._dispatch_out_of_order(row)
        self._start(rows, 0, self.consume[rows], self.consumed_by[rows, self.number[rows]], at)
