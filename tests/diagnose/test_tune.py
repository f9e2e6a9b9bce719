"""What is proposed, and what is taken once it was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.diagnose.predict import Predictor
from loader_core.diagnose.service import service_of
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.tune import BEHIND, LEAST_GAIN, MOST_PROPOSALS, Bounds, Duel, candidates, propose
from tests.diagnose.truth import Truth

START = Setting(0, 2, 4, cores=64.0)
TWO, FOUR, EIGHT = (replace(START, num_workers=workers) for workers in (2, 4, 8))


def predictor(truth: Truth, workers: int, **change: object) -> Predictor:
    seen = replace(START, num_workers=workers, **change)  # type: ignore[arg-type]
    return Predictor(service_of(truth.rows(workers, 2), workers=workers), seen)


def fought(duel: Duel, rate: Callable[[Setting], float], trials: int) -> list[Setting]:
    order = []
    for _ in range(trials):
        setting = duel.next_trial()
        order.append(setting)
        duel.note(setting, rate(setting))
    return order


# --- proposals --------------------------------------------------------------------------------------------------------


def test_proposals_reach_the_rate_of_the_training_loop() -> None:
    found = propose(predictor(Truth(lambda k: 40, 10), 0), Bounds(max_workers=8))
    assert found[0].batches_per_s == pytest.approx(100, rel=0.1)
    assert 4 in [one.setting.num_workers for one in found], "the fewest workers that reach it are among them"
    assert len(found) <= MOST_PROPOSALS
    rates = [one.samples_per_s for one in found]
    assert rates == sorted(rates, reverse=True)


def test_a_loader_that_is_fast_enough_is_not_given_more_workers_than_it_has() -> None:
    found = propose(predictor(Truth(lambda k: 10, 40), 1), Bounds(max_workers=8))
    assert min(one.setting.num_workers for one in found) <= 2


@given(most=st.integers(0, 6), prefetch=st.integers(1, 16), free=st.booleans(), threads=st.booleans())
def test_candidates_keep_within_the_bounds(most: int, prefetch: int, free: bool, threads: bool) -> None:
    start = replace(START, num_workers=1, pin_memory=True)
    bounds = Bounds(most, prefetch, ("process", "thread") if threads else ("process",), free)
    found = candidates(start, bounds)
    assert start not in found
    assert len(set(found)) == len(found)
    for one in found:
        assert one.num_workers <= most
        assert one.prefetch_factor <= prefetch or one.num_workers == 0
        assert free or one.in_order
        assert threads or one.worker_method == "process"
        assert (one.batch_size, one.pin_memory, one.cores) == (start.batch_size, True, start.cores)
        assert one.persistent_workers == (one.num_workers > 0)


# --- the duel ---------------------------------------------------------------------------------------------------------


def test_the_start_is_measured_as_often_as_each_proposal_and_every_other_round_backwards() -> None:
    order = fought(Duel(START, [TWO, FOUR]), lambda setting: 100.0, 6)
    assert order == [START, TWO, FOUR, FOUR, TWO, START]


def test_what_is_far_behind_is_measured_no_more() -> None:
    rates = {START: 100.0, TWO: 200.0, FOUR: 200.0 * BEHIND * 0.9}
    duel = Duel(START, [TWO, FOUR])
    order = fought(duel, rates.__getitem__, 7)
    assert order.count(FOUR) == 1
    assert duel.alive() == [TWO]


def test_drift_touches_both_alike() -> None:
    """The host gets slower by 10 % with each trial, and the gain is found all the same."""
    clock = iter(0.9**turn for turn in range(100))
    duel = Duel(START, [TWO])
    fought(duel, lambda setting: next(clock) * (150.0 if setting is TWO else 100.0), 12)
    gain = duel.choice()
    assert gain is not None
    assert gain.ratio == pytest.approx(1.5, rel=0.02)
    assert gain.low < 1.5 < gain.high


def test_the_fewest_batches_in_flight_among_those_that_are_as_good() -> None:
    duel = Duel(START, [EIGHT, FOUR])
    fought(duel, {START: 100.0, FOUR: 199.0, EIGHT: 200.0}.__getitem__, 9)
    gain = duel.choice()
    assert gain is not None
    assert gain.setting == FOUR


def test_a_setting_that_cannot_be_run_is_out() -> None:
    duel = Duel(START, [EIGHT, TWO])
    order = fought(duel, {START: 100.0, TWO: 150.0, EIGHT: 0.0}.__getitem__, 7)
    assert order.count(EIGHT) == 1
    gain = duel.choice()
    assert gain is not None
    assert gain.setting == TWO


def test_one_pair_decides_only_what_is_plain() -> None:
    for rate, taken in ((110.0, False), (200.0, True)):
        duel = Duel(START, [TWO])
        fought(duel, {START: 100.0, TWO: rate}.__getitem__, 2)
        assert (duel.choice() is not None) is taken


@given(gain=st.floats(0.3, 0.99), noise=st.floats(0.0, 0.3), seed=st.integers(0, 99), trials=st.integers(0, 20))
def test_a_slower_setting_is_taken_by_chance_at_most(gain: float, noise: float, seed: int, trials: int) -> None:
    random = np.random.default_rng(seed)
    duel = Duel(START, [TWO])
    fought(duel, lambda one: 100.0 * (gain if one is TWO else 1.0) * float(np.exp(random.normal(0, noise))), trials)
    chosen = duel.choice()
    assert chosen is None or (chosen.low > 1 and chosen.ratio >= LEAST_GAIN)


def test_a_slower_setting_is_hardly_ever_taken() -> None:
    taken = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        duel = Duel(START, [TWO])
        noisy = [100.0 * float(np.exp(random.normal(0, 0.1))) for _ in range(8)]
        rates = iter(noisy)
        fought(duel, lambda one, rates=rates: next(rates) * (0.95 if one is TWO else 1.0), 8)
        taken += duel.choice() is not None
    assert taken <= 10, "90 % intervals, and slower by 5 %"


def test_nothing_measured_nothing_taken() -> None:
    assert Duel(START, [TWO]).choice() is None
    assert Duel(START, []).next_trial() == START
