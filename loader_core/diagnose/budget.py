"""The time budget: where each step of a training loop goes, and how each lane spent the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from loader_core.diagnose.excerpt import Excerpt, Indices, latest, with_batch
from loader_core.diagnose.journeys import PHASES, PhaseName, journeys, phases
from loader_core.diagnose.metrics import LaneTime, lane_times
from loader_core.diagnose.nesting import own_times
from loader_core.diagnose.order import HeadOfLine, head_of_line_cost
from loader_core.diagnose.periodicity import Periodicity, periodicity
from loader_core.diagnose.rows import Rows, Times
from loader_core.trace.event import Kind, Role

PartKind = Literal["wait", "stage", "rest", "observer", "device"]
"""wait: WAIT_BATCH. stage: a named part of STEP (transfer, forward, backward, optimizer ...). rest: STEP without its
named parts. observer: pictures made for a viewer. device: COPY on the device's clock, which runs beside the others."""


@dataclass(frozen=True, slots=True)
class BudgetPart:
    """One part of the steps' time."""

    name: str
    """Of a stage its name; else the kind again."""
    kind: PartKind
    total_ns: int
    share: float
    """Of `StepBudget.elapsed_ns`, 0..1."""
    median_ns: int
    """Per step, a step without this part counting as 0."""
    p95_ns: int


@dataclass(frozen=True, slots=True)
class WaitPhase:
    """A part of the waiting: where the batches were, by the phases of stalls."""

    name: PhaseName
    total_ns: int
    share: float
    """Of all waiting, 0..1."""


@dataclass(frozen=True, slots=True)
class StepBudget:
    """Where the time of the training loop went. A step lasts from asking for its batch to asking for the next one."""

    steps: int
    elapsed_ns: int
    """Time of the loop, without pauses and gaps: the sum of all parts but those of the device."""
    step_median_ns: int
    step_p95_ns: int
    parts: list[BudgetPart]
    device: list[BudgetPart]
    """On the device's own clock, at the same time as the parts above: never add the two."""
    waiting: list[WaitPhase]
    """The waiting by where the batch was, most first. Adds up to the part `wait`."""
    head_of_line: HeadOfLine | None
    """None: it was not recorded when batches were ready."""
    periodicity: Periodicity | None
    """None: too few waits, or fewer than two workers."""
    lanes: list[LaneTime]
    """How each lane spent the window."""


MAX_STAGES = 24
"""Named parts of a step that are listed, most first; the others are in "rest"."""


def step_budget(excerpt: Excerpt) -> StepBudget | None:
    """Where the loop's time in the window went; None if no step ended in it.

    Spans are counted whole where they end, so that budgets of adjacent windows add up.
    """
    steps = excerpt.on(excerpt.ended(Kind.STEP), Role.CONSUMER)
    if not len(steps):
        return None
    waits, previews = excerpt.ended(Kind.WAIT_BATCH), excerpt.ended(Kind.PREVIEW)
    stepped, waited = steps["end"] - steps["start"], _waited_before(excerpt, steps, waits)
    elapsed_ns = sum(int((rows["end"] - rows["start"]).sum()) for rows in (waits, previews, steps))
    named = _stages(excerpt, steps)
    rest = stepped - sum((part.per_step for part in named), np.zeros(len(steps), np.int64))

    def part(name: str, kind: PartKind, total_ns: int, per_step: Times) -> BudgetPart:
        return BudgetPart(name, kind, total_ns, _share(total_ns, elapsed_ns), *_median_and_p95(per_step))

    parts = [
        part("wait", "wait", int((waits["end"] - waits["start"]).sum()), waited),
        *(part(stage.name, "stage", int(stage.per_step.sum()), stage.per_step) for stage in named),
        part("rest", "rest", int(rest.sum()), rest),
    ]
    if len(previews):
        shown = _per_step(steps, previews)
        parts.append(part("observer", "observer", int((previews["end"] - previews["start"]).sum()), shown))
    copies = excerpt.ended(Kind.COPY)
    copied = copies["end"] - copies["start"]
    return StepBudget(
        len(steps),
        elapsed_ns,
        *_median_and_p95(waited + stepped),
        parts=parts,
        device=[part("copy", "device", int(copied.sum()), copied)] if len(copies) else [],
        waiting=_waiting(excerpt, waits),
        head_of_line=head_of_line_cost(excerpt),
        periodicity=_periodicity(excerpt, waits),
        lanes=lane_times(excerpt.rows, start_ns=excerpt.start_ns, end_ns=excerpt.end_ns),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _median_and_p95(durations: Times) -> tuple[int, int]:
    """By nearest rank: each is a duration that was seen."""
    if not len(durations):
        return 0, 0
    median, p95 = np.quantile(durations, (0.5, 0.95), method="inverted_cdf")
    return int(median), int(p95)


def _waited_before(excerpt: Excerpt, steps: Rows, waits: Rows) -> Times:
    """How long the loop had waited for the batch of each step; 0 where that was not recorded."""
    waits = with_batch(waits)
    if not len(waits):
        return np.zeros(len(steps), np.int64)
    place = latest(excerpt.keys(waits), waits["start"], excerpt.keys(steps), steps["start"])
    waited: Times = np.where(place >= 0, (waits["end"] - waits["start"])[place], 0)
    return waited


# --- the named parts of a step ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stage:
    """A named part of STEP, and its time in each step."""

    name: str
    per_step: Times


def _stages(excerpt: Excerpt, steps: Rows) -> list[_Stage]:
    """The named parts of `steps`, most first. Time in nested parts is the innermost one's."""
    marks = excerpt.on(excerpt.of(Kind.STAGE), Role.CONSUMER)
    found: dict[int, Times] = {}
    for lane in np.unique(marks["lane"]):
        places = np.flatnonzero(steps["lane"] == lane)
        if not len(places):
            continue
        of_lane, inside = _inside(marks[marks["lane"] == lane], steps[places])
        own = own_times(of_lane["start"].astype(np.int64), of_lane["end"].astype(np.int64))
        for value in np.unique(of_lane["value"]).tolist():
            chosen = of_lane["value"] == value
            per_step = found.setdefault(value, np.zeros(len(steps), np.int64))
            np.add.at(per_step, places[inside[chosen]], own[chosen])
    named = [_Stage(excerpt.stage_name(value), per_step) for value, per_step in found.items()]
    return sorted(named, key=lambda stage: -int(stage.per_step.sum()))[:MAX_STAGES]


def _inside(rows: Rows, steps: Rows) -> tuple[Rows, Indices]:
    """Those of `rows`, all of one lane, that lie inside one of `steps` of that lane, and inside which."""
    place = np.searchsorted(steps["start"], rows["start"], "right") - 1
    inside = (place >= 0) & (rows["end"] <= steps["end"][place])
    return rows[inside], place[inside]


def _per_step(steps: Rows, rows: Rows) -> Times:
    """The time of `rows` that ended last before each step."""
    durations = np.zeros(len(steps), np.int64)
    place = np.searchsorted(steps["start"], rows["end"])
    known = place < len(steps)
    np.add.at(durations, place[known], (rows["end"] - rows["start"])[known])
    return durations


# --- the waiting ------------------------------------------------------------------------------------------------------


def _waiting(excerpt: Excerpt, waits: Rows) -> list[WaitPhase]:
    starts, ends = waits["start"].astype(np.int64), waits["end"].astype(np.int64)
    totals = phases(journeys(excerpt, waits), starts, ends).sum(axis=0)
    whole = int(totals.sum())
    found = [WaitPhase(name, int(total), _share(int(total), whole)) for name, total in zip(PHASES, totals, strict=True)]
    return sorted((phase for phase in found if phase.total_ns), key=lambda phase: -phase.total_ns)


def _periodicity(excerpt: Excerpt, waits: Rows) -> Periodicity | None:
    """Of the epoch with the most waits, without the first wait of each epoch: that one is start-up."""
    waits = with_batch(waits)
    workers = len(np.unique(excerpt.on(excerpt.ended(Kind.FETCH), Role.WORKER)["lane"]))
    if not len(waits):
        return None
    keys = excerpt.keys(waits) >> 32
    epochs, counts = np.unique(keys, return_counts=True)
    longest = waits[keys == epochs[np.argmax(counts)]][1:]
    return periodicity((longest["end"] - longest["start"]).astype(np.float64), workers)
