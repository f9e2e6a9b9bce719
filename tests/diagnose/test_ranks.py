"""Ranks that were recorded as runs of their own: which of them is behind is said in the verdict of each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from loader_core.diagnose.verdict import judge_run
from loader_core.diagnose.verdict_types import Code
from loader_core.trace import Kind, Recording, Role, now
from tests.diagnose.rows import CONSUMER, FIRST_WORKER, MAIN
from tests.diagnose.truth import Truth

LIGHT = Truth(make_ms=lambda _: 2.0, step_ms=6.0)
HEAVY = Truth(make_ms=lambda _: 12.0, step_ms=6.0)


def rank_run(home: Path, truth: Truth, rank: int, **fields: Any) -> Path:
    """What one rank of two would have recorded, with one worker."""
    script = {"group": "start", "site": "train.py:9", "what": "train", "argv": ["train.py"], "rank": rank, "ranks": 2}
    loader = {"num_workers": 1, "prefetch_factor": 2, "batch_size": truth.batch_size, "persistent_workers": True}
    directory = home / f"rank-{rank}-{len(list(home.glob('*')))}"
    recording = Recording.create(directory, run_id=directory.name, rank=rank, script=script | fields, loader=loader)
    recorders = {
        MAIN: recording.recorder(Role.MAIN),
        CONSUMER: recording.consumer,
        FIRST_WORKER: recording.recorder(Role.WORKER, 0),
    }
    begin = now()
    for row in truth.rows(1, 2, 80):
        start, end = begin + int(row["start"]), begin + int(row["end"])
        recorders[int(row["lane"])].add(Kind(row["kind"]), int(row["batch"]), start, end, value=int(row["value"]))
    while now() < end:  # what was said to have happened happens before the recorders note their end
        time.sleep(0.001)
    recording.finish("finished")
    return directory


def test_the_rank_that_is_behind_is_named_in_both(tmp_path: Path) -> None:
    light, heavy = rank_run(tmp_path, LIGHT, 0), rank_run(tmp_path, HEAVY, 1)
    behind = judge_run(heavy)
    assert behind.findings[0].code is Code.RANK_STRAGGLER
    assert behind.findings[0].sentence.en.startswith("Rank 1 waits 6 ms per step, and the others ")
    assert len(behind.findings) > 1, "and why it is"
    assert behind.findings[0].share == pytest.approx(1.0, abs=0.1)
    waiting = judge_run(light)
    assert [finding.code for finding in waiting.findings] == [Code.RANK_STRAGGLER, Code.LOADER_OK]
    assert waiting.findings[0].sentence.en.startswith("Rank 1 waits ")
    assert waiting.findings[0].share is None, "it waits for the other in its steps, which are no part of its waiting"


def test_ranks_that_keep_pace_are_fine(tmp_path: Path) -> None:
    runs = [rank_run(tmp_path, LIGHT, rank) for rank in range(2)]
    assert [judge_run(run).top().code for run in runs] == [Code.LOADER_OK] * 2


@pytest.mark.parametrize("other", [{"group": "another"}, {"site": "train.py:30"}, {"what": "val"}])
def test_runs_of_another_start_or_loader_are_no_ranks_of_this_one(other: dict[str, str], tmp_path: Path) -> None:
    light = rank_run(tmp_path, LIGHT, 0)
    rank_run(tmp_path, HEAVY, 1, **other)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("nonsense")
    assert judge_run(light).top().code is Code.LOADER_OK
