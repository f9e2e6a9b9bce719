from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.diagnose.metrics import (
    MEASURED_KINDS,
    Metrics,
    OpenWaits,
    Totals,
    WaitTally,
    lane_times,
    measure,
    quantiles,
)
from loader_core.diagnose.queues import QueueCount
from loader_core.diagnose.rows import Rows, of_kinds, overlap_ns, union_ns
from loader_core.trace.event import Kind
from loader_core.trace.rollup import BUCKET_DTYPE
from tests.diagnose.rows import CONSUMER, FIRST_WORKER, MAIN, ROW_DTYPE, row, rows_of, runs

MS = 1_000_000
NOTHING = np.empty(0, ROW_DTYPE)


def bounds(rows: Rows) -> tuple[int, int]:
    return (int(rows["start"].min()), int(rows["end"].max())) if len(rows) else (0, 0)


def one_bucket(rows: Rows) -> Rows:
    """The roll-up of a whole run in a single row."""
    steps = of_kinds(rows, Kind.STEP)
    received = of_kinds(rows, Kind.RECEIVE)["value"].sum()
    spent = [overlap_ns(of_kinds(rows, kind), start_ns=0, end_ns=2**60) for kind in (Kind.WAIT_BATCH, Kind.STEP)]
    return np.array([(0, len(steps), steps["value"].sum(), received, *spent, 0)], BUCKET_DTYPE)


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_nothing_recorded_is_not_measured() -> None:
    found = measure(NOTHING, start_ns=0, end_ns=10 * MS)
    assert (found.batches, found.samples, found.batches_per_s) == (0, 0, 0)
    assert (found.wait_share, found.wait_p50_ns, found.wait_p95_ns, found.wait_p99_ns) == (None, None, None, None)
    assert (found.in_flight, found.ready, found.first_batch_ns, found.epoch, found.loss) == (None,) * 5


def test_a_run_by_hand() -> None:
    rows = rows_of(
        row(Kind.DISPATCH, 1, lane=MAIN, batch=1, value=2),
        row(Kind.SEND, 5 * MS, 10 * MS, lane=FIRST_WORKER),
        row(Kind.WAIT_BATCH, 0, 12 * MS, batch=0, value=0),
        row(Kind.RECEIVE, 10 * MS, 11 * MS, lane=MAIN, value=1_000),
        row(Kind.STEP, 12 * MS, 40 * MS, batch=0, value=32),
        row(Kind.LOSS, 40 * MS, value=2_300_000),
        row(Kind.SEND, 15 * MS, 20 * MS, lane=FIRST_WORKER),
        row(Kind.SEND, 20 * MS, 25 * MS, lane=FIRST_WORKER),
        row(Kind.PAUSE, 40 * MS, 60 * MS),
        row(Kind.WAIT_BATCH, 60 * MS, 62 * MS, batch=1, value=2),
        row(Kind.RECEIVE, 60 * MS, 61 * MS, lane=MAIN, value=3_000),
        row(Kind.STEP, 62 * MS, 100 * MS, batch=1, value=16),
    )
    found = measure(rows, start_ns=0, end_ns=100 * MS)
    assert found == Metrics(
        start_ns=0,
        end_ns=100 * MS,
        batches=2,
        samples=48,
        batches_per_s=2 / 0.08,
        samples_per_s=48 / 0.08,
        bytes_per_s=4_000 / 0.08,
        wait_share=14 / 80,
        wait_p50_ns=2 * MS,
        wait_p95_ns=12 * MS,
        wait_p99_ns=12 * MS,
        in_flight=0,
        ready=1,
        first_batch_ns=12 * MS,
        epoch=0,
        loss=2.3,
    )


def test_wait_share_counts_only_the_part_in_the_window() -> None:
    rows = rows_of(row(Kind.WAIT_BATCH, 0, 10 * MS, value=0), row(Kind.STEP, 10 * MS, 20 * MS, value=1))
    assert measure(rows, start_ns=5 * MS, end_ns=12 * MS).wait_share == 5 / 7
    assert measure(rows, start_ns=0, end_ns=10 * MS).wait_share == 1
    assert measure(rows, start_ns=10 * MS, end_ns=20 * MS).wait_share == 0


def test_a_batch_whose_step_goes_on_is_not_counted_yet() -> None:
    rows = rows_of(row(Kind.WAIT_BATCH, 0, 10, value=0), row(Kind.STEP, 10, 30, value=8))
    assert measure(rows, start_ns=0, end_ns=29).batches == 0
    assert measure(rows, start_ns=0, end_ns=30).batches == 1


def test_the_wait_that_found_the_epoch_at_its_end_is_waiting_but_no_wait_for_a_batch() -> None:
    rows = rows_of(
        row(Kind.WAIT_BATCH, 0, 10, batch=0, value=0),
        row(Kind.STEP, 10, 30, batch=0, value=8),
        row(Kind.WAIT_BATCH, 30, 60),
    )
    found = measure(rows, start_ns=0, end_ns=60)
    assert (found.wait_share, found.wait_p99_ns, found.ready) == (40 / 60, 10, 0)


def test_one_unmeasured_value_makes_the_sum_unmeasured() -> None:
    rows = rows_of(
        row(Kind.STEP, 0, 10, value=8),
        row(Kind.STEP, 10, 20),
        row(Kind.RECEIVE, 0, 5, value=0),
    )
    found = measure(rows, start_ns=0, end_ns=20)
    assert (found.batches, found.samples, found.samples_per_s, found.bytes_per_s) == (2, None, None, 0)


def test_bytes_that_nobody_counted_are_not_zero() -> None:
    rows = rows_of(row(Kind.STEP, 0, 10, value=8))
    assert measure(rows, start_ns=0, end_ns=20).bytes_per_s is None


def test_a_run_that_was_paused_throughout_has_no_rate() -> None:
    assert measure(rows_of(row(Kind.PAUSE, 0, 100)), start_ns=0, end_ns=100).batches_per_s is None


def test_overlapping_pauses_of_two_ranks_count_once() -> None:
    rows = rows_of(row(Kind.PAUSE, 0, 50 * MS), row(Kind.PAUSE, 25 * MS, 50 * MS, lane=9), row(Kind.STEP, 60, 90))
    assert measure(rows, start_ns=0, end_ns=100 * MS).batches_per_s == 1 / 0.05


def test_epoch_is_that_of_the_newest_consumer_event() -> None:
    rows = rows_of(
        row(Kind.STEP, 50, 60, epoch=3),
        row(Kind.WAIT_BATCH, 60, 70, epoch=4, value=0),
        row(Kind.FETCH, 60, 80, lane=FIRST_WORKER, epoch=5),
    )
    assert measure(rows, start_ns=0, end_ns=100).epoch == 4


def test_the_first_batch_is_the_first_of_epoch_0() -> None:
    rows = rows_of(row(Kind.WAIT_BATCH, 60, 75, batch=0, epoch=0), row(Kind.WAIT_BATCH, 80, 180, batch=0, epoch=1))
    assert measure(rows, start_ns=0, end_ns=200).first_batch_ns == 15
    assert measure(rows, start_ns=100, end_ns=200).first_batch_ns is None


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="the window ends at 3 ns, before its start at 4 ns"):
        measure(NOTHING, start_ns=4, end_ns=3)


def test_parts_and_marks_are_neither_work_nor_wait_of_a_lane() -> None:
    rows = rows_of(
        row(Kind.FETCH, 0, 10, lane=2),
        row(Kind.ITEM, 0, 10, lane=2),
        row(Kind.STAGE, 2, 10, lane=2),
        row(Kind.DIED, 12, lane=2),
        row(Kind.WAIT_TASK, 10, 14, lane=2),
    )
    (found,) = lane_times(rows, start_ns=0, end_ns=20)
    assert (found.lane, found.work_ns, found.wait_ns, found.gap_ns) == (2, 10, 4, 6)


# --- laws -------------------------------------------------------------------------------------------------------------


@given(runs(), st.integers(0, 10**15))
def test_numbers_do_not_change_under_a_time_shift(rows: Rows, shift: int) -> None:
    start, end = bounds(rows)
    later = rows.copy()
    later["start"] += shift
    later["end"] += shift
    found = measure(rows, start_ns=start, end_ns=end)
    shifted = measure(later, start_ns=start + shift, end_ns=end + shift)
    assert replace(shifted, start_ns=start, end_ns=end) == found


@given(runs())
def test_numbers_do_not_depend_on_the_order_of_rows(rows: Rows) -> None:
    start, end = bounds(rows)
    rows = rows[np.unique(rows["end"], return_index=True)[1]]  # which of two that end together is newer, nobody knows
    assert measure(rows[::-1], start_ns=start, end_ns=end) == measure(rows, start_ns=start, end_ns=end)


@given(runs(), st.data())
def test_clipped_time_and_counts_of_adjacent_windows_add_up(rows: Rows, drawn: st.DataObject) -> None:
    start, end = bounds(rows)
    middle = drawn.draw(st.integers(start, end))
    for total in (overlap_ns, union_ns):
        parts = [total(rows, start_ns=a, end_ns=b) for a, b in ((start, middle), (middle, end))]
        assert sum(parts) == total(rows, start_ns=start, end_ns=end)
    first, second, whole = (
        measure(rows, start_ns=a, end_ns=b) for a, b in ((start, middle), (middle, end), (start - 1, end))
    )
    at_start = int((of_kinds(rows, Kind.STEP)["end"] == start).sum())
    assert first.batches + second.batches + at_start == whole.batches


@given(runs(), st.data())
def test_per_lane_work_and_wait_and_gap_are_the_window(rows: Rows, drawn: st.DataObject) -> None:
    start, end = bounds(rows)
    a, b = sorted(drawn.draw(st.tuples(*[st.integers(start - 100, end + 100)] * 2)))
    for found in lane_times(rows, start_ns=a, end_ns=b):
        assert min(found.work_ns, found.wait_ns, found.gap_ns) >= 0
        assert found.work_ns + found.wait_ns + found.gap_ns == b - a
        kinds = (Kind.WAIT_TASK, Kind.WAIT_BATCH, Kind.PAUSE)
        waits = of_kinds(rows[rows["lane"] == found.lane], *kinds)
        assert found.wait_ns == overlap_ns(waits, start_ns=a, end_ns=b)  # spans of a lane of `runs` never overlap


@given(runs())
def test_wait_share_lies_between_0_and_1(rows: Rows) -> None:
    start, end = bounds(rows)
    found = measure(rows, start_ns=start, end_ns=end).wait_share
    assert found is None or 0 <= found <= 1


@given(runs())
def test_kinds_that_are_not_measured_change_nothing(rows: Rows) -> None:
    start, end = bounds(rows)
    chosen = of_kinds(rows, *MEASURED_KINDS)
    assert len(chosen) < len(rows) or not len(rows)
    assert measure(chosen, start_ns=start, end_ns=end) == measure(rows, start_ns=start, end_ns=end)


@given(st.lists(st.integers(0, 10**12), min_size=1))
def test_each_quantile_is_a_wait_that_happened_and_they_are_in_order(waits: list[int]) -> None:
    found = quantiles(np.array(waits))
    assert set(found) <= set(waits)
    assert list(found) == sorted(found)  # type: ignore[type-var]


@given(st.lists(st.integers(1, 2**62), min_size=1, max_size=300))
def test_tally_is_within_three_per_mille_of_the_exact_quantiles(waits: list[int]) -> None:
    tally = WaitTally()
    tally.add(np.array(waits))
    for found, exact in zip(tally.quantiles(), quantiles(np.array(waits)), strict=True):
        assert found is not None
        assert exact is not None
        assert abs(found - exact) <= 0.003 * exact + 1


@given(runs(), st.data())
def test_totals_of_a_run_taken_in_portions_are_those_of_the_whole(rows: Rows, drawn: st.DataObject) -> None:
    totals = Totals()
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(rows)), max_size=5)))
    for portion in np.split(rows, cuts):
        totals.add(portion)
    _, end = bounds(rows)
    found = totals.metrics(one_bucket(rows), end_ns=end)
    exact = measure(rows, start_ns=-1, end_ns=end)
    tallied = {"wait_p50_ns", "wait_p95_ns", "wait_p99_ns"}
    rates = {"batches_per_s", "samples_per_s", "bytes_per_s"}  # of a window that is 1 ns longer
    for field in fields(Metrics):
        if field.name == "start_ns":
            continue
        a, b = getattr(found, field.name), getattr(exact, field.name)
        if field.name in tallied | rates and a is not None and b is not None:
            assert a == pytest.approx(b, rel=0.003, abs=2) or (field.name in rates and end < 1_000)
        elif field.name not in rates:
            assert a == b, field.name


def test_empty_totals_measured_nothing() -> None:
    found = Totals().metrics(np.empty(0, BUCKET_DTYPE), end_ns=0)
    assert (found.batches, found.samples, found.batches_per_s, found.wait_share) == (0, 0, None, None)
    assert (found.wait_p50_ns, found.in_flight, found.ready) == (None, None, None)


def test_totals_of_a_roll_up_without_samples_have_none() -> None:
    buckets = np.array([(0, 5, 0, 0, 10, 10, 0)], BUCKET_DTYPE)
    found = Totals().metrics(buckets, end_ns=10**9)
    assert (found.batches, found.samples, found.bytes_per_s) == (5, None, None)


# --- queues -----------------------------------------------------------------------------------------------------------


def test_ready_counts_sends_and_deliveries_and_is_corrected_by_what_was_ready_when_asked() -> None:
    rows = rows_of(
        row(Kind.SEND, 0, 10, lane=2),
        row(Kind.SEND, 0, 20, lane=3),
        row(Kind.WAIT_BATCH, 30, 31, batch=0, value=2),
        row(Kind.WAIT_BATCH, 40, 60, batch=1, value=0),  # one was lost on the way: the count of 1 was wrong
        row(Kind.SEND, 40, 55, lane=2),
        row(Kind.SEND, 60, 70, lane=2),
    )
    ready, _ = QueueCount().add(rows)
    assert ready.times.tolist() == [10, 20, 31, 55, 60, 70]
    assert ready.values.tolist() == [1, 2, 1, 2, 0, 1]


def test_a_send_noted_after_its_batch_arrived_is_not_counted_as_ready() -> None:
    rows = rows_of(row(Kind.WAIT_BATCH, 0, 50, batch=0, value=0), row(Kind.SEND, 40, 51, lane=2))
    ready, _ = QueueCount().add(rows)
    assert ready.values.tolist() == [0, 0]


def test_nothing_is_ready_at_the_end_of_an_epoch_whatever_was_counted() -> None:
    rows = rows_of(
        row(Kind.SEND, 0, 10, lane=2),
        row(Kind.SEND, 0, 20, lane=2),
        row(Kind.SEND, 0, 25, lane=2),
        row(Kind.WAIT_BATCH, 30, 31, batch=0, value=3),
        row(Kind.WAIT_BATCH, 40, 41),
    )
    ready, _ = QueueCount().add(rows)
    assert ready.values.tolist() == [1, 2, 3, 2, 0]


def test_without_workers_there_is_no_queue() -> None:
    count = QueueCount()
    ready, in_flight = count.add(rows_of(row(Kind.WAIT_BATCH, 0, 50), row(Kind.STEP, 50, 60)))
    assert (len(ready.times), len(in_flight.times), count.ready, count.in_flight) == (0, 0, None, None)
    assert ready.last is None


@pytest.mark.parametrize("refilled_ns", [29, 41], ids=["within the wait", "when asked again"])
def test_in_flight_does_not_depend_on_when_the_loader_dispatches_the_next(refilled_ns: int) -> None:
    rows = rows_of(
        row(Kind.DISPATCH, 1, lane=MAIN, batch=0, value=1),
        row(Kind.DISPATCH, 2, lane=MAIN, batch=1, value=2),
        row(Kind.WAIT_BATCH, 0, 30, batch=0, value=0),
        row(Kind.DISPATCH, refilled_ns, lane=MAIN, batch=2, value=2),
        row(Kind.WAIT_BATCH, 40, 50, batch=1, value=0),
        row(Kind.WAIT_BATCH, 60, 70, batch=2, value=0),
    )
    _, in_flight = QueueCount().add(rows)
    found = dict(zip(in_flight.times.tolist(), in_flight.values.tolist(), strict=True))
    after_first = 2 if refilled_ns < 30 else 1
    assert found == {1: 1, 2: 2, 30: after_first, refilled_ns: 2, 50: 1, 70: 0}


def test_in_flight_is_counted_by_epoch_and_ends_with_it() -> None:
    rows = rows_of(
        row(Kind.DISPATCH, 1, lane=MAIN, batch=0, value=1),
        row(Kind.DISPATCH, 2, lane=MAIN, batch=1, value=2),
        row(Kind.WAIT_BATCH, 3, 4, batch=0, value=0),
        row(Kind.WAIT_BATCH, 5, 6),  # the other will never come: its worker ran out of samples
        row(Kind.DISPATCH, 11, lane=MAIN, batch=0, value=1, epoch=1),
        row(Kind.DISPATCH, 12, lane=MAIN, batch=1, value=2, epoch=1),
        row(Kind.WAIT_BATCH, 13, 14, batch=1, value=0, epoch=1),  # in_order=False
    )
    _, in_flight = QueueCount().add(rows)
    assert in_flight.times.tolist() == [1, 2, 4, 6, 11, 12, 14]
    assert in_flight.values.tolist() == [1, 2, 1, 0, 1, 2, 1]


def test_in_flight_of_a_recording_whose_beginning_is_lost() -> None:
    rows = rows_of(
        row(Kind.WAIT_BATCH, 30, 40, batch=99, value=0),
        row(Kind.DISPATCH, 41, lane=MAIN, batch=104, value=5),
        row(Kind.WAIT_BATCH, 50, 60, batch=100, value=0),
    )
    _, in_flight = QueueCount().add(rows)
    assert in_flight.values[-1] == 4


@given(runs(), st.data())
def test_queue_steps_are_the_same_however_the_rows_are_cut(rows: Rows, drawn: st.DataObject) -> None:
    instants = drawn.draw(st.lists(st.integers(*bounds(rows)), max_size=5))
    cuts = sorted(np.searchsorted(rows["end"], instants, "right"))  # what ends together arrives together
    in_portions, at_once = QueueCount(), QueueCount()
    portions = [in_portions.add(portion) for portion in np.split(rows, cuts)]
    whole = at_once.add(rows)
    assert (in_portions.ready, in_portions.in_flight) == (at_once.ready, at_once.in_flight)
    for index in range(2):
        steps = {t: v for portion in portions for t, v in zip(*portion[index], strict=True)}
        assert steps == dict(zip(*whole[index], strict=True))


@given(runs())
def test_all_delivered_means_nothing_ready_and_nothing_in_flight(rows: Rows) -> None:
    count = QueueCount()
    count.add(rows)
    if len(of_kinds(rows, Kind.WAIT_BATCH)):
        assert (count.ready, count.in_flight) == (0, 0)


def test_lanes_of_the_rows_made_for_tests_are_apart() -> None:
    assert len({MAIN, CONSUMER, FIRST_WORKER}) == 3


# --- waits that go on -------------------------------------------------------------------------------------------------


@given(runs(), st.integers(0, 1_000))
def test_a_wait_counts_for_as_long_as_it_goes_on(rows: Rows, permille: int) -> None:
    first, last = bounds(rows)
    now_ns = first + (last - first) * permille // 1_000
    loop = of_kinds(rows, Kind.WAIT_BATCH, Kind.STEP, Kind.PAUSE)
    ended = loop[loop["end"] <= now_ns]
    waits = OpenWaits()
    for portion in np.array_split(ended, 3):
        waits.add(portion)
    open_wait_ns = waits.ns(start_ns=first, end_ns=now_ns)
    for going_on in loop[(loop["start"] < now_ns) & (loop["end"] > now_ns)]:
        if going_on["kind"] == Kind.STEP:
            assert open_wait_ns == 0
        elif going_on["kind"] == Kind.WAIT_BATCH and ended["end"].max(initial=-1) == going_on["start"]:
            newest = ended[np.lexsort((ended["start"], ended["end"]))[-1]]
            assert open_wait_ns == (now_ns - going_on["start"] if newest["kind"] == Kind.STEP else 0)
    found = measure(ended, start_ns=first, end_ns=now_ns, open_wait_ns=open_wait_ns)
    waited, stepped = (
        overlap_ns(of_kinds(ended, kind), start_ns=first, end_ns=now_ns) for kind in (Kind.WAIT_BATCH, Kind.STEP)
    )
    waited += open_wait_ns
    assert found.wait_share == (waited / (waited + stepped) if waited + stepped else None)


def test_a_loop_that_was_left_waits_no_more() -> None:
    waits = OpenWaits()
    waits.add(rows_of(row(Kind.STEP, 0, 10, batch=0)))
    assert waits.ns(start_ns=0, end_ns=30) == 20
    assert waits.ns(start_ns=25, end_ns=30) == 5
    waits.add(rows_of(row(Kind.WAIT_BATCH, 10)))
    assert waits.ns(start_ns=0, end_ns=30) == 0
