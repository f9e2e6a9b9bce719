"""What is kept for clients at different places, and the frames that it becomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import wire
from app.frames import Coarse, coarsen, longest, rollup_frame, series_frame, spans_frame
from app.logs import KEPT_SPANS, KEPT_STEPS, MAX_BACKLOG, MAX_ENCODED, MAX_STEPS_PER_FRAME, RollupLog, SpanLog, StepLog
from app.wire import MAX_SPANS_PER_FRAME, Series
from loader_core.diagnose.queues import Steps
from loader_core.diagnose.rows import Rows
from loader_core.trace import BUCKET_DTYPE, BUCKET_NS, ROW_DTYPE


def rows_of(count: int, first: int = 0) -> Rows:
    """Rows that know their place by `sample`."""
    rows = np.zeros(count, ROW_DTYPE)
    rows["sample"] = rows["start"] = np.arange(first, first + count)
    rows["end"] = rows["start"] + 1
    return rows


def filled(count: int) -> SpanLog:
    log = SpanLog()
    log.append(rows_of(count), end=count)
    return log


def drained(log: Any, position: int, **options: Any) -> tuple[list[float], list[int], int]:
    """First column, drops of each frame, and the position at the end of what a client gets that has all credit."""
    values, drops = [], []
    while (found := log.frame_after(position, **options)) is not None:
        assert found.position > position
        header, rows = wire.decode_frame(found.frame)
        assert header.cursor == found.position
        values += rows[rows.dtype.names[0]].tolist()
        drops.append(int(header.dropped))
        position = found.position
    return values, drops, position


# --- spans ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3 * MAX_SPANS_PER_FRAME), max_size=4), st.data())
def test_a_client_gets_every_span_once_or_is_told_that_it_did_not(sizes: list[int], drawn: st.DataObject) -> None:
    log, end, position, received, dropped = SpanLog(), 0, 0, [], 0
    for size in sizes:
        log.append(rows_of(size, end), end=end + size)
        end += size
        if drawn.draw(st.booleans()):
            got, drops, position = drained(log, position)
            received += got
            dropped += sum(drops)
    got, drops, position = drained(log, position)
    received += got
    assert position == end == len(received) + dropped + sum(drops)
    assert received == sorted(set(received))
    assert received[-1:] == ([end - 1] if end else [])


def test_who_is_far_behind_skips_to_the_newest_unless_it_is_to_have_all_that_is_kept() -> None:
    log = filled(MAX_BACKLOG + 5)
    received, drops, _ = drained(log, 0)
    assert (len(received), drops[0]) == (MAX_BACKLOG, 5)
    received, drops, _ = drained(log, 0, all_kept=True)
    assert (len(received), drops[0]) == (MAX_BACKLOG + 5, 0)


def test_no_more_than_the_newest_are_kept() -> None:
    log = filled(10)
    log.append(rows_of(KEPT_SPANS + 3, 10), end=KEPT_SPANS + 13)
    received, drops, _ = drained(log, 4, all_kept=True)
    assert (received[0], len(received), drops[0]) == (13, KEPT_SPANS, 9)


def test_rows_that_the_trace_itself_no_longer_had_are_counted() -> None:
    log = filled(10)
    log.append(rows_of(5, 100), end=105)
    received, drops, _ = drained(log, 8, all_kept=True)
    assert (received, drops) == ([100, 101, 102, 103, 104], [92])


def test_a_position_beyond_the_end_lacks_nothing() -> None:
    assert filled(10).frame_after(10) is None
    assert filled(10).frame_after(11) is None


def test_clients_at_the_same_place_share_one_frame() -> None:
    log = filled(100)
    first = log.frame_after(40)
    assert first is not None
    assert log.frame_after(40) is first
    log.append(rows_of(1, 100), end=101)
    assert log.frame_after(40) is not first


def test_few_frames_are_kept_for_others() -> None:
    log = filled(1_000)
    for position in range(10 * MAX_ENCODED):
        log.frame_after(position)
    assert len(log._frames) <= MAX_ENCODED


@given(
    st.lists(st.tuples(st.integers(0, 2**45), st.integers(0, 2**40)), min_size=1, max_size=30),
    st.integers(0, 2**52),
)
def test_times_of_spans_are_as_exact_as_their_unit(spans: list[tuple[int, int]], shift: int) -> None:
    rows = np.zeros(len(spans), ROW_DTYPE)
    rows["start"] = [start + shift for start, _ in spans]
    rows["end"] = [start + duration + shift for start, duration in spans]
    header, columns = wire.decode_frame(spans_frame(rows))
    unit_ns = int(header.unit_ns)
    assert unit_ns == 1 or rows["end"].max() - rows["start"].min() > 2**32 - 1
    start = columns["start"].astype(np.int64) * unit_ns + int(header.base_ns)
    end = start + columns["duration"].astype(np.int64) * unit_ns
    assert ((rows["start"] - start >= 0) & (rows["start"] - start < unit_ns)).all()
    assert ((rows["end"] - end >= 0) & (rows["end"] - end < unit_ns)).all()


def test_spans_that_touch_still_touch_in_a_coarse_unit() -> None:
    rows = np.zeros(3, ROW_DTYPE)
    rows["start"] = [0, 10**10 + 1, 2 * 10**10 + 3]
    rows["end"] = [10**10 + 1, 2 * 10**10 + 3, 3 * 10**10]
    _, columns = wire.decode_frame(spans_frame(rows))
    assert (columns["start"] + columns["duration"])[:2].tolist() == columns["start"][1:].tolist()


def test_a_frame_of_nothing_can_be_read() -> None:
    for frame in (
        spans_frame(np.empty(0, ROW_DTYPE), dropped=3),
        series_frame(Series.LOSS, Steps(np.empty(0, np.int64), np.empty(0))),
        rollup_frame(coarsen(np.empty(0, BUCKET_DTYPE))),
    ):
        header, rows = wire.decode_frame(frame)
        assert (header.count, len(rows)) == (0, 0)


def test_the_longest_are_kept_in_their_order() -> None:
    rows = rows_of(5)
    rows["end"] = rows["start"] + [5, 1, 4, 2, 3]
    kept, left_out = longest(rows, 3)
    assert (kept["sample"].tolist(), left_out) == ([0, 2, 4], 2)
    assert longest(rows, 5)[1] == 0


# --- numbers over time ------------------------------------------------------------------------------------------------


def steps_of(times: list[int], values: list[float]) -> Steps:
    return Steps(np.array(times, np.int64), np.array(values, np.float64))


@given(st.lists(st.lists(st.integers(0, 10**12), max_size=20), max_size=5))
def test_steps_arrive_once_and_never_go_back_in_time(portions: list[list[int]]) -> None:
    log, position, times, values = StepLog(Series.READY), 0, [], []
    for portion in portions:
        log.append(steps_of(sorted(portion), [float(value % 7) for value in sorted(portion)]))
        while (found := log.frame_after(position)) is not None:
            header, rows = wire.decode_frame(found.frame)
            assert header.series == Series.READY
            times += (rows["time"] * header.unit_ns + header.base_ns).tolist()
            values += rows["value"].tolist()
            position = found.position
    expected = [float(value % 7) for portion in portions for value in sorted(portion)]
    assert values == expected
    assert times == sorted(times)


def test_of_many_steps_the_newest_are_kept_and_come_in_pieces() -> None:
    log = StepLog(Series.LOSS)
    count = KEPT_STEPS + 10
    log.append(Steps(np.arange(count, dtype=np.int64), np.arange(count, dtype=np.float64)))
    received, drops, position = drained(log, 0)
    assert (received[0], received[-1], position) == (10, count - 1, count)
    assert drops[0] == 10
    assert len(drops) == KEPT_STEPS // MAX_STEPS_PER_FRAME
    assert log.frame_after(count) is None


# --- the roll-up ------------------------------------------------------------------------------------------------------


def buckets_of(batches: list[int]) -> Rows:
    buckets = np.zeros(len(batches), BUCKET_DTYPE)
    buckets["bucket"] = np.arange(len(batches))
    buckets["batches"] = batches
    return buckets


def test_only_buckets_that_changed_are_sent_again() -> None:
    log = RollupLog()
    log.update(coarsen(buckets_of([1, 2, 3])))
    assert drained(log, 0)[0] == [0, 1, 2]
    log.update(coarsen(buckets_of([1, 2, 3])))
    assert log.frame_after(1) is None
    log.update(coarsen(buckets_of([1, 5, 3, 4])))
    assert drained(log, 1)[0] == [1, 3]
    assert drained(log, 0)[0] == [0, 1, 2, 3]


@given(st.lists(st.lists(st.integers(0, 5), max_size=12), max_size=6), st.data())
def test_a_client_that_misses_updates_ends_with_the_same_roll_up(runs: list[list[int]], drawn: st.DataObject) -> None:
    log, position, held, now = RollupLog(), 0, {}, []
    for change in runs:
        now = [a + b for a, b in zip(now, change, strict=False)] + (now[len(change) :] or change[len(now) :])
        log.update(coarsen(buckets_of(now)))
        if drawn.draw(st.booleans()):
            position = take(log, position, held)
    take(log, position, held)
    assert held == dict(enumerate(now))


def take(log: RollupLog, position: int, held: dict[int, float]) -> int:
    while (found := log.frame_after(position)) is not None:
        _, rows = wire.decode_frame(found.frame)
        held |= dict(zip(rows["bucket"].tolist(), rows["batches"].tolist(), strict=True))
        position = found.position
    return position


def test_what_a_whole_run_did_not_measure_is_nan_and_stays_unchanged() -> None:
    log = RollupLog()
    log.update(coarsen(buckets_of([1, 2])))
    found = log.frame_after(0)
    assert found is not None
    _, rows = wire.decode_frame(found.frame)
    assert np.isnan(rows["samples"]).all()
    assert np.isnan(rows["bytes"]).all()
    assert rows["lost"].tolist() == [0, 0]
    log.update(coarsen(buckets_of([1, 2])))
    assert log.frame_after(found.position) is None


@pytest.mark.parametrize("count", [wire.MAX_BUCKETS, wire.MAX_BUCKETS + 1, 5 * wire.MAX_BUCKETS])
def test_a_long_run_has_wider_buckets_with_the_same_sums(count: int) -> None:
    coarse = coarsen(buckets_of([1] * count))
    factor = coarse.unit_ns // BUCKET_NS
    assert len(coarse.rows) == -(-count // factor) <= wire.MAX_BUCKETS
    assert factor & (factor - 1) == 0
    assert coarse.rows["batches"].sum() == count


def test_buckets_of_another_width_are_all_sent() -> None:
    log = RollupLog()
    log.update(coarsen(buckets_of([1] * 4)))
    half = Coarse(coarsen(buckets_of([1] * 4)).rows[:2], 2 * BUCKET_NS)
    log.update(half)
    found = log.frame_after(1)
    assert found is not None
    header, rows = wire.decode_frame(found.frame)
    assert (header.unit_ns, rows["bucket"].tolist()) == (2 * BUCKET_NS, [0, 1])
