"""Comparing two runs: what is noise is called noise, and what is none is not."""

from __future__ import annotations

import numpy as np
import pytest

from loader_core.diagnose.comparison import block_rates, rate_change
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.grounds import Grounds
from loader_core.diagnose.memory import Limits
from loader_core.diagnose.rates import student_975
from tests.diagnose.simulated import MS, Loader, excerpt_of

NO_FACTS = Facts.of([])


def grounds(step_ms: float, *, seed: int = 0, steps: int = 120, noise: float = 0.2) -> Grounds:
    """A loop whose cycles differ, and are alike for ten steps in a row, as on a host with other work."""
    random = np.random.default_rng(seed)
    slow = np.repeat(random.lognormal(0, noise, -(-steps // 10)), 10)[:steps]
    loader = Loader(1, (step_ms * MS * slow).astype(np.int64).tolist(), step_ns=MS, collate_ns=0, send_ns=0)
    return Grounds(excerpt_of(loader.rows(), workers=1), NO_FACTS, Limits(), None)


@pytest.mark.parametrize(("ratio", "judgement"), [(0.5, "faster"), (2.0, "slower"), (1.0, "same")])
def test_what_changed_is_told_from_noise(ratio: float, judgement: str) -> None:
    change = rate_change(grounds(20, seed=1), grounds(20 * ratio, seed=2))
    assert change.judgement == judgement
    assert change.ratio is not None
    assert change.low is not None
    assert change.high is not None
    assert change.low < change.ratio < change.high
    assert change.ratio == pytest.approx(1 / ratio, rel=0.25)


def test_noise_is_seldom_taken_for_a_change() -> None:
    changes = [rate_change(grounds(20, seed=2 * seed), grounds(20, seed=2 * seed + 1)) for seed in range(100)]
    assert sum(change.judgement != "same" for change in changes) <= 14  # 5 % of them, and what like neighbours add


def test_a_run_is_the_same_as_itself() -> None:
    change = rate_change(grounds(20), grounds(20))
    assert (change.judgement, change.ratio) == ("same", 1.0)


def test_of_a_few_steps_nothing_is_told() -> None:
    few = grounds(20, steps=10)
    assert len(block_rates(few)) == 0
    change = rate_change(few, grounds(20))
    assert (change.judgement, change.ratio) == ("unknown", None)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042), (1e9, 1.960)]
)
def test_students_quantiles(freedom: float, quantile: float) -> None:
    assert student_975(freedom) == pytest.approx(quantile, rel=0.005)
