"""The budget of a step: every nanosecond of the loop is in one part, and in one only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.diagnose.budget import MAX_STAGES, step_budget
from loader_core.diagnose.nesting import own_times
from loader_core.diagnose.periodicity import periodicity
from loader_core.diagnose.rows import Rows, union_ns
from loader_core.trace.event import Kind
from loader_core.trace.names import name_number
from tests.diagnose.rows import MAIN, row, rows_of, runs
from tests.diagnose.simulated import MS, Loader, excerpt_of, loaders

FORWARD, BACKWARD = name_number("forward"), name_number("backward")


def of_loop(rows: Rows) -> Rows:
    chosen: Rows = rows[np.isin(rows["kind"], [Kind.WAIT_BATCH, Kind.STEP, Kind.PREVIEW])]
    return chosen


def test_a_step_by_hand() -> None:
    rows = rows_of(
        row(Kind.WAIT_BATCH, 0, 10 * MS, batch=0, value=0),
        row(Kind.STEP, 10 * MS, 40 * MS, batch=0, value=8),
        row(Kind.STAGE, 10 * MS, 20 * MS, value=FORWARD),
        row(Kind.STAGE, 20 * MS, 35 * MS, value=BACKWARD),
        row(Kind.WAIT_BATCH, 40 * MS, 42 * MS, batch=1, value=0),
        row(Kind.PREVIEW, 42 * MS, 45 * MS, batch=1),
        row(Kind.STEP, 45 * MS, 65 * MS, batch=1, value=8),
        row(Kind.STAGE, 45 * MS, 55 * MS, value=FORWARD),
        row(Kind.COPY, 30 * MS, 36 * MS, batch=1, lane=MAIN),
        row(Kind.WAIT_BATCH, 65 * MS, 70 * MS),
    )
    budget = step_budget(excerpt_of(rows))
    assert budget is not None
    assert (budget.steps, budget.elapsed_ns) == (2, 70 * MS)
    assert [(part.name, part.kind, part.total_ns // MS) for part in budget.parts] == [
        ("wait", "wait", 17),
        ("forward", "stage", 20),
        ("backward", "stage", 15),
        ("rest", "rest", 15),
        ("observer", "observer", 3),
    ]
    assert [part.share for part in budget.parts] == [part.total_ns / (70 * MS) for part in budget.parts]
    assert [(part.median_ns // MS, part.p95_ns // MS) for part in budget.parts] == [
        (2, 10),
        (10, 10),
        (0, 15),
        (5, 10),
        (0, 3),
    ]
    assert [(part.name, part.kind, part.total_ns // MS) for part in budget.device] == [("copy", "device", 6)]
    assert (budget.step_median_ns, budget.step_p95_ns) == (22 * MS, 40 * MS)
    assert [(phase.name, phase.total_ns // MS) for phase in budget.waiting] == [("other", 12), ("end", 5)]


@given(loaders())
def test_the_parts_are_the_loop_s_time_and_the_phases_are_the_waiting(loader: Loader) -> None:
    rows = loader.rows()
    budget = step_budget(excerpt_of(rows, workers=loader.workers))
    assert budget is not None
    assert sum(part.total_ns for part in budget.parts) == budget.elapsed_ns
    assert budget.elapsed_ns == union_ns(of_loop(rows), start_ns=0, end_ns=2**62)
    assert sum(phase.total_ns for phase in budget.waiting) == budget.parts[0].total_ns
    assert budget.steps == len(loader.service_ns)
    if budget.elapsed_ns:
        assert sum(part.share for part in budget.parts) == pytest.approx(1)


@given(runs(), st.integers(0, 100))
def test_lanes_and_budgets_of_adjacent_windows_add_up(rows: Rows, percent: int) -> None:
    first, last = (int(rows["start"].min()) - 1, int(rows["end"].max())) if len(rows) else (0, 10)
    middle = first + (last - first) * percent // 100
    whole, *halves = (
        step_budget(excerpt_of(rows, start_ns=start, end_ns=end))
        for start, end in ((first, last), (first, middle), (middle, last))
    )
    if whole is None:
        assert halves == [None, None]
        return
    there = [half for half in halves if half is not None]
    assert sum(half.steps for half in there) == whole.steps
    for budget, length in zip((whole, *halves), (last - first, middle - first, last - middle), strict=True):
        for lane in budget.lanes if budget is not None else ():
            assert lane.work_ns + lane.wait_ns + lane.gap_ns == length
    if len(there) == 2:
        assert sum(half.elapsed_ns for half in there) == whole.elapsed_ns


def test_a_window_without_a_step_has_no_budget() -> None:
    assert step_budget(excerpt_of(rows_of(row(Kind.WAIT_BATCH, 0, 10, batch=0)))) is None
    assert step_budget(excerpt_of(rows_of())) is None


def test_a_stage_around_several_steps_is_no_part_of_any() -> None:
    rows = rows_of(
        row(Kind.STEP, 0, 10 * MS, batch=0),
        row(Kind.STEP, 20 * MS, 30 * MS, batch=1),
        row(Kind.STAGE, -5, 40 * MS, value=FORWARD),
        row(Kind.STAGE, 5 * MS, 25 * MS, value=BACKWARD),
    )
    budget = step_budget(excerpt_of(rows))
    assert budget is not None
    assert [part.name for part in budget.parts] == ["wait", "rest"]


def test_stages_beyond_the_bound_are_in_the_rest() -> None:
    count = MAX_STAGES + 5
    rows = rows_of(
        row(Kind.STEP, 0, 1_000 * MS, batch=0),
        *(row(Kind.STAGE, i * MS, (i + 1) * MS, value=i) for i in range(count)),
    )
    budget = step_budget(excerpt_of(rows))
    assert budget is not None
    assert len([part for part in budget.parts if part.kind == "stage"]) == MAX_STAGES
    assert sum(part.total_ns for part in budget.parts) == 1_000 * MS
    assert budget.parts[1].name == "00000000"


# --- spans inside spans -----------------------------------------------------------------------------------------------

spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=25)


@given(spans)
def test_own_times_add_up_to_what_the_spans_cover(pairs: list[tuple[int, int]]) -> None:
    rows = rows_of(*(row(Kind.STAGE, start, start + length) for start, length in pairs))
    starts, ends = rows["start"].astype(np.int64), rows["end"].astype(np.int64)
    own = own_times(starts, ends)
    assert own.sum() == union_ns(rows, start_ns=0, end_ns=100)
    assert (own >= 0).all()
    assert (own <= ends - starts).all()


def test_time_is_the_innermost_span_s() -> None:
    starts, ends = np.array([0, 2, 3, 20]), np.array([10, 8, 4, 25])
    assert own_times(starts, ends).tolist() == [4, 5, 1, 5]
    assert own_times(starts[::-1].copy(), ends[::-1].copy()).tolist() == [5, 1, 5, 4]


# --- rhythm -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_workers_in_lock_step_are_found_out(workers: int) -> None:
    waits = np.array([100.0 if i % workers == 0 else 1.0 for i in range(workers * 20)])
    found = periodicity(waits + np.random.default_rng(0).normal(0, 5, len(waits)), workers)
    assert found is not None
    assert found.in_step
    assert found.autocorrelation > 0.7


@pytest.mark.parametrize("seed", range(20))
def test_chance_and_a_single_giant_are_no_rhythm(seed: int) -> None:
    random = np.random.default_rng(seed)
    waits = random.exponential(1, 200)
    for seen in (waits, np.where(np.arange(200) == 77, 1e6, waits), np.ones(200)):
        found = periodicity(seen, 4)
        assert found is not None
        assert not found.in_step


def test_too_few_waits_or_workers_have_no_rhythm() -> None:
    assert periodicity(np.ones(100), 1) is None
    assert periodicity(np.ones(19), 4) is None


def test_the_rhythm_of_a_starved_loop_is_in_its_budget() -> None:
    """Four workers begin together and take alike: four batches at once, and then nothing for a while."""
    budget = step_budget(excerpt_of(Loader(4, [100 * MS] * 80, step_ns=MS, prefetch=1).rows(), workers=4))
    assert budget is not None
    assert budget.periodicity is not None
    assert (budget.periodicity.lag, budget.periodicity.in_step) == (4, True)
    calm = step_budget(excerpt_of(Loader(4, [MS] * 80, step_ns=10 * MS).rows(), workers=4))
    assert calm is not None
    assert calm.periodicity is not None
    assert not calm.periodicity.in_step
