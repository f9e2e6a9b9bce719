"""Stalls: which waits they are, whose fault they are, and that no time is lost or made up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.diagnose.excerpt import latest
from loader_core.diagnose.journeys import PHASES
from loader_core.diagnose.order import head_of_line_cost
from loader_core.diagnose.stalls import MAX_STALLS, STALL_NS, find_stalls, stall_threshold_ns
from loader_core.trace.event import Flag, Kind
from tests.diagnose.rows import FIRST_WORKER, MAIN, row, rows_of
from tests.diagnose.simulated import MS, STAGES, Loader, excerpt_of, loaders


def one_slow_batch() -> Loader:
    """Two workers, four batches in flight, of which the fifth takes 200 ms and all others 5 ms."""
    return Loader(2, [5 * MS] * 4 + [200 * MS] + [5 * MS] * 7)


def test_a_slow_batch_is_named_with_its_worker_and_its_sample_and_what_was_ready() -> None:
    loader = one_slow_batch()
    stalls = find_stalls(excerpt_of(loader.rows(), workers=2))
    worst = stalls.longest[0]
    assert (worst.batch, worst.epoch, worst.worker, worst.worker_lane) == (4, 0, 0, FIRST_WORKER)
    assert (worst.cause, worst.start_up) == ("fetch", False)
    assert worst.wait_ns == loader.got[4] - loader.asked[4]
    assert worst.item is not None
    assert (worst.item.sample, worst.item.duration_ns, worst.item.share) == (4, 200 * MS, 1)
    assert [span.kind for span in worst.spans] == [Kind.FETCH, Kind.COLLATE, Kind.SEND, Kind.RECEIVE]
    assert worst.dispatched_ns == loader.got[0]
    assert [later.batch for later in worst.ready_later] == [5, 7]
    assert [later.worker for later in worst.ready_later] == [1, 1]
    assert worst.hol_ns == loader.head_of_line(4) > 100 * MS


def test_the_sentence_of_a_stall_says_it_all_in_both_languages() -> None:
    sentence = find_stalls(excerpt_of(one_slow_batch().rows(), workers=2)).longest[0].sentence
    assert sentence.en == (
        "The loop waited 166 ms for batch 4 (epoch 0): for 163 ms of that worker 0 read its samples. "
        "Batches 5 and 7 were ready meanwhile."
    )
    assert sentence.es == (
        "El bucle esperó 166 ms al lote 4 (época 0): durante 163 ms el worker 0 leía sus muestras. "
        "Mientras tanto ya estaban listos los lotes 5 y 7."
    )


def test_one_slow_sample_among_others_is_named_in_the_sentence() -> None:
    rows = rows_of(
        row(Kind.WAIT_BATCH, 0, 100 * MS, batch=3, value=0),
        row(Kind.STEP, 100 * MS, 110 * MS, batch=3),
        row(Kind.FETCH, 0, 99 * MS, batch=3, lane=FIRST_WORKER),
        *(row(Kind.ITEM, i * MS, (i + 1) * MS, batch=3, lane=FIRST_WORKER, sample=i) for i in range(3)),
        row(Kind.ITEM, 3 * MS, 99 * MS, batch=3, lane=FIRST_WORKER, sample=4711),
        row(Kind.STAGE, 3 * MS, 5 * MS, batch=3, lane=FIRST_WORKER, sample=4711, value=_stage("read")),
        row(Kind.STAGE, 5 * MS, 99 * MS, batch=3, lane=FIRST_WORKER, sample=4711, value=_stage("decode")),
        row(Kind.STAGE, 5 * MS, 99 * MS, batch=9, lane=FIRST_WORKER + 1, sample=1, value=_stage("read")),
    )
    (stall,) = find_stalls(excerpt_of(rows)).longest
    assert stall.sentence.en.endswith("worker 0 read its samples, sample 4,711 alone 96 ms; stage “decode” took 94 ms.")
    assert stall.stage is not None
    assert (stall.stage.name, stall.stage.sample, stall.stage.total_ns) == ("decode", 4711, 94 * MS)


def _stage(name: str) -> int:
    return next(value for value, known in STAGES.items() if known == name)


def test_an_even_batch_blames_no_sample() -> None:
    rows = rows_of(
        row(Kind.WAIT_BATCH, 0, 40 * MS, batch=3, value=0),
        row(Kind.FETCH, 0, 40 * MS, batch=3, lane=FIRST_WORKER),
        *(row(Kind.ITEM, i * MS, (i + 1) * MS, batch=3, lane=FIRST_WORKER, sample=i) for i in range(2)),
    )
    (stall,) = find_stalls(excerpt_of(rows)).longest
    assert (
        stall.sentence.en == "The loop waited 40 ms for batch 3 (epoch 0): for 40 ms of that worker 0 read its samples."
    )


@given(loaders())
def test_phases_of_each_stall_add_up_to_its_wait(loader: Loader) -> None:
    excerpt = excerpt_of(loader.rows(), workers=loader.workers)
    stalls = find_stalls(excerpt)
    for stall in stalls.longest:
        assert sum(phase.ns for phase in stall.phases) == stall.wait_ns
        assert all(phase.ns > 0 for phase in stall.phases)
        assert stall.cause == stall.phases[0].name
        assert stall.wait_ns > (stalls.threshold_ns or 0)
    waits = [got - asked for got, asked in zip(loader.got, loader.asked, strict=True)]
    stalled = [wait for wait in waits if wait > (stalls.threshold_ns or 0)]
    assert (stalls.count, stalls.total_ns) == (len(stalled), sum(stalled))
    assert [stall.wait_ns for stall in stalls.longest] == sorted(stalled, reverse=True)


@given(loaders())
def test_head_of_line_is_what_its_definition_says(loader: Loader) -> None:
    excerpt = excerpt_of(loader.rows(), workers=loader.workers)
    expected = [loader.head_of_line(batch) for batch in range(len(loader.got))]
    cost = head_of_line_cost(excerpt)
    assert cost is not None
    assert (cost.hol_ns, cost.waits) == (sum(expected), sum(1 for hol in expected if hol))
    assert 0 <= cost.gain_ns <= cost.hol_ns
    for stall in find_stalls(excerpt).longest:
        assert stall.hol_ns == expected[stall.batch]
        assert (stall.hol_ns > 0) == bool(stall.ready_later)
        assert stall.hol_ns <= stall.wait_ns


@given(loaders(), st.integers(-(10**9), 10**15))
def test_a_shift_in_time_changes_no_cause(loader: Loader, shift: int) -> None:
    rows = loader.rows()
    shifted = rows.copy()
    shifted["start"] += shift
    shifted["end"] += shift
    before, after = (find_stalls(excerpt_of(one, workers=loader.workers)) for one in (rows, shifted))
    assert [(stall.batch, stall.phases, stall.hol_ns, stall.sentence) for stall in before.longest] == [
        (stall.batch, stall.phases, stall.hol_ns, stall.sentence) for stall in after.longest
    ]


def test_one_worker_can_hold_up_nothing_in_order() -> None:
    cost = head_of_line_cost(excerpt_of(Loader(1, [30 * MS] * 20).rows(), workers=1))
    assert cost is not None
    assert (cost.hol_ns, cost.gain_ns, cost.waits) == (0, 0, 0)


def test_a_slow_main_process_is_no_head_of_line_although_all_batches_are_ready() -> None:
    """The literal formula of the literature would blame the order for each of these waits."""
    loader = Loader(4, [MS] * 40, receive_ns=50 * MS)
    cost = head_of_line_cost(excerpt_of(loader.rows(), workers=4))
    assert cost is not None
    assert cost.hol_ns < 2 * MS * 4
    stalls = find_stalls(excerpt_of(loader.rows(), workers=4))
    assert {stall.cause for stall in stalls.longest} == {"receive"}


def test_delivery_out_of_order_has_no_head_of_line() -> None:
    """Batch 0 is slow; 1 and 2 come first and are handed over first."""
    rows = rows_of(
        *(
            row(Kind.SEND, at - 1, at, batch=batch, lane=FIRST_WORKER + batch)
            for batch, at in ((1, 10), (2, 30), (0, 900))
        ),
        *(
            row(Kind.WAIT_BATCH, asked, got, batch=batch, value=0)
            for batch, asked, got in ((1, 0, 12), (2, 20, 32), (0, 40, 902))
        ),
    )
    cost = head_of_line_cost(excerpt_of(rows))
    assert cost is not None
    assert cost.hol_ns == 0


def test_without_workers_that_tell_head_of_line_is_not_measured() -> None:
    rows = rows_of(row(Kind.WAIT_BATCH, 0, 50 * MS, batch=0), row(Kind.STEP, 50 * MS, 60 * MS, batch=0))
    excerpt = excerpt_of(rows)
    assert head_of_line_cost(excerpt) is None
    (stall,) = find_stalls(excerpt).longest
    assert (stall.hol_ns, stall.worker, stall.worker_lane, stall.dispatched_ns, stall.item, stall.stage) == (None,) * 6
    assert (stall.ready, stall.cause, stall.spans, stall.ready_later) == (None, "other", [], [])
    assert "was not recorded" in stall.sentence.en
    assert "no quedó registrado" in stall.sentence.es


def test_a_batch_that_a_worker_had_not_begun_is_the_queue_s_fault() -> None:
    """Too few workers: each batch is fast, but its worker has another one to make first."""
    stalls = find_stalls(excerpt_of(Loader(1, [30 * MS] * 12, step_ns=MS, prefetch=4).rows(), workers=1))
    middle = next(stall for stall in stalls.longest if stall.batch == 6)
    assert {phase.name for phase in middle.phases} <= {"queue", "fetch", "collate", "send", "receive"}
    assert middle.cause == "fetch"
    first = next(stall for stall in stalls.longest if stall.batch == 1)
    assert first.worker == 0


def test_what_was_not_dispatched_and_what_waited_for_its_worker_are_told_apart() -> None:
    rows = rows_of(
        row(Kind.WAIT_BATCH, 0, 100 * MS, batch=0, value=0),
        row(Kind.DISPATCH, 20 * MS, lane=MAIN, batch=0, value=1),
        row(Kind.FETCH, 50 * MS, 60 * MS, batch=0, lane=FIRST_WORKER),
        row(Kind.PIN, 70 * MS, 75 * MS, batch=0, lane=MAIN),
        row(Kind.COPY, 75 * MS, 90 * MS, batch=0, lane=MAIN, flags=int(Flag.INFERRED)),
    )
    (stall,) = find_stalls(excerpt_of(rows)).longest
    assert {phase.name: phase.ns // MS for phase in stall.phases} == {
        "draw": 20,
        "queue": 30,
        "fetch": 10,
        "pin": 15,
        "copy": 15,
        "other": 10,
    }
    assert [span.inferred for span in stall.spans] == [False, False, True]
    assert "worker 0 had not begun with it" in stall.sentence.en


def test_the_first_wait_of_each_epoch_is_start_up_and_no_other() -> None:
    first = Loader(2, [30 * MS] * 6)
    rows = first.rows()
    second = Loader(2, [30 * MS] * 6, epoch=1, begin_ns=int(rows["end"].max()) + MS)
    both = np.concatenate([rows, second.rows()])
    stalls = find_stalls(excerpt_of(both, workers=2)).longest
    assert sorted((stall.epoch, stall.batch) for stall in stalls if stall.start_up) == [(0, 0), (1, 0)]
    middle = excerpt_of(both[(both["batch"] != 0) | (both["epoch"] == 1)], workers=2)
    assert [(stall.epoch, stall.batch) for stall in find_stalls(middle).longest if stall.start_up] == [(1, 0)]


def test_a_stall_is_longer_than_a_twentieth_of_a_step_and_than_a_millisecond() -> None:
    def steps(ns: int) -> list[tuple[object, ...]]:
        return [row(Kind.STEP, i * ns, (i + 1) * ns, batch=i) for i in range(5)]

    assert stall_threshold_ns(excerpt_of(rows_of(*steps(100 * MS)))) == 5 * MS
    assert stall_threshold_ns(excerpt_of(rows_of(*steps(MS)))) == STALL_NS
    assert stall_threshold_ns(excerpt_of(rows_of(*steps(MS)[:0], row(Kind.START, 0)))) == STALL_NS
    rows = rows_of(
        *steps(100 * MS), row(Kind.WAIT_BATCH, 0, 5 * MS, batch=0), row(Kind.WAIT_BATCH, 0, 5 * MS + 1, batch=1)
    )
    assert [stall.batch for stall in find_stalls(excerpt_of(rows)).longest] == [1]


def test_only_so_many_are_listed_and_all_are_counted() -> None:
    count = MAX_STALLS + 50
    rows = rows_of(*(row(Kind.WAIT_BATCH, i * 1_000 * MS, (i * 1_000 + 2 + i) * MS, batch=i) for i in range(count)))
    stalls = find_stalls(excerpt_of(rows))
    assert (stalls.count, len(stalls.longest)) == (count, MAX_STALLS)
    assert stalls.longest[-1].wait_ns == (2 + 50) * MS


def test_nothing_waited_for_is_no_stall_and_has_no_threshold() -> None:
    stalls = find_stalls(excerpt_of(rows_of(row(Kind.WAIT_BATCH, 0, 500 * MS))))
    assert (stalls.threshold_ns, stalls.count, stalls.longest) == (None, 0, [])


def test_a_stall_counts_in_the_window_in_which_it_ends() -> None:
    rows = rows_of(row(Kind.WAIT_BATCH, 0, 50 * MS, batch=0))
    assert find_stalls(excerpt_of(rows, end_ns=50 * MS - 1)).count == 0
    assert find_stalls(excerpt_of(rows, end_ns=50 * MS)).count == 1
    assert find_stalls(excerpt_of(rows, start_ns=50 * MS, end_ns=60 * MS)).count == 0


def test_a_batch_made_again_after_a_death_is_told_by_its_last_making() -> None:
    rows = rows_of(
        row(Kind.FETCH, 0, 5 * MS, batch=0, lane=FIRST_WORKER),
        row(Kind.FETCH, 50 * MS, 90 * MS, batch=0, lane=FIRST_WORKER + 1),
        row(Kind.WAIT_BATCH, 0, 100 * MS, batch=0, value=0),
        row(Kind.FETCH, 200 * MS, 210 * MS, batch=0, lane=FIRST_WORKER + 2),  # of an epoch that is numbered alike
    )
    (stall,) = find_stalls(excerpt_of(rows)).longest
    assert stall.worker == 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=30),
    st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 10)), max_size=30),
)
def test_latest_finds_the_last_row_not_after(rows: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    keys, times = (np.array([row[i] for row in rows], np.int64) for i in (0, 1))
    wanted, until = (np.array([ask[i] for ask in asked], np.int64) for i in (0, 1))
    for (key, end), place in zip(asked, latest(keys, times, wanted, until), strict=True):
        candidates = [time for row_key, time in rows if row_key == key and time <= end]
        assert (place >= 0) == bool(candidates)
        if candidates:
            assert keys[place] == key
            assert times[place] == max(candidates)


@pytest.mark.parametrize("name", PHASES)
def test_each_phase_has_a_sentence(name: str) -> None:
    from loader_core.diagnose.stall_texts import _CAUSES

    assert name in _CAUSES
