"""Trends of memory and descriptors: told when they are seen, and only then."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.diagnose.memory import MAX_POINTS, MIN_MEASUREMENTS, Limits, memory_use
from loader_core.diagnose.rows import Rows
from loader_core.diagnose.trends import MAX_FITTED, slope, thinned
from loader_core.trace.event import Kind
from tests.diagnose.rows import CONSUMER, FIRST_WORKER, MAIN, row, rows_of
from tests.diagnose.simulated import MS, excerpt_of, marks

S = 1_000 * MS
MIB = 1 << 20


def memory_rows(values: list[float], *, lane: int = FIRST_WORKER, every_ns: int = S) -> Rows:
    return marks(Kind.MEMORY, [round(value * MIB) for value in values], every_ns=every_ns, lane=lane)


# --- slopes -----------------------------------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6), st.floats(-1e9, 1e9), st.integers(3, 40))
def test_a_straight_line_has_its_slope(per_s: float, begin: float, count: int) -> None:
    times = np.arange(count, dtype=np.int64) * S
    found = slope(times, begin + per_s * np.arange(count))
    assert found.per_s == pytest.approx(per_s, rel=1e-6, abs=1e-3)
    assert found.low_per_s <= found.per_s <= found.high_per_s


def test_a_fifth_of_nonsense_moves_the_slope_little() -> None:
    random = np.random.default_rng(2)
    values = 5.0 * np.arange(60) + random.normal(0, 2, 60)
    values[random.choice(60, 12, replace=False)] = 10_000
    found = slope(np.arange(60, dtype=np.int64) * S, values)
    assert found.per_s == pytest.approx(5, rel=0.2)


def test_the_interval_holds_the_slope_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    times = np.arange(30, dtype=np.int64) * S
    found = [slope(times, 2.0 * np.arange(30) + random.normal(0, 10, 30)) for _ in range(400)]
    held = np.mean([one.low_per_s <= 2.0 <= one.high_per_s for one in found])
    assert 0.92 <= held <= 0.99


def test_points_at_one_time_have_no_slope() -> None:
    found = slope(np.zeros(5, np.int64), np.arange(5.0))
    assert (found.per_s, found.low_per_s, found.high_per_s) == (0, -math.inf, math.inf)


@given(st.integers(1, 3_000), st.integers(1, 200))
def test_thinning_keeps_order_and_range(count: int, most: int) -> None:
    times = np.arange(count, dtype=np.int64) * S
    thin_times, thin_values = thinned(times, np.arange(count, dtype=np.float64), most)
    assert len(thin_times) == len(thin_values) == min(count, most)
    assert (np.diff(thin_times) > 0).all()
    assert 0 <= thin_values[0] <= thin_values[-1] <= count - 1


def test_a_long_series_is_fitted_in_no_time() -> None:
    times = np.arange(100_000, dtype=np.int64) * S
    assert slope(times, np.arange(100_000) * 3.0).per_s == pytest.approx(3)
    assert MAX_FITTED**2 < 10**5


# --- trends -----------------------------------------------------------------------------------------------------------


def test_a_leak_has_its_rate_and_the_time_that_is_left() -> None:
    random = np.random.default_rng(4)
    rows = memory_rows(list(100 + 2.0 * np.arange(60) + random.normal(0, 0.5, 60)))
    use = memory_use(excerpt_of(rows), Limits(memory_available_bytes=1_000 * MIB))
    (trend,) = use.memory
    assert (trend.trend, trend.worker, trend.label, trend.seen, trend.over_ns) == ("growing", 0, "worker 0", 60, 59 * S)
    assert trend.per_s == pytest.approx(2 * MIB, rel=0.05)
    assert trend.low_per_s is not None
    assert trend.high_per_s is not None
    assert trend.low_per_s <= 2 * MIB <= trend.high_per_s
    forecast = use.memory_forecast
    assert forecast is not None
    assert forecast.exhausted_in_ns == pytest.approx(500 * S, rel=0.05)
    assert forecast.soonest_ns is not None
    assert forecast.latest_ns is not None
    assert forecast.soonest_ns <= forecast.exhausted_in_ns <= forecast.latest_ns
    assert "will be used up in 8.3" in forecast.sentence.en
    assert "se agotarán en 8,3" in forecast.sentence.es


def test_workers_leak_together() -> None:
    rows = np.concatenate([memory_rows(list(50 + np.arange(40.0)), lane=FIRST_WORKER + worker) for worker in range(3)])
    use = memory_use(excerpt_of(rows), Limits(memory_available_bytes=300 * MIB))
    assert use.memory_forecast is not None
    assert use.memory_forecast.per_s == pytest.approx(3 * MIB, rel=0.01)
    assert use.memory_forecast.exhausted_in_ns == pytest.approx(100 * S, rel=0.01)


def test_warming_up_and_then_staying_is_no_growth() -> None:
    values = [10.0 * i for i in range(20)] + [200.0 + (i % 3) * 0.1 for i in range(40)]
    use = memory_use(excerpt_of(memory_rows(values)), Limits(memory_available_bytes=10 * MIB))
    assert [trend.trend for trend in use.memory] == ["steady"]
    assert use.memory_forecast is not None
    assert (use.memory_forecast.exhausted_in_ns, use.memory_forecast.per_s) == (None, 0)
    assert use.memory_forecast.sentence.en == "Memory does not grow: 210 MB held by one process alone."


def test_what_comes_back_to_where_it_was_has_not_grown() -> None:
    """Memory shared with another process leaves the count while that process lives, and comes back when it ends."""
    values = [291, 338, 347, 344, 284, 284, 283, 276, 275, 276, 269, 278, 285, 286, 337, 348.0]
    use = memory_use(excerpt_of(memory_rows(values, every_ns=7 * S)), Limits(memory_available_bytes=10 * MIB))
    assert [trend.trend for trend in use.memory] == ["steady"]
    use = memory_use(excerpt_of(memory_rows([*values, 360, 372, 384.0], every_ns=7 * S)), Limits())
    assert [trend.trend for trend in use.memory] == ["growing"]


@given(st.integers(0, 2**32), st.floats(20, 2_000), st.floats(0, 0.004))
def test_what_breathes_around_a_level_never_grows(seed: int, level: float, breath: float) -> None:
    random = np.random.default_rng(seed)
    values = level * (1 + breath * random.normal(0, 1, 60))
    use = memory_use(excerpt_of(memory_rows(list(values))), Limits())
    assert use.memory[0].trend == "steady"


def test_what_is_given_back_is_shrinking() -> None:
    use = memory_use(excerpt_of(memory_rows(list(500 - 3.0 * np.arange(60)))), Limits(memory_available_bytes=MIB))
    assert use.memory[0].trend == "shrinking"
    assert use.memory_forecast is not None
    assert use.memory_forecast.exhausted_in_ns is None


@pytest.mark.parametrize(
    ("count", "every_ns"), [(2 * MIN_MEASUREMENTS - 2, S), (200, MS)], ids=["too few", "too short a time"]
)
def test_too_little_is_seen_to_tell(count: int, every_ns: int) -> None:
    rows = memory_rows([100 + 50.0 * i for i in range(count)], every_ns=every_ns)
    use = memory_use(excerpt_of(rows), Limits(memory_available_bytes=MIB))
    (trend,) = use.memory
    assert (trend.trend, trend.per_s, trend.low_per_s, trend.high_per_s) == ("unknown", None, None, None)
    assert use.memory_forecast is not None
    assert use.memory_forecast.exhausted_in_ns is None
    assert use.memory_forecast.per_s is None
    assert "too rarely" in use.memory_forecast.sentence.en


def test_a_leak_with_nobody_to_say_what_is_left_has_no_end() -> None:
    use = memory_use(excerpt_of(memory_rows(list(100 + 5.0 * np.arange(60)))), Limits())
    assert use.memory_forecast is not None
    assert (use.memory_forecast.available, use.memory_forecast.exhausted_in_ns) == (None, None)
    assert use.memory_forecast.sentence.en.startswith("The memory of one process grows by 5.24 MB per second")


def test_nothing_measured_is_no_trend() -> None:
    use = memory_use(excerpt_of(rows_of(row(Kind.STEP, 0, 10))), Limits(files=1_024))
    assert (use.memory, use.files, use.memory_forecast, use.files_forecast, use.shared) == ([], [], None, None, None)


def test_a_long_trend_is_thinned_for_drawing() -> None:
    use = memory_use(excerpt_of(memory_rows([100.0] * 1_000)), Limits())
    assert len(use.memory[0].points) == MAX_POINTS
    assert use.memory[0].seen == 1_000


# --- descriptors and shared memory ------------------------------------------------------------------------------------


def test_descriptors_that_leak_run_out_in_the_process_that_is_first() -> None:
    rows = np.concatenate(
        [
            marks(Kind.FILES, [900] * 30, every_ns=S, lane=CONSUMER),
            marks(Kind.FILES, [100 + 10 * i for i in range(30)], every_ns=S),
        ]
    )
    use = memory_use(excerpt_of(rows), Limits(files=1_024))
    assert [trend.trend for trend in use.files] == ["steady", "growing"]
    forecast = use.files_forecast
    assert forecast is not None
    assert (forecast.available, forecast.limit) == (1_024 - 390, 1_024)
    assert forecast.exhausted_in_ns == pytest.approx(63.4 * S, rel=0.01)
    assert forecast.sentence.en.startswith("worker 0: 390 descriptors open, 10 more per second.")


def test_descriptors_that_do_not_grow_are_told_with_their_limit() -> None:
    use = memory_use(excerpt_of(marks(Kind.FILES, [37] * 30, every_ns=S)), Limits(files=1_024))
    assert use.files_forecast is not None
    assert use.files_forecast.sentence.en == "worker 0 has the most descriptors open: 37 of 1,024 possible."
    told = "worker 0 es quien más descriptores tiene abiertos: 37 de 1.024 posibles."
    assert use.files_forecast.sentence.es == told


def in_flight() -> Rows:
    return rows_of(
        row(Kind.DISPATCH, 0, lane=MAIN, batch=0, value=4),
        row(Kind.SEND, 0, 5, lane=FIRST_WORKER, batch=0, value=10 * MIB),
    )


def test_batches_on_their_way_need_shared_memory() -> None:
    shared = memory_use(excerpt_of(in_flight()), Limits(shm_bytes=64 * MIB, shm_free_bytes=20 * MIB)).shared
    assert shared is not None
    assert (shared.batch_bytes, shared.in_flight, shared.needed_bytes) == (10 * MIB, 4, 40 * MIB)
    assert (shared.limit_bytes, shared.free_bytes) == (64 * MIB, 20 * MIB)
    assert shared.sentence.en == (
        "4 batches on their way of up to 10.5 MB take up 41.9 MB of shared memory. 21 MB are free."
    )


def test_workers_that_are_threads_need_none() -> None:
    excerpt = excerpt_of(in_flight())
    for lane in excerpt.lanes:
        lane.pids[:] = [100]
    assert memory_use(excerpt, Limits()).shared is None
