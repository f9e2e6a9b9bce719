"""The verdict on loaders whose truth is known: which cause is named, and that nothing is said without grounds."""

from __future__ import annotations

import pytest

from loader_core.diagnose.facts import Facts
from loader_core.diagnose.memory import Limits
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.verdict import judge
from loader_core.diagnose.verdict_types import Code, Verdict
from tests.diagnose.simulated import excerpt_of
from tests.diagnose.truth import Truth

NO_FACTS = Facts.of([])


def verdict_on(truth: Truth, workers: int, *, prefetch: int = 2, batches: int = 120, cores: float = 2.0) -> Verdict:
    excerpt = excerpt_of(truth.rows(workers, prefetch, batches), workers=max(workers, 1))
    setting = Setting(workers, prefetch_factor=prefetch, batch_size=truth.batch_size, cores=cores)
    return judge(excerpt, NO_FACTS, Limits(), setting=setting)


def making(ms: float, *, wait: float, step_ms: float = 10.0) -> Truth:
    return Truth(lambda _: ms, step_ms, wait=wait)


@pytest.mark.parametrize(
    ("truth", "workers", "code"),
    [
        (making(5, wait=0.0, step_ms=20), 2, Code.LOADER_OK),
        (making(50, wait=0.0), 0, Code.TOO_FEW_WORKERS),
        (making(50, wait=0.0), 1, Code.TOO_FEW_WORKERS),
        (making(50, wait=0.05), 2, Code.WORKER_CPU_BOUND),
        (making(50, wait=0.9), 2, Code.TOO_FEW_WORKERS),
        (making(100, wait=0.9), 8, Code.STORAGE_BOUND),
        (making(100, wait=0.76), 8, Code.TOO_MANY_WORKERS),
    ],
    ids=lambda value: str(value) if isinstance(value, str | int) else "",
)
def test_each_cause_is_named(truth: Truth, workers: int, code: Code) -> None:
    verdict = verdict_on(truth, workers)
    assert verdict.top().code == code, verdict.top().sentence.en


@pytest.mark.parametrize("batches", [1, 2, 6])
def test_of_a_few_steps_nothing_is_said(batches: int) -> None:
    top = verdict_on(making(50, wait=0.0), 1, batches=batches).top()
    assert top.code is Code.UNDETERMINED
    assert "are needed" in top.sentence.en
    assert top.share is None
