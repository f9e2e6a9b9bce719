"""Findings about beginnings, ranks and dangers; and verdicts on loaders that really ran."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from loader_core.diagnose.facts import Facts
from loader_core.diagnose.memory import Limits
from loader_core.diagnose.rows import Rows
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.verdict import judge, judge_run
from loader_core.diagnose.verdict_types import Code, Verdict, verdict_json
from loader_core.observe import observe
from loader_core.trace import Detail, Recording, stage
from loader_core.trace.event import Kind, Role
from loader_core.trace.trace import TraceLane
from tests.diagnose.rows import FIRST_WORKER, row, rows_of
from tests.diagnose.simulated import MS, Loader, excerpt_of, marks

NO_FACTS = Facts.of([])


def verdict_on(rows: Rows, workers: int, *, limits: Limits | None = None, persistent: bool = True) -> Verdict:
    setting = Setting(workers, batch_size=8, cores=2.0, persistent_workers=persistent)
    return judge(excerpt_of(rows, workers=workers), NO_FACTS, limits or Limits(), setting=setting)


def later(rows: Rows, by: int) -> Rows:
    rows = rows.copy()
    rows["start"] += by
    rows["end"] += by
    return rows


def fed(batches: int = 60) -> Loader:
    return Loader(2, [5 * MS] * batches, step_ns=20 * MS, receive_ns=0)


# --- beginnings -------------------------------------------------------------------------------------------------------


def started_slowly(seconds: float) -> Rows:
    """Workers that take so long before their first batch; all else is well."""
    rows = later(fed().rows(), round(seconds * 1e9))
    first = np.flatnonzero((rows["kind"] == Kind.WAIT_BATCH) & (rows["batch"] == 0))
    rows["start"][first] = 0
    starts = rows_of(*(row(Kind.START, MS, lane=FIRST_WORKER + worker) for worker in range(2)))
    return np.concatenate([starts, rows])


def test_a_start_that_takes_half_of_the_run_is_the_first_finding_though_the_loop_hardly_waits() -> None:
    verdict = verdict_on(started_slowly(1.5), 2)
    assert [finding.code for finding in verdict.findings] == [Code.STARTUP_BOUND, Code.LOADER_OK]
    top = verdict.top()
    assert top.share is None
    assert "The first batch took 1.5" in top.sentence.en
    assert "until it began to fetch" in top.sentence.en
    assert verdict_on(started_slowly(0.1), 2).top().code is Code.LOADER_OK


def respawned(between_ns: int, *, restarted: bool) -> Rows:
    """Six epochs of ten batches, and so much time between two of them."""
    found, begin = [], 0
    for epoch in range(6):
        rows = replace(fed(10), epoch=epoch, begin_ns=begin + between_ns, asked=[], ready=[], got=[]).rows()
        first = (rows["kind"] == Kind.WAIT_BATCH) & (rows["batch"] == 0)
        rows["start"][first] = begin + MS
        found.append(rows)
        if restarted:
            lanes = [FIRST_WORKER, FIRST_WORKER + 1]
            found.append(rows_of(*(row(Kind.START, begin + between_ns // 2, lane=lane) for lane in lanes)))
        begin = int(rows["end"].max())
    return np.concatenate(found)


def test_workers_that_are_started_for_each_epoch() -> None:
    top = verdict_on(respawned(150 * MS, restarted=True), 2, persistent=False).top()
    assert top.code is Code.EPOCH_RESPAWN
    assert [(change.argument, change.value) for change in top.changes] == [("persistent_workers", True)]
    assert top.setting is not None
    assert top.setting.persistent_workers
    kept = verdict_on(respawned(5 * MS, restarted=False), 2)
    assert Code.EPOCH_RESPAWN not in {finding.code for finding in kept.findings}


# --- ranks ------------------------------------------------------------------------------------------------------------


def test_the_rank_that_the_others_wait_for() -> None:
    light, heavy = Loader(1, [2 * MS] * 60, step_ns=30 * MS), Loader(1, [28 * MS] * 60, step_ns=10 * MS)
    own, other = light.rows(), heavy.rows()
    other["lane"] += 10
    excerpt = excerpt_of(np.concatenate([own, other]), workers=1)
    lanes = [
        TraceLane(lane.lane + 10, lane.role, lane.worker, 1, f"rank 1: {lane.label}", [pid + 100 for pid in lane.pids])
        for lane in excerpt.lanes
    ]
    both = replace(excerpt, lanes=[*excerpt.lanes, *lanes])
    verdict = judge(both, NO_FACTS, Limits(), setting=Setting(1, batch_size=8, cores=2.0))
    top = verdict.top()
    assert top.code is Code.RANK_STRAGGLER
    assert top.sentence.en.startswith("Rank 1 waits")
    assert {lane for evidence in top.evidence for lane in evidence.lanes} == {
        lane.lane for lane in lanes if lane.role is Role.CONSUMER
    }
    assert sum(finding.share or 0 for finding in verdict.findings) <= 1


# --- dangers ----------------------------------------------------------------------------------------------------------


def growing(kind: Kind, first: int, by: int) -> Rows:
    return marks(kind, [first + by * number for number in range(40)], every_ns=400 * MS)


def test_memory_that_grows_is_found_though_the_loop_hardly_waits() -> None:
    long = Loader(2, [5 * MS] * 600, step_ns=20 * MS, receive_ns=0).rows()
    rows = np.concatenate([long, growing(Kind.MEMORY, 200 << 20, 4 << 20)])
    verdict = verdict_on(rows, 2, limits=Limits(memory_bytes=16 << 30))
    assert [finding.code for finding in verdict.findings] == [Code.MEMORY_GROWTH, Code.LOADER_OK]
    assert verdict.top().share is None
    steady = np.concatenate([long, growing(Kind.MEMORY, 200 << 20, 0)])
    assert verdict_on(steady, 2, limits=Limits(memory_bytes=16 << 30)).top().code is Code.LOADER_OK


def test_slow_growth_comes_after_what_holds_the_loop_back() -> None:
    starved = Loader(2, [40 * MS] * 500, step_ns=10 * MS).rows()
    rows = np.concatenate([starved, growing(Kind.MEMORY, 200 << 20, 1 << 18)])
    codes = [finding.code for finding in verdict_on(rows, 2, limits=Limits(memory_bytes=256 << 30)).findings]
    assert codes[0] is not Code.MEMORY_GROWTH
    assert codes[-1] is Code.MEMORY_GROWTH


def test_descriptors_that_run_out() -> None:
    rows = np.concatenate([fed(600).rows(), growing(Kind.FILES, 150, 2)])
    top = verdict_on(rows, 2, limits=Limits(files=256)).top()
    assert top.code is Code.SHM_OR_FD_RISK
    assert top.evidence[0].value == 228


def test_batches_that_do_not_fit_into_shared_memory() -> None:
    rows = fed().rows()
    rows["value"][rows["kind"] == Kind.SEND] = 16 << 20
    verdict = verdict_on(rows, 2, limits=Limits(shm_free_bytes=64 << 20))
    assert verdict.top().code is Code.SHM_OR_FD_RISK
    assert verdict_on(rows, 2, limits=Limits(shm_bytes=64 << 20)).top().code is Code.SHM_OR_FD_RISK
    assert verdict_on(rows, 2, limits=Limits(shm_free_bytes=8 << 30)).top().code is Code.LOADER_OK


# --- loaders that ran -------------------------------------------------------------------------------------------------


class Slow(Dataset[torch.Tensor]):
    """Each sample waits for 4 ms, in the stage that reads it."""

    def __len__(self) -> int:
        return 240

    def __getitem__(self, index: int) -> torch.Tensor:
        with stage("read"):
            time.sleep(0.004)
        return torch.zeros(16)


def recorded(directory: Path, *, num_workers: int, step_s: float) -> Path:
    loader = DataLoader(Slow(), batch_size=4, num_workers=num_workers)
    with Recording.create(
        directory, run_id=directory.name, loader={"num_workers": num_workers, "batch_size": 4}
    ) as run:
        run.control.detail = Detail.STAGE
        for _ in observe(loader, run):
            time.sleep(step_s)
    del loader
    return directory


@pytest.mark.parametrize(
    ("num_workers", "step_s", "code"),
    [(0, 0.005, Code.TOO_FEW_WORKERS), (1, 0.005, Code.TOO_FEW_WORKERS), (1, 0.08, Code.LOADER_OK)],
)
def test_a_real_loader(tmp_path: Path, num_workers: int, step_s: float, code: Code) -> None:
    for attempt in range(3):  # a host with other work may really keep this loop waiting
        directory = recorded(tmp_path / f"run-{attempt}", num_workers=num_workers, step_s=step_s)
        verdict = judge_run(directory)
        top = verdict.top()
        if top.code is code:
            break
    assert top.code is code, top.sentence.en
    if code is Code.TOO_FEW_WORKERS:
        assert top.place is not None
        assert "read" in top.place or "test_verdict_findings.py" in top.place
        assert top.predicted is not None
        assert verdict.samples_per_s is not None
        assert top.predicted.samples_per_s > 1.3 * verdict.samples_per_s
        assert top.predicted.low_per_s < top.predicted.samples_per_s < top.predicted.high_per_s


def test_a_stored_run_gives_the_same_verdict_byte_for_byte_wherever_it_lies(tmp_path: Path) -> None:
    directory = recorded(tmp_path / "run", num_workers=2, step_s=0.002)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(directory, elsewhere)
    first = verdict_json(judge_run(directory))
    assert verdict_json(judge_run(directory)) == first
    assert verdict_json(judge_run(elsewhere)) == first
