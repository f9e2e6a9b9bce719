"""Queues whose throughput is known on paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.diagnose.replay import Case, Course, Phase, Programs, replay
from tests.diagnose.truth import MS, Truth

ENDLESS = 1 << 40
MAKE, CONSUME, BEGIN = 0, 1, 2
NOTHING = (Phase.WAIT, np.array([1.0]))


def played(
    make: list[tuple[Phase, float | list[float]]],
    step: list[tuple[Phase, float | list[float]]],
    *,
    batches: int = 200,
    begin_ms: float = 0.0,
    **case: object,
) -> Course:
    """Replay one case, phases in milliseconds; observations are taken in turn."""

    def program(parts: list[tuple[Phase, float | list[float]]]) -> list[tuple[Phase, np.ndarray]]:
        count = max(len(np.atleast_1d(amount)) for _, amount in parts)
        return [NOTHING, *((phase, np.broadcast_to(np.asarray(amount) * MS, count)) for phase, amount in parts)]

    programs = Programs.of([program(make), program(step), program([(Phase.WAIT, begin_ms)])])
    turns = np.arange(batches)[None]
    fields = {"workers": 1, "prefetch": 2, "cores": 64.0, "epoch": ENDLESS} | case
    made = turns % max(len(np.atleast_1d(amount)) for _, amount in make)
    one = Case(make=MAKE, consume=CONSUME, begin=BEGIN, **fields)  # type: ignore[arg-type]
    return replay([one], programs, made, turns * 0)


def rate(course: Course) -> float:
    ended = course.ended[0]
    half = len(ended) // 24 * 12  # whole rounds of 2, 3, 4 or 6 workers
    return half * 1e9 / float(ended[-1] - ended[-1 - half])


@pytest.mark.parametrize(
    ("workers", "make", "step", "expected"),
    [(1, 10, 5, 100), (2, 10, 5, 200), (4, 10, 5, 200), (3, 30, 5, 100), (1, 10, 25, 40)],
)
def test_d_d_1_goes_at_the_rate_of_the_slower_side(workers: int, make: float, step: float, expected: float) -> None:
    course = played([(Phase.WAIT, make)], [(Phase.WAIT, step)], workers=workers)
    assert rate(course) == pytest.approx(expected, rel=1e-3)


def test_without_workers_making_and_stepping_add_up() -> None:
    course = played([(Phase.WAIT, 10)], [(Phase.WAIT, 10), (Phase.WAIT, 5)], workers=0)
    assert rate(course) == pytest.approx(1000 / 15, rel=1e-3)


@pytest.mark.parametrize(("workers", "cores", "expected"), [(1, 2, 100), (2, 2, 200), (4, 2, 200), (8, 3, 300)])
def test_workers_that_compute_share_the_cores(workers: int, cores: float, expected: float) -> None:
    course = played([(Phase.CORE, 10)], [(Phase.WAIT, 0.001)], workers=workers, cores=cores)
    assert rate(course) == pytest.approx(expected, rel=0.02)


def test_a_step_that_computes_takes_cores_from_the_workers() -> None:
    course = played([(Phase.CORE, 20)], [(Phase.CORE, 10)], workers=4, cores=2, prefetch=4, batches=400)
    assert rate(course) == pytest.approx(2000 / 30, rel=0.04), "30 ms of work per batch on two cores"


def test_a_team_of_threads_takes_as_many_cores() -> None:
    alone = played([(Phase.WAIT, 1)], [(Phase.TEAM, 40)], workers=1, cores=4, team=4.0)
    assert rate(alone) == pytest.approx(100, rel=1e-3)
    squeezed = played([(Phase.WAIT, 1)], [(Phase.TEAM, 40)], workers=1, cores=2, team=4.0)
    assert rate(squeezed) == pytest.approx(50, rel=1e-3)


def test_the_gil_is_one_core_for_all_who_need_it() -> None:
    for workers in (1, 2, 8):
        held = played([(Phase.GIL, 10)], [(Phase.WAIT, 0.001)], workers=workers, cores=16)
        assert rate(held) == pytest.approx(100, rel=0.02)
    half = played([(Phase.GIL, 5), (Phase.CORE, 5)], [(Phase.WAIT, 0.001)], workers=8, cores=16)
    assert rate(half) == pytest.approx(8000 / 45, rel=0.02), "8 x 5 ms in turn, then 5 ms side by side"


def test_lock_step_workers_deliver_at_once_and_then_make_the_loop_wait() -> None:
    course = played([(Phase.WAIT, 30)], [(Phase.WAIT, 1)], workers=3, prefetch=1)
    waits = (course.got - course.asked)[0, 30:90] / MS
    assert sorted(set(waits.round(1))) == [0.0, 28.0] or waits.reshape(-1, 3).max(axis=1) == pytest.approx(28, abs=1)


def test_in_order_waits_for_the_slow_batch_and_out_of_order_does_not() -> None:
    make: list[tuple[Phase, float | list[float]]] = [(Phase.WAIT, [90.0, 10.0, 10.0, 10.0, 10.0])]
    ordered = rate(played(make, [(Phase.WAIT, 12)], workers=2, prefetch=2, batches=400))
    free = rate(played(make, [(Phase.WAIT, 12)], workers=2, prefetch=2, batches=400, in_order=False))
    assert free > ordered * 1.05
    assert free <= 2 / 26 * 1000 * 1.01, "two workers, 26 ms per batch in the mean"


def test_an_epoch_begins_with_empty_queues() -> None:
    """8 batches of 10 ms by two workers: the first comes 5 + 10 ms after the epoch begins, then two every 10 ms."""
    course = played([(Phase.WAIT, 10)], [(Phase.WAIT, 0.001)], workers=2, epoch=8, begin_ms=5, batches=80)
    assert float(course.ended[0, -1]) / MS / 10 == pytest.approx(45, rel=1e-2)


@given(
    workers=st.integers(0, 5),
    prefetch=st.integers(1, 4),
    make=st.lists(st.integers(1, 40), min_size=1, max_size=7),
    step=st.integers(1, 40),
)
def test_without_contention_it_is_the_timetable_of_the_recursion(
    workers: int, prefetch: int, make: list[int], step: int
) -> None:
    truth = Truth(lambda k: make[k % len(make)], step)
    expected = truth.timetable(workers, prefetch, 60)[:, 5]
    if workers:
        course = played([(Phase.WAIT, [float(m) for m in make])], [(Phase.WAIT, step)], workers=workers,
                        prefetch=prefetch, batches=60)  # fmt: skip
        assert course.ended[0] / MS == pytest.approx(expected / MS, abs=0.2)


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4), st.booleans()), min_size=2, max_size=8),
    cores=st.floats(0.5, 4),
)
def test_each_case_goes_as_if_it_were_alone(rows: list[tuple[int, int, bool]], cores: float) -> None:
    random = np.random.default_rng(0)
    make, step = random.exponential(9 * MS, 20), random.exponential(5 * MS, 20)
    programs = Programs.of(
        [
            [NOTHING, (Phase.WAIT, make / 2), (Phase.CORE, make)],
            [NOTHING, (Phase.CORE, step)],
            [NOTHING, (Phase.WAIT, np.array([1e6]))],
        ]
    )
    cases = [Case(w, p, cores, MAKE, CONSUME, BEGIN, 15, order) for w, p, order in rows]
    picks = np.tile(random.integers(20, size=40), (len(cases), 1))
    together = replay(cases, programs, picks, picks)
    for number, case in enumerate(cases):
        alone = replay([case], programs, picks[:1], picks[:1])
        assert together.ended[number] == pytest.approx(alone.ended[0], rel=1e-6)
    assert (np.diff(together.ended, axis=1) > 0).all()
    assert (together.got >= together.asked).all()
