"""Rules that prevent false verdicts, each by a loader for which a careless judge would be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.memory import Limits
from loader_core.diagnose.rows import Rows
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.verdict import judge
from loader_core.diagnose.verdict_types import Code, Verdict, verdict_json
from loader_core.trace.event import NOT_MEASURED, Kind, Role
from loader_core.trace.trace import TraceLane
from tests.diagnose.rows import CONSUMER, FIRST_WORKER, MAIN, row, rows_of
from tests.diagnose.simulated import MS, Loader, excerpt_of

NO_FACTS = Facts.of([])
WORKER_CODES = {
    Code.WORKER_CPU_BOUND,
    Code.TOO_FEW_WORKERS,
    Code.TOO_MANY_WORKERS,
    Code.STORAGE_BOUND,
    Code.COLLATE_BOUND,
    Code.SKEWED_SAMPLES,
    Code.HEAD_OF_LINE,
}


def verdict_on(rows: Rows, workers: int, *, lanes: list[TraceLane] | None = None) -> Verdict:
    excerpt = excerpt_of(rows, workers=max(1, workers))
    if lanes is not None:
        excerpt = replace(excerpt, lanes=[*excerpt.lanes, *lanes])
    return judge(excerpt, NO_FACTS, Limits(), setting=Setting(workers, batch_size=8, cores=2.0))


def codes(verdict: Verdict) -> set[Code]:
    return {finding.code for finding in verdict.findings}


def starved(batches: int = 60) -> Loader:
    return Loader(2, [40 * MS] * batches, step_ns=10 * MS)


def fed(batches: int = 60) -> Loader:
    return Loader(2, [5 * MS] * batches, step_ns=20 * MS, receive_ns=0)


def test_the_loop_that_waits_is_never_the_cause() -> None:
    top = verdict_on(starved().rows(), 2).top()
    assert top.code in WORKER_CODES
    assert "FETCH" in {kind for evidence in top.evidence for kind in evidence.kinds}


def test_depths_of_queues_decide_nothing() -> None:
    rows = starved().rows()
    deep = rows.copy()
    deep["value"][np.isin(deep["kind"], (Kind.WAIT_BATCH, Kind.DISPATCH))] = 57
    found = [replace(verdict_on(one, 2), findings=()) for one in (rows, deep)]
    assert found[0] == found[1]
    assert codes(verdict_on(rows, 2)) == codes(verdict_on(deep, 2))


DEVICE = TraceLane(9, Role.DEVICE, -1, 0, "device", [100])


def test_time_on_the_devices_clock_is_not_added_to_that_of_the_loop() -> None:
    rows = fed().rows()
    steps = rows[rows["kind"] == Kind.STEP]
    copies = rows_of(
        *(row(Kind.COPY, int(one["start"]), int(one["end"]), lane=9, batch=int(one["batch"]), value=1) for one in steps)
    )
    plain = verdict_on(rows, 2)
    copied = verdict_on(np.concatenate([rows, copies]), 2, lanes=[DEVICE])
    assert (plain.wait_share, plain.wait_ns, plain.top().code) == (copied.wait_share, copied.wait_ns, Code.LOADER_OK)
    assert codes(copied) == {Code.LOADER_OK}


def test_what_was_not_measured_is_not_zero() -> None:
    rows = starved().rows()
    rows["value"][rows["kind"] == Kind.FETCH] = NOT_MEASURED
    verdict = verdict_on(rows, 2)
    assert Code.STORAGE_BOUND not in codes(verdict)  # no CPU time known is not no CPU time
    assert not any("CPU" in evidence.name.en for evidence in verdict.top().evidence)
    empty = judge(Excerpt(rows[:0], 0, 0, []), NO_FACTS, Limits())
    assert (empty.wait_share, empty.samples_per_s, empty.top().code) == (None, None, Code.UNDETERMINED)


def test_of_an_unknown_setting_nothing_is_predicted_and_nothing_is_said_of_cores() -> None:
    verdict = judge(excerpt_of(starved().rows(), workers=2), NO_FACTS, Limits())
    for finding in verdict.findings:
        assert finding.predicted is None
        assert finding.setting is None
        assert "cores" not in finding.sentence.en
    assert verdict.top().code in WORKER_CODES


def test_less_than_a_twentieth_of_waiting_ends_the_enquiry() -> None:
    """One slow batch holds others up, and still the loader is fine."""
    service = [2 * MS] * 80
    service[50] = 230 * MS
    verdict = verdict_on(Loader(2, service, step_ns=40 * MS, receive_ns=0).rows(), 2)
    assert 0 < (verdict.wait_share or 0) < 0.05
    assert codes(verdict) == {Code.LOADER_OK}
    assert "Look at the step" in verdict.top().advice.en


def test_a_cold_cache_is_named_as_what_would_refute_slow_storage() -> None:
    rows = Loader(8, [200 * MS] * 80, step_ns=5 * MS).rows()
    rows["value"][rows["kind"] == Kind.FETCH] = 10 * MS
    top = verdict_on(rows, 8).top()
    assert top.code is Code.STORAGE_BOUND
    assert "second epoch" in top.refuted_by.en


def late(kind: Kind, lane: int, *, took: Sequence[int] = (20 * MS,) * 80) -> Rows:
    """Workers make batches in no time, and something of this kind takes so long of each before the loop has it."""
    found, clock = [], 0
    for batch, took_ns in enumerate(took):
        of = {"batch": batch}
        begin, asked = max(0, clock - 60 * MS), clock
        worker = FIRST_WORKER + batch % 2
        found += [
            row(Kind.DISPATCH, begin, lane=MAIN, value=4, **of),
            row(Kind.FETCH, begin, begin + MS, lane=worker, value=MS, **of),
            row(Kind.COLLATE, begin + MS, begin + 2 * MS, lane=worker, value=1, **of),
            row(Kind.SEND, begin + 2 * MS, begin + 3 * MS, lane=worker, value=1_000, **of),
            row(Kind.WAIT_TASK, begin + 3 * MS, begin + 30 * MS, lane=worker, **of),
        ]
        got = asked + took_ns
        if kind is Kind.RECEIVE:
            found.append(row(kind, asked, got, lane=MAIN, value=1_000, **of))
        else:
            found.append(row(Kind.RECEIVE, begin + 3 * MS, begin + 4 * MS, lane=MAIN, value=1_000, **of))
            own = of if kind is not Kind.DRAW else {"batch": batch + 4}
            found.append(row(kind, asked, got, lane=lane, value=1_000, **own))
        found += [
            row(Kind.WAIT_BATCH, asked, got, value=3, **of),
            row(Kind.STEP, got, got + 10 * MS, value=8, **of),
        ]
        clock = got + 10 * MS
    return rows_of(*found)


PIN = TraceLane(8, Role.PIN, -1, 0, "pin thread", [100])


@pytest.mark.parametrize(
    ("kind", "lane", "code"),
    [
        (Kind.RECEIVE, MAIN, Code.TRANSPORT_BOUND),
        (Kind.DRAW, MAIN, Code.MAIN_THREAD_BOUND),
        (Kind.PIN, 8, Code.PIN_BOUND),
        (Kind.COPY, 9, Code.H2D_BOUND),
    ],
    ids=["receive", "draw", "pin", "copy"],
)
def test_a_full_queue_and_a_long_wait_do_not_point_at_workers(kind: Kind, lane: int, code: Code) -> None:
    verdict = verdict_on(late(kind, lane), 2, lanes=[PIN, DEVICE])
    assert verdict.top().code is code, verdict.top().sentence.en
    assert verdict.top().share == pytest.approx(1, abs=0.1)
    assert not codes(verdict) & WORKER_CODES


def test_a_thread_that_holds_the_lock_is_told_from_a_slow_way() -> None:
    rows = late(Kind.RECEIVE, MAIN)
    steps = rows[rows["kind"] == Kind.STEP]
    busy = rows_of(*(row(Kind.CPU, int(one["end"]), batch=int(one["batch"]), value=9 * MS) for one in steps))
    assert verdict_on(np.concatenate([rows, busy]), 2).top().code is Code.GIL_BOUND


def test_where_all_workers_are_busy_the_order_is_not_to_blame() -> None:
    """Batches of uneven length, all workers busy throughout: in_order=False would only move the waits."""
    random = np.random.default_rng(0)
    rows = Loader(3, random.integers(20 * MS, 90 * MS, 90).tolist(), step_ns=MS, prefetch=4).rows()
    rows["value"][rows["kind"] == Kind.FETCH] = (rows["end"] - rows["start"])[rows["kind"] == Kind.FETCH]
    verdict = verdict_on(rows, 3)
    assert Code.HEAD_OF_LINE not in codes(verdict)
    assert verdict.top().code is Code.WORKER_CPU_BOUND


def test_where_workers_idle_behind_a_slow_batch_the_order_is_to_blame() -> None:
    service = [2 * MS] * 120
    service[10::20] = [150 * MS] * 6
    verdict = verdict_on(Loader(4, service, step_ns=4 * MS).rows(), 4)
    top = verdict.top()
    assert top.code is Code.HEAD_OF_LINE
    assert [(change.argument, change.value) for change in top.changes] == [("in_order", False)]
    assert top.setting is not None
    assert not top.setting.in_order


def test_workers_in_lock_step_are_too_few_and_no_batch_is_slow() -> None:
    """Every second wait is long: the rhythm of two workers (pytorch#19836), and nothing about any one batch."""
    rows = starved(80).rows()
    rows["value"][rows["kind"] == Kind.FETCH] = 2 * MS
    verdict = verdict_on(rows, 2)
    assert verdict.top().code is Code.TOO_FEW_WORKERS
    assert not codes(verdict) & {Code.SKEWED_SAMPLES, Code.HEAD_OF_LINE}


def test_without_a_word_of_who_made_the_batches_no_cause_is_named() -> None:
    rows = starved().rows()
    rows = rows[np.isin(rows["kind"], (Kind.WAIT_BATCH, Kind.STEP)) & (rows["lane"] == CONSUMER)]
    top = judge(excerpt_of(rows, workers=1), NO_FACTS, Limits()).top()
    assert top.code is Code.UNDETERMINED
    assert "recorded" in top.sentence.en


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = starved().rows()
    assert verdict_json(verdict_on(rows, 2)) == verdict_json(verdict_on(rows.copy(), 2))


def test_workers_that_are_fast_enough_in_the_mean_are_not_too_few() -> None:
    """A batch in six is late, for no reason that was recorded; the worker is idle for half of its time."""
    service = [24 * MS] * 120
    service[5::6] = [66 * MS] * len(service[5::6])
    verdict = verdict_on(Loader(1, service, step_ns=45 * MS, prefetch=1, receive_ns=0).rows(), 1)
    assert not codes(verdict) & {Code.TOO_FEW_WORKERS, Code.WORKER_CPU_BOUND, Code.STORAGE_BOUND}
    assert verdict.top().code is Code.UNDETERMINED
    assert [(change.argument, change.value) for change in verdict.top().changes] == [("prefetch_factor", 4)]


def test_a_busy_host_is_not_the_loaders_fault() -> None:
    """Handing a batch over takes 0.2 ms, and each tenth time 8 ms: the host did something else."""
    jittery = late(Kind.RECEIVE, MAIN, took=([200_000] * 9 + [8 * MS]) * 12)
    verdict = verdict_on(jittery, 2)
    assert 0.05 < (verdict.wait_share or 0) < 0.2
    assert (verdict.top().code, verdict.top().confidence) == (Code.LOADER_OK, "medium")
    assert "busy with other things" in verdict.top().sentence.en
    always = verdict_on(late(Kind.RECEIVE, MAIN, took=[MS] * 120), 2)
    assert 0.05 < (always.wait_share or 0) < 0.2
    assert always.top().code is Code.TRANSPORT_BOUND


def fetching(workers: int, *, computes: float, without_core: float) -> Rows:
    """Workers that compute for a share of their fetches, and of which the scheduler tells a share without a core."""
    rows = Loader(workers, [200 * MS] * 80, step_ns=5 * MS).rows()
    fetches = rows["kind"] == Kind.FETCH
    rows["value"][fetches] = round(computes * 200 * MS)
    marks = rows[fetches].copy()
    marks["start"], marks["kind"], marks["value"] = marks["end"], Kind.CORE_WAIT, round(without_core * 200 * MS)
    return np.concatenate([rows, marks])


def test_workers_that_had_no_core_do_not_wait_for_storage() -> None:
    busy = verdict_on(fetching(3, computes=0.3, without_core=0.68), 3).top()
    assert busy.code is Code.WORKER_CPU_BOUND
    assert "other programs of the machine had the rest" in busy.sentence.en
    (told,) = [evidence for evidence in busy.evidence if "CORE_WAIT" in evidence.kinds]
    assert told.value == pytest.approx(0.68)
    slow = verdict_on(fetching(3, computes=0.3, without_core=0.02), 3).top()
    assert slow.code is Code.TOO_FEW_WORKERS
    assert "more workers wait at the same time" in slow.sentence.en
    assert verdict_on(fetching(8, computes=0.05, without_core=0.02), 8).top().code is Code.STORAGE_BOUND
    assert verdict_on(fetching(8, computes=0.05, without_core=0.94), 8).top().code is Code.TOO_MANY_WORKERS


def test_threads_that_had_no_core_do_not_wait_for_the_lock() -> None:
    setting = Setting(2, batch_size=8, cores=2.0, worker_method="thread")

    def of_threads(without_core: float) -> Code:
        rows = fetching(2, computes=0.5, without_core=without_core)
        return judge(excerpt_of(rows, workers=2), NO_FACTS, Limits(), setting=setting).top().code

    assert of_threads(0.02) is Code.GIL_BOUND
    assert of_threads(0.49) is not Code.GIL_BOUND


def test_threads_that_wait_for_the_lock_in_collating_wait_for_the_lock() -> None:
    """Each computes throughout its fetches, and gets the lock back late in the first function that lets go of it."""
    loader = Loader(2, [26 * MS] * 80, step_ns=17 * MS, collate_ns=16 * MS)
    rows = loader.rows()
    rows["value"][rows["kind"] == Kind.FETCH] = 25 * MS
    steps = rows[rows["kind"] == Kind.STEP].copy()
    steps["start"], steps["kind"], steps["value"] = steps["end"], Kind.CPU, 18 * MS
    setting = Setting(2, batch_size=8, cores=2.0, worker_method="thread")
    excerpt = excerpt_of(np.concatenate([rows, steps]), workers=2)
    top = judge(excerpt, NO_FACTS, Limits(), setting=setting).top()
    assert top.code is Code.GIL_BOUND
    assert "computes for only 5" in top.sentence.en
    processes = replace(setting, worker_method="process")
    assert judge(excerpt, NO_FACTS, Limits(), setting=processes).top().code is not Code.GIL_BOUND
