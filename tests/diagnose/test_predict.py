"""Predictions against timetables that are known exactly, and against the laws that any prediction must keep."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader_core.diagnose.predict import ModelError, Predictor
from loader_core.diagnose.rates import steady_rate
from loader_core.diagnose.rows import of_kinds
from loader_core.diagnose.service import TooFewBatches, service_of
from loader_core.diagnose.setting import ASSUMPTIONS, Setting
from loader_core.trace.event import NO_BATCH, Kind
from tests.diagnose.rows import CONSUMER, row, rows_of
from tests.diagnose.truth import MS, Truth

WIDE = 64.0
"""More cores than anything here can use."""


def predictor(truth: Truth, workers: int, prefetch: int = 2, *, cores: float = WIDE, batches: int = 240) -> Predictor:
    seen = Setting(workers, prefetch, truth.batch_size, cores=cores)
    return Predictor(service_of(truth.rows(workers, prefetch, batches), workers=workers), seen)


def predicted(of: Predictor, **change: object) -> float:
    [one] = of.predict([replace(of.setting, **change)])  # type: ignore[arg-type]
    return one.batches_per_s


def jitter(k: int) -> float:
    return 20 + 10 * math.sin(1.7 * k)


@pytest.mark.parametrize("seen", [1, 2, 4])
@pytest.mark.parametrize("asked", [0, 1, 2, 3, 4, 8])
def test_other_numbers_of_workers(seen: int, asked: int) -> None:
    truth = Truth(lambda k: 24, 9)
    expected = truth.rate(asked, 2) if asked else 1000 / 33
    assert predicted(predictor(truth, seen), num_workers=asked) == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize(("workers", "prefetch"), [(2, 1), (2, 4), (3, 2), (5, 1)])
def test_batches_that_differ(workers: int, prefetch: int) -> None:
    truth = Truth(jitter, 8)
    found = predicted(predictor(truth, 2), num_workers=workers, prefetch_factor=prefetch)
    assert found == pytest.approx(truth.rate(workers, prefetch), rel=0.06)


def test_head_of_line_goes_away_out_of_order() -> None:
    truth = Truth(lambda k: 100 if k % 7 == 0 else 10, 14)
    of = predictor(truth, 2)
    ordered, free = predicted(of), predicted(of, in_order=False)
    assert ordered == pytest.approx(truth.rate(2, 2), rel=0.08)
    assert free > ordered * 1.05


def test_cores_are_shared() -> None:
    truth = Truth(lambda k: 20, 0.1, wait=0.0)
    seen = predictor(truth, 1, cores=2)
    assert predicted(seen, num_workers=2) == pytest.approx(100, rel=0.05)
    assert predicted(seen, num_workers=8) == pytest.approx(100, rel=0.05), "two cores, whatever the workers"
    assert predicted(seen, num_workers=8, cores=4.0) == pytest.approx(200, rel=0.05)
    assert predicted(seen, num_workers=8, ranks=2) == pytest.approx(50, rel=0.05)


def test_waiting_that_was_contention_is_told_from_storage() -> None:
    """Four workers on two cores: each batch of 20 ms of CPU takes 40. On four cores it would take 20."""
    contended = Truth(lambda k: 40, 0.1, wait=0.5)
    seen = predictor(contended, 4, cores=2)
    assert predicted(seen, num_workers=2) == pytest.approx(100, rel=0.06), "as fast with two as with four"
    assert predicted(seen, num_workers=4, cores=4.0) == pytest.approx(200, rel=0.08)
    storage = predictor(contended, 1, cores=2)
    assert predicted(storage, num_workers=2) == pytest.approx(50, rel=0.06), "one worker alone has nobody to wait for"


def test_a_stage_made_faster() -> None:
    truth = Truth(lambda k: 30, 5)
    seen = predictor(truth, 1)
    assert predicted(seen, faster=(("fetch", 3.0),)) == pytest.approx(100, rel=0.05)
    slow_step = predictor(Truth(lambda k: 5, 30), 1)
    assert predicted(slow_step, faster=(("step", 2.0),)) == pytest.approx(1000 / 15, rel=0.05)


def test_a_named_stage_and_a_cache() -> None:
    truth = Truth(lambda k: 30, 5)
    rows = truth.rows(1, 2, 120)
    fetches = of_kinds(rows, Kind.FETCH)
    reads = [
        row(Kind.STAGE, int(one["start"]), int(one["start"]) + 20 * MS, lane=int(one["lane"]), batch=int(one["batch"]),
            sample=0, value=7)
        for one in fetches
    ]  # fmt: skip
    service = service_of(np.concatenate([rows, rows_of(*reads)]), workers=1, stages={7: "read"})
    seen = Predictor(service, Setting(1, 2, truth.batch_size, cores=WIDE))
    assert predicted(seen, faster=(("read", 2.0),)) == pytest.approx(50, rel=0.05), "20 of 30 ms take 10"
    [cached] = seen.predict([replace(seen.setting, cached=True)])
    assert cached.batches_per_s > 150
    assert "reads_are_waits" not in cached.assumptions


def test_a_larger_batch() -> None:
    truth = Truth(lambda k: 20, 2)
    [double] = predictor(truth, 1).predict([Setting(1, 2, truth.batch_size * 2, cores=WIDE)])
    assert double.batches_per_s == pytest.approx(25, rel=0.05)
    assert double.samples_per_s == pytest.approx(200, rel=0.05), "the samples take as long as before"
    assert "step_scaled" in double.assumptions


def test_threads_with_an_unknown_gil_have_a_wide_interval() -> None:
    truth = Truth(lambda k: 20, 0.1, wait=0.0)
    process, thread = predictor(truth, 2).predict(
        [Setting(4, 2, truth.batch_size, cores=WIDE), Setting(4, 2, truth.batch_size, "thread", cores=WIDE)]
    )
    assert thread.high_per_s / thread.low_per_s > 1.5 * process.high_per_s / process.low_per_s
    assert thread.low_per_s < 50 * truth.batch_size < thread.high_per_s, "one GIL: 50 batches/s"
    assert "gil_unknown" in thread.assumptions
    assert "gil_unknown" not in process.assumptions


def test_epochs_with_workers_that_are_started_anew() -> None:
    """Epochs of 10 batches: with persistent workers 10 x 10 ms and a little, else the start of the workers besides."""
    truth = Truth(lambda k: 10, 1)
    rows = truth.rows(1, 2, 60)
    rows["epoch"] = np.where(rows["batch"] == NO_BATCH, 0, rows["batch"] // 10)
    ends = [
        row(Kind.WAIT_BATCH, int(last["end"]), int(last["end"]) + 1, lane=CONSUMER, epoch=epoch)
        for epoch in range(6)
        for last in of_kinds(rows, Kind.STEP)[epoch * 10 + 9 : epoch * 10 + 10]
    ]
    rows["batch"] %= 10
    rows = np.concatenate([rows, rows_of(*ends)])
    service = service_of(rows, workers=1)
    assert service.epoch_batches == 10
    seen = Predictor(service, Setting(1, 2, truth.batch_size, cores=WIDE))
    kept, respawned = predicted(seen), predicted(seen, persistent_workers=False)
    assert respawned < kept * 0.95
    assert 1e9 / respawned - 1e9 / kept == pytest.approx(service.spawn_ns / 10, rel=0.2)


def test_what_a_new_worker_costs_is_saved_by_keeping_it() -> None:
    """Epochs of 10 batches of 10 ms by one worker. Anew each time: 20 ms to end it, 30 to begin, its first takes 40."""
    one = Truth(lambda k: 40 if k == 0 else 10, 1).rows(1, 2, 10)
    parts, begin = [], 0
    for epoch in range(6):
        rows = one.copy()
        rows["epoch"] = epoch
        rows["start"] += begin
        rows["end"] += begin
        over = int(rows["end"].max())
        began = row(Kind.START, begin - 5 * MS, lane=int(of_kinds(rows, Kind.FETCH)["lane"][0]), epoch=epoch, value=9)
        parts += [rows, rows_of(began, row(Kind.WAIT_BATCH, over, over + 20 * MS, epoch=epoch))]
        begin = over + 50 * MS
    service = service_of(np.concatenate(parts), workers=1)
    assert service.cold_ns == pytest.approx(30 * MS)
    assert service.begin_ns == pytest.approx(50 * MS, rel=0.01)
    assert service.fetch_wait.mean() == pytest.approx(10 * MS), "a worker's first batch says nothing of its others"
    seen = Predictor(service, Setting(1, 2, 4, cores=WIDE, persistent_workers=False))
    assert predicted(seen) == pytest.approx(service.batches_per_s, rel=0.02)
    assert predicted(seen) == pytest.approx(10 / 0.181, rel=0.05)
    assert predicted(seen, persistent_workers=True) == pytest.approx(10 / 0.101, rel=0.05)


@given(
    make=st.lists(st.integers(2, 60), min_size=1, max_size=9),
    step=st.integers(1, 40),
    wait=st.sampled_from([0.0, 0.5, 1.0]),
    workers=st.integers(0, 4),
)
@settings(deadline=None, max_examples=25)
def test_the_observed_setting_is_predicted_as_it_was(make: list[int], step: int, wait: float, workers: int) -> None:
    truth = Truth(lambda k: make[k % len(make)], step, wait=wait)
    seen = predictor(truth, workers)
    [same] = seen.predict([seen.setting])
    assert same.batches_per_s == pytest.approx(seen.service.batches_per_s, rel=0.03)
    assert same.low_per_s <= same.samples_per_s <= same.high_per_s


@given(
    make=st.lists(st.integers(2, 60), min_size=1, max_size=9),
    step=st.integers(1, 40),
    wait=st.sampled_from([0.0, 0.3, 1.0]),
    workers=st.integers(1, 5),
    prefetch=st.integers(1, 3),
)
@settings(deadline=None, max_examples=25)
def test_more_is_never_slower(make: list[int], step: int, wait: float, workers: int, prefetch: int) -> None:
    """More cores, a faster stage and a cache: up to 3 %, since sharing cores can delay the batch whose turn it is."""
    truth = Truth(lambda k: make[k % len(make)], step, wait=wait, step_wait=wait)
    seen = predictor(truth, 2, cores=2)
    base = replace(seen.setting, num_workers=workers, prefetch_factor=prefetch)
    before = predicted(seen, num_workers=workers, prefetch_factor=prefetch)
    better = (
        replace(base, cores=3.0),
        replace(base, cores=WIDE),
        replace(base, faster=(("fetch", 2.0),)),
        replace(base, faster=(("step", 2.0),)),
        replace(base, cached=True),
    )
    for one in seen.predict(better):
        assert one.batches_per_s >= before * 0.97, one.setting


def test_a_surface_is_the_predictions_side_by_side() -> None:
    seen = predictor(Truth(jitter, 8), 2)
    surface = seen.surface(range(5), (1, 2, 4))
    assert surface.shape == (5, 3)
    [one] = seen.predict([replace(seen.setting, num_workers=3, prefetch_factor=4)])
    assert surface[3, 2] == pytest.approx(one.samples_per_s, rel=0.03)


def test_a_whole_surface_takes_no_longer_than_a_page_may_wait() -> None:
    seen = predictor(Truth(jitter, 8, wait=0.5), 2, cores=2)
    seen.surface((1,), (1,))
    began = time.process_time()
    seen.surface(range(17), range(1, 9))
    assert time.process_time() - began < 5, "a second on an idle core; a busy machine may take some more"


def test_the_same_rows_give_the_same_predictions() -> None:
    truth = Truth(jitter, 8, wait=0.5)
    asked = [Setting(3, 2, truth.batch_size, cores=2.0)]
    assert predictor(truth, 2, cores=2).predict(asked) == predictor(truth, 2, cores=2).predict(asked)


def test_a_shift_in_time_changes_nothing() -> None:
    rows = Truth(jitter, 8).rows(2, 2)
    later = rows.copy()
    later["start"] += 12_345_678
    later["end"] += 12_345_678
    first, second = (service_of(one, workers=2) for one in (rows, later))
    assert first.batches_per_s == pytest.approx(second.batches_per_s)
    assert (first.fetch_cpu == second.fetch_cpu).all()
    assert first.hand_over_ns == second.hand_over_ns


def test_too_little_says_so() -> None:
    with pytest.raises(TooFewBatches, match=r"3 batches made and 3 steps .* needs 8 of both: let the run go on"):
        service_of(Truth(lambda k: 10, 1).rows(1, 2, 3), workers=1)


def test_pauses_are_no_part_of_a_rate() -> None:
    rows = Truth(lambda k: 10, 10).rows(2, 2, 100)
    before = steady_rate(rows)
    half = int(np.sort(of_kinds(rows, Kind.STEP)["end"])[60])
    moved = rows.copy()
    moved["start"] += np.where(moved["start"] >= half, 5_000 * MS, 0)
    moved["end"] += np.where(moved["end"] > half, 5_000 * MS, 0)
    paused = np.concatenate([moved, rows_of(row(Kind.PAUSE, half, half + 5_000 * MS, lane=CONSUMER))])
    after = steady_rate(paused)
    assert before is not None
    assert after is not None
    assert after.batches_per_s == pytest.approx(before.batches_per_s, rel=0.05)


def test_each_assumption_has_a_sentence() -> None:
    truth = Truth(lambda k: 20, 5)
    rows = truth.rows(0, 2)
    rows = rows[rows["kind"] != Kind.CPU]
    rows["value"][rows["kind"] == Kind.FETCH] = -1
    seen = Predictor(service_of(rows, workers=0), Setting(0, 2, 4, cores=2.0))
    asked = Setting(2, 2, 8, "thread", pin_memory=True, cores=2.0, ranks=2, cached=True)
    [one] = seen.predict([asked])
    assert set(one.assumptions) == set(ASSUMPTIONS) - {"batch_scaled"}


# --- the model's own error --------------------------------------------------------------------------------------------


def test_the_error_is_learnt_from_what_was_measured() -> None:
    assert ModelError.of([]) == ModelError()
    bad = ModelError.of([(100.0, 200.0)] * 200)
    assert bad.pairs == 200
    assert bad.p90 == pytest.approx(math.log(2), rel=0.1)
    good = ModelError.of([(100.0, 101.0)] * 200)
    assert good.p90 < ModelError().p90 / 4


def test_an_interval_is_as_wide_as_the_error_was() -> None:
    truth = Truth(lambda k: 20, 5)
    service = service_of(truth.rows(2, 2), workers=2)
    asked, seen = [Setting(4, 2, 4, cores=WIDE)], Setting(2, 2, 4, cores=WIDE)
    [narrow] = Predictor(service, seen, error=ModelError(99, 0.01, 0.02)).predict(asked)
    [wide] = Predictor(service, seen, error=ModelError(99, 0.2, 0.5)).predict(asked)
    assert wide.samples_per_s == narrow.samples_per_s
    assert wide.high_per_s / wide.low_per_s > 2 * narrow.high_per_s / narrow.low_per_s
