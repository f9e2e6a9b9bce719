"""Slowest samples, stages and lines of code."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.diagnose.places import MAX_PLACES, place_shares, wilson
from loader_core.diagnose.samples import MAX_SAMPLES, sample_times, stage_shares
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, Kind
from loader_core.trace.names import name_number
from tests.diagnose.rows import CONSUMER, FIRST_WORKER, row, rows_of
from tests.diagnose.simulated import MS, excerpt_of

READ, DECODE = name_number("read"), name_number("decode")


def item(sample: int, start: int, length: int, **more: int) -> tuple[object, ...]:
    return row(Kind.ITEM, start, start + length, lane=FIRST_WORKER, sample=sample, **more)


def test_the_slowest_samples_are_those_that_are_slow_each_time() -> None:
    rows = rows_of(
        *(item(7, at, 90, batch=at // 1_000, value=50) for at in (0, 1_000, 2_000)),
        *(item(1, at + 100, length, batch=at // 1_000) for at, length in ((0, 10), (1_000, 500), (2_000, 10))),
        row(Kind.STAGE, 1_100, 1_150, lane=FIRST_WORKER, sample=1, value=READ),
        row(Kind.STAGE, 1_150, 1_600, lane=FIRST_WORKER, sample=1, value=DECODE),
    )
    times = sample_times(excerpt_of(rows))
    assert times is not None
    assert (times.measured, times.distinct, times.worst_ns) == (6, 2, 500)
    often, once = times.slowest
    assert (often.sample, often.count, often.median_ns, often.worst_ns, often.nbytes) == (7, 3, 90, 90, 50)
    assert (once.sample, once.median_ns, once.worst_ns, once.worst_start_ns) == (1, 10, 500, 1_100)
    assert (once.batch, once.worker, once.lane, once.nbytes) == (1, 0, FIRST_WORKER, None)
    assert [(stage.name, stage.ns) for stage in once.stages] == [("decode", 450), ("read", 50)]


@given(st.lists(st.tuples(st.integers(-1, 9), st.integers(0, 1_000)), min_size=1, max_size=80))
def test_each_reading_is_counted_once(read: list[tuple[int, int]]) -> None:
    starts = itertools.accumulate((length for _, length in read), initial=0)
    rows = rows_of(*(item(sample, at, length, batch=0) for at, (sample, length) in zip(starts, read, strict=False)))
    times = sample_times(excerpt_of(rows))
    assert times is not None
    known = [(sample, length) for sample, length in read if sample != NOT_MEASURED]
    assert times.measured == len(read)
    assert times.distinct == (len({sample for sample, _ in known}) or None)
    assert sum(slow.count for slow in times.slowest) == len(known)
    medians = [slow.median_ns for slow in times.slowest]
    assert medians == sorted(medians, reverse=True)
    for slow in times.slowest:
        lengths = sorted(length for sample, length in known if sample == slow.sample)
        assert (slow.median_ns, slow.worst_ns) == (lengths[(len(lengths) - 1) // 2], lengths[-1])
    assert times.p50_ns <= times.p95_ns <= times.p99_ns <= times.worst_ns


def test_only_so_many_samples_are_listed() -> None:
    rows = rows_of(*(item(i, i * 1_000, i + 1, batch=0) for i in range(MAX_SAMPLES + 30)))
    times = sample_times(excerpt_of(rows))
    assert times is not None
    assert (times.distinct, len(times.slowest)) == (MAX_SAMPLES + 30, MAX_SAMPLES)
    assert times.slowest[0].sample == MAX_SAMPLES + 29


def test_samples_without_index_have_times_and_no_list() -> None:
    times = sample_times(excerpt_of(rows_of(item(NOT_MEASURED, 0, 5), item(NOT_MEASURED, 5, 9))))
    assert times is not None
    assert (times.measured, times.distinct, times.slowest) == (2, None, [])
    assert sample_times(excerpt_of(rows_of(row(Kind.FETCH, 0, 1, lane=FIRST_WORKER)))) is None


def test_a_sample_of_no_batch_says_so() -> None:
    times = sample_times(excerpt_of(rows_of(item(3, 0, 5, batch=NO_BATCH))))
    assert times is not None
    assert times.slowest[0].batch is None


def test_skew_is_the_share_of_the_slowest_hundredth() -> None:
    even = sample_times(excerpt_of(rows_of(*(item(i, i * 100, 10) for i in range(200)))))
    skewed = sample_times(excerpt_of(rows_of(*(item(i, i * 10_000, 9_800 if i < 2 else 1) for i in range(200)))))
    assert even is not None
    assert skewed is not None
    assert even.slowest_hundredth == pytest.approx(0.01)
    assert skewed.slowest_hundredth > 0.98


# --- stages -----------------------------------------------------------------------------------------------------------


def test_shares_of_stages_are_of_fetch_and_count_no_time_twice() -> None:
    rows = rows_of(
        row(Kind.FETCH, 0, 100 * MS, lane=FIRST_WORKER, batch=0),
        row(Kind.STAGE, 0, 60 * MS, lane=FIRST_WORKER, value=READ, sample=1, batch=0),
        row(Kind.STAGE, 10 * MS, 50 * MS, lane=FIRST_WORKER, value=DECODE, sample=1, batch=0),
        row(Kind.STAGE, 0, 90 * MS, lane=CONSUMER, value=name_number("forward"), batch=0),
        row(Kind.STAGE, -50 * MS, -5 * MS, lane=FIRST_WORKER, value=name_number("start of the worker")),
    )
    decode, read = stage_shares(excerpt_of(rows))
    assert (decode.name, decode.self_ns, decode.total_ns, decode.share) == ("decode", 40 * MS, 40 * MS, 0.4)
    assert (read.name, read.self_ns, read.total_ns, read.share) == ("read", 20 * MS, 60 * MS, 0.2)


def test_shares_of_stages_are_of_the_fetches_whose_stages_were_read() -> None:
    rows = rows_of(
        row(Kind.FETCH, 0, 100 * MS, lane=FIRST_WORKER, batch=0),
        row(Kind.FETCH, 100 * MS, 200 * MS, lane=FIRST_WORKER, batch=1),
        row(Kind.STAGE, 100 * MS, 150 * MS, lane=FIRST_WORKER, value=READ, sample=1, batch=0),
    )
    (read,) = stage_shares(excerpt_of(rows, details_from_ns=100 * MS))
    assert read.share == 0.5


# --- places -----------------------------------------------------------------------------------------------------------

NAMES = {
    1: "dataset.py:41 __getitem__ | Image.open(path).convert('RGB')",
    2: "transforms.py:9 __call__ | return x | y",
}


def test_places_share_fetch_among_them() -> None:
    looks = [row(Kind.STACK, at, lane=FIRST_WORKER, value=1 if at % 100 < 61 else 2) for at in range(100)]
    rows = rows_of(
        row(Kind.FETCH, 0, 99, lane=FIRST_WORKER, batch=0),
        *looks,
        *(row(Kind.STACK, at, lane=FIRST_WORKER, value=1) for at in (150, 160)),
        row(Kind.STACK, 50, lane=FIRST_WORKER + 1, value=2),
    )
    places = place_shares(excerpt_of(rows, places=NAMES))
    assert places is not None
    assert (places.seen, places.outside) == (100, 3)
    first, second = places.places
    assert (first.place, first.function, first.source) == (
        "dataset.py:41",
        "__getitem__",
        "Image.open(path).convert('RGB')",
    )
    assert (first.share, first.seen) == (0.61, 61)
    assert (round(first.low, 3), round(first.high, 3)) == (0.512, 0.7)
    assert second.source == "return x | y"


def test_only_so_many_places_are_listed_and_one_without_name_is_empty() -> None:
    looks = [row(Kind.STACK, at, lane=FIRST_WORKER, value=at) for at in range(MAX_PLACES + 10)]
    rows = rows_of(row(Kind.FETCH, 0, 1_000, lane=FIRST_WORKER, batch=0), *looks)
    places = place_shares(excerpt_of(rows))
    assert places is not None
    assert len(places.places) == MAX_PLACES
    assert places.places[0].place == ""
    assert place_shares(excerpt_of(rows_of(row(Kind.FETCH, 0, 9, lane=FIRST_WORKER)))) is None


def test_looks_outside_of_fetch_alone_tell_of_no_place() -> None:
    places = place_shares(excerpt_of(rows_of(row(Kind.STACK, 5, lane=FIRST_WORKER, value=1))))
    assert places is not None
    assert (places.seen, places.outside, places.places) == (0, 1, [])


@given(st.integers(1, 5_000), st.data())
def test_wilson_s_interval_is_around_the_share_and_within_0_and_1(of: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, of))
    low, high = wilson(count, of)
    assert 0 <= low <= count / of <= high <= 1
    more_low, more_high = wilson(count * 100, of * 100)
    assert more_high - more_low < high - low


@pytest.mark.parametrize("share", [0.02, 0.3, 0.61, 0.95])
def test_wilson_s_interval_holds_the_truth_as_often_as_it_says(share: float) -> None:
    seen = np.random.default_rng(1).binomial(200, share, 4_000)
    held = np.mean([low <= share <= high for low, high in (wilson(int(count), 200) for count in seen)])
    assert 0.93 <= held <= 0.98
