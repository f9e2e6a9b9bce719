"""The bound on disk: kept, the oldest first, and nothing uncounted."""

from __future__ import annotations

import fcntl
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader_core.trace.budget import Budget
from loader_core.trace.event import Kind, Role
from loader_core.trace.recorder import Recorder, now
from loader_core.trace.recording import Recording
from loader_core.trace.rollup import FoldFile, Rollup, fold
from loader_core.trace.segment import SegmentReader
from loader_core.trace.trace import Trace
from tests.trace.records import array, events, run_script, script, segments

SMALLEST = 16 * 1024
PER_SEGMENT = 403


def fill(recorder: Recorder, count: int, *, kind: Kind = Kind.STEP, first: int = 0) -> None:
    """Steps of one sample each, numbered."""
    for number in range(first, first + count):
        recorder.add(kind, number, now(), None, 1)


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in segments(directory))


def test_the_bound_is_kept_and_the_dropped_are_counted(tmp_path: Path) -> None:
    budget = 8 * SMALLEST
    recorder = Recorder(tmp_path, role=Role.CONSUMER, budget_bytes=budget)
    largest = 0
    for step in range(40):
        fill(recorder, 100, first=100 * step)
        largest = max(largest, size_of(tmp_path))
    recorder.close()
    assert largest <= budget
    kept = events(tmp_path)
    folds = FoldFile(tmp_path).take()
    assert sum(fold.events for fold in folds) + len(kept) == 4000 + 2, "START and STOP too"
    assert len(folds) >= 2
    assert [fold.id.seq for fold in folds] == list(range(len(folds))), "the oldest first"
    batches = [event[4] for event in kept[:-1]]
    assert batches == list(range(4000 - len(batches), 4000)), "what is kept is the newest, without a gap"


def test_the_oldest_of_all_writers_goes_first(tmp_path: Path) -> None:
    early, late = (Recorder(tmp_path, role=Role.WORKER, worker=n, budget_bytes=1 << 30) for n in (0, 1))
    fill(early, PER_SEGMENT + 10)
    fill(late, PER_SEGMENT + 10)
    early.close()
    late.close()
    created = {path: SegmentReader(path).header.created_ns for path in segments(tmp_path)}
    oldest = sorted(created, key=created.__getitem__)
    assert [path.name[:8] for path in oldest] == ["worker-0", "worker-1", "worker-0", "worker-1"]
    for left in (3, 2, 1, 0):
        total = size_of(tmp_path)
        Budget(tmp_path, limit_bytes=total - 1).make_room(0)
        assert segments(tmp_path) == sorted(oldest[4 - left :])


def test_the_newest_segment_of_a_living_writer_stays(tmp_path: Path) -> None:
    one, other = (Recorder(tmp_path, role=Role.WORKER, worker=n, budget_bytes=0) for n in (0, 1))
    assert len(segments(tmp_path)) == 2, "two living writers, one segment each, although the limit is 0"
    fill(one, PER_SEGMENT)
    assert len(segments(tmp_path)) == 3, "while it rolls, a writer has the old one and the new one"
    fill(one, 10, first=PER_SEGMENT)
    fill(one, PER_SEGMENT, first=PER_SEGMENT + 10)
    assert len(segments(tmp_path)) == 3
    one.close()
    other.close()


def test_what_a_killed_writer_left_may_be_dropped(tmp_path: Path) -> None:
    killed = """
import os, signal, sys
from pathlib import Path
from loader_core.trace import Kind, Recorder, Role
recorder = Recorder(Path(sys.argv[1]), role=Role.WORKER, worker=0)
for number in range(100):
    recorder.add(Kind.FETCH, number, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    code, _ = run_script(killed, tmp_path)
    assert code == -9
    assert not SegmentReader(segments(tmp_path)[0]).header.sealed
    Budget(tmp_path, limit_bytes=0).make_room(0)
    assert segments(tmp_path) == []
    [dropped] = FoldFile(tmp_path).take()
    assert dropped.events == 101


def test_whoever_does_not_get_the_lock_goes_on(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, role=Role.CONSUMER, budget_bytes=SMALLEST)
    with (tmp_path / "rollup").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fill(recorder, 3 * PER_SEGMENT)
        assert len(segments(tmp_path)) == 4, "over the bound rather than waiting"
    fill(recorder, PER_SEGMENT, first=3 * PER_SEGMENT)
    assert len(segments(tmp_path)) <= 3, "the next one makes room"
    recorder.close()


def test_a_torn_fold_is_cut_off_before_the_next_one(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, role=Role.CONSUMER, budget_bytes=1 << 30)
    fill(recorder, 2 * PER_SEGMENT)
    recorder.close()
    Budget(tmp_path, limit_bytes=size_of(tmp_path) - 1).make_room(0)
    whole = (tmp_path / "rollup").stat().st_size
    with (tmp_path / "rollup").open("ab") as file:
        file.write((tmp_path / "rollup").read_bytes()[: whole // 2 + 13])
    Budget(tmp_path, limit_bytes=size_of(tmp_path) - 1).make_room(0)
    assert [fold.id.seq for fold in FoldFile(tmp_path).take()] == [0, 1]


def test_a_segment_that_was_folded_but_not_deleted_is_counted_once(tmp_path: Path) -> None:
    """Its dropper was killed between the two."""
    with Recording.create(tmp_path / "run", run_id="r") as recording:
        fill(recording.consumer, 2 * PER_SEGMENT)
    before = Trace.open(recording.directory)
    oldest = segments(recording.directory)[0]
    content = oldest.read_bytes()
    Budget(recording.directory, limit_bytes=size_of(recording.directory) - 1).make_room(0)
    assert not oldest.exists()
    oldest.write_bytes(content)
    trace = Trace.open(recording.directory)
    assert trace.batches == before.batches == 2 * PER_SEGMENT
    assert trace.lost == PER_SEGMENT
    before.refresh()
    assert (before.batches, before.lost) == (2 * PER_SEGMENT, PER_SEGMENT)
    Budget(recording.directory, limit_bytes=size_of(recording.directory) - 1).make_room(0)
    assert not oldest.exists()
    assert len(FoldFile(recording.directory).take()) == 1, "and it is not folded again"


CALLS = st.lists(
    st.tuples(
        st.sampled_from([Kind.STEP, Kind.WAIT_BATCH, Kind.RECEIVE, Kind.FETCH, Kind.COPY, Kind.HOLD, Kind.LOSS]),
        st.integers(1, 300),
        st.integers(0, 40_000_000),
        st.booleans(),
    ),
    max_size=14,
)


@settings(max_examples=40)
@given(CALLS, st.sampled_from([0, 2, 4, 1 << 20]), st.integers(0, 1 << 30))
def test_the_rollup_is_the_fold_of_all_events_dropped_or_not(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[Kind, int, int, bool]], limit: int, shift: int
) -> None:
    """Whether a reader watched from the beginning, came in between, or comes when all is over."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    recording = Recording.create(directory, run_id="r", budget_bytes=limit * SMALLEST)
    watching = Trace.open(directory)
    recorder, expected = recording.consumer, Rollup()
    rows = events(directory)
    end = recording.anchor_ns + shift
    for kind, count, length, refresh in calls:
        for number in range(count):
            start, end = end, end + length
            recorder.add(kind, number, start, end, number)
            rows.append((start, max(end, rows[-1][1]), number, -1, number, 0, 0, kind))
        if refresh:
            watching.refresh()
    between = Trace.open(directory)
    recording.finish("finished")
    rows.append(events(directory)[-1])
    expected.add(fold(array(rows), writer=Role.CONSUMER, anchor_ns=recording.anchor_ns))
    for trace in (watching, between, Trace.open(directory)):
        trace.refresh()
        assert _sums(trace.rollup()) == _sums(expected.rows)
        assert trace.lost + len(events(directory)) == len(rows)
        assert int(trace.rollup()["lost"].sum()) == trace.lost
        assert trace.batches == sum(row[-1] == Kind.STEP for row in rows)


def _sums(rows: np.ndarray[Any, Any]) -> list[tuple[int, ...]]:
    return [row.item()[:-1] for row in rows]


MANY = """
import sys
from pathlib import Path
from loader_core.trace import Kind, Recorder, Role
recorder = Recorder(Path(sys.argv[1]), role=Role.WORKER, worker=int(sys.argv[2]), budget_bytes=int(sys.argv[3]))
sys.stdin.readline()
for number in range(int(sys.argv[4])):
    recorder.add(Kind.FETCH, number, 0)
assert recorder.enabled, recorder.truncated
recorder.close()
"""


def test_many_processes_under_one_bound(tmp_path: Path) -> None:
    writers, each, budget = 4, 1_500, 12 * SMALLEST
    with ExitStack() as stack:
        processes = [stack.enter_context(script(MANY, tmp_path, n, budget, each)) for n in range(writers)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _, said = process.communicate(timeout=50)
            assert process.returncode == 0, said
    dropped = FoldFile(tmp_path).take()
    assert len({fold.id for fold in dropped}) == len(dropped)
    kept = events(tmp_path)
    assert sum(fold.events for fold in dropped) + len(kept) == writers * (each + 2)
    Budget(tmp_path, limit_bytes=budget).make_room(0)
    assert size_of(tmp_path) <= budget


def test_the_rollup_that_cannot_be_written_stops_the_recorder(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, role=Role.CONSUMER, budget_bytes=0)
    (tmp_path / "rollup").unlink()
    (tmp_path / "rollup").mkdir()
    fill(recorder, 2 * PER_SEGMENT)
    assert not recorder.enabled
    assert recorder.truncated == "the consumer lane stopped recording: Is a directory"
