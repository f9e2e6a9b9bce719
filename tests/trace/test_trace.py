"""Trace: what readers see of a run directory, live and afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loader_core.trace.trace as trace_module
from loader_core.errors import NewerSchema, TraceError
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, SCHEMA_VERSION, Kind, Role
from loader_core.trace.recorder import Recorder, now
from loader_core.trace.recording import Recording
from loader_core.trace.rollup import BUCKET_NS
from loader_core.trace.run_file import write_run_file
from loader_core.trace.segment import SegmentFlag, SegmentReader
from loader_core.trace.trace import MAX_LANES, MAX_PIDS, ROW_DTYPE, Trace
from tests.trace.records import segments

MS = 1_000_000
BASE = 10_000 * MS
"""Run time at which the events of a written run begin: after START, whose end no later event may precede."""


def written(directory: Path, chains: list[tuple[Role, int, list[tuple[Kind, int, int]]]], *, rank: int = 0) -> Path:
    """A finished run of chains of (kind, start, end) in run time after `BASE`."""
    recording = Recording.create(directory, run_id="r", rank=rank)
    for role, worker, spans in chains:
        recorder = recording.recorder(role, worker)
        zero = recording.anchor_ns + BASE
        for number, (kind, start, end) in enumerate(spans):
            recorder.add(kind, number, zero + start, zero + end, number)
    recording.finish("finished")
    return directory


def without_marks(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return rows[~np.isin(rows["kind"], [Kind.START, Kind.STOP])]


# --- opening ----------------------------------------------------------------------------------------------------------


def test_a_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"is not a run directory: it has no run\.json"):
        Trace.open(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"schema": "x"}', '{"schema": [1]}', '{"clock": 5}', '{"changes": 5}', "\udcff"]
)
def test_a_damaged_header_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(TraceError, match=r"run\.json cannot be read: "):
        Trace.open(tmp_path)


def test_a_header_that_says_little_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    trace = Trace.open(tmp_path)
    assert (trace.run.id, trace.run.state) == (tmp_path.name, "interrupted")
    assert (len(trace.rollup()), trace.lanes, trace.duration_ns, trace.batches) == (0, [], 0, 0)
    assert len(trace.window(0, 10**18)) == 0
    assert len(trace.tail(0, 10)[0]) == 0


@pytest.mark.parametrize("where", ["run.json", "segment"])
def test_a_newer_recording_names_both_versions(tmp_path: Path, where: str) -> None:
    written(tmp_path / "run", [(Role.MAIN, -1, [])])
    newer = SCHEMA_VERSION + 7
    if where == "run.json":
        header = json.loads((tmp_path / "run" / "run.json").read_text())
        write_run_file(tmp_path / "run", {**header, "schema": newer})
    else:
        [path] = segments(tmp_path / "run")
        content = bytearray(path.read_bytes())
        content[8:10] = newer.to_bytes(2, "little")
        path.write_bytes(content)
    with pytest.raises(NewerSchema, match=rf"schema version {newer}, .* up to {SCHEMA_VERSION}"):
        Trace.open(tmp_path / "run")


def test_a_deleted_run_is_said(tmp_path: Path) -> None:
    trace = Trace.open(written(tmp_path / "run", [(Role.MAIN, -1, [])]))
    for path in trace.directory.iterdir():
        path.unlink()
    with pytest.raises(TraceError, match="is gone: the run was deleted"):
        trace.refresh()


def test_foreign_files_are_noted_and_ignored(tmp_path: Path) -> None:
    directory = written(tmp_path / "run", [(Role.WORKER, 0, [(Kind.FETCH, 0, 5)])])
    (directory / "empty.events").write_bytes(b"")
    (directory / "foreign.events").write_bytes(b"?" * 4096)
    (directory / "folder.events").mkdir()
    trace = Trace.open(directory)
    assert len(without_marks(trace.tail(0, 100)[0])) == 1
    assert sorted(problem.split()[0] for problem in trace.problems if "folder" not in problem) == [
        "empty.events",
        "foreign.events",
    ]
    assert any("folder.events" in problem for problem in trace.problems)
    assert all(problem.endswith(": ignored") for problem in trace.problems)


def test_a_segment_that_arrives_bit_by_bit_is_read_as_it_comes(tmp_path: Path) -> None:
    """As a mirror of another host's run writes it."""
    directory = written(tmp_path / "run", [(Role.WORKER, 0, [(Kind.FETCH, n, n + 1) for n in range(5)])])
    [path] = segments(directory)
    content = path.read_bytes()
    path.write_bytes(content[:100])
    trace = Trace.open(directory)
    assert trace.problems == [f"{path.name} has 100 bytes, a segment's header has 256: ignored"]
    seen = []
    for end in range(256, 256 + 40 * 8, 60):
        path.write_bytes(content[:end])
        trace.refresh()
        seen.append(trace.tail(0, 100)[1])
    assert trace.problems == []
    assert seen == [0, 1, 3, 4, 6, 7]


# --- events in --------------------------------------------------------------------------------------------------------


def test_live_events_arrive_once_in_run_time_with_their_lane(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="r") as recording:
        trace = Trace.open(recording.directory)
        assert trace.refresh() == 0
        worker = recording.recorder(Role.WORKER, 3)
        at = now()
        worker.epoch = 2
        worker.add(Kind.FETCH, 7, at, at + 5, 11, 13, 1)
        assert trace.refresh() == 2
        rows, cursor, dropped = trace.tail(0, 10)
        assert (cursor, dropped) == (2, 0)
        expected = (at - recording.anchor_ns, at + 5 - recording.anchor_ns, 11, 13, 7, 2, 1, Kind.FETCH, 0)
        assert rows.dtype == ROW_DTYPE
        assert rows[1].item() == expected
        assert trace.refresh() == 0
        worker.mark(Kind.GAUGE)
        assert trace.refresh() == 1
        rows, cursor, _ = trace.tail(cursor, 10)
        assert (rows["kind"].tolist(), cursor) == ([Kind.GAUGE], 3)
        assert trace.duration_ns == int(rows["end"][0])
    assert trace.run.live
    trace.refresh()
    assert trace.run.state == "finished"


CHAINS = st.lists(
    st.lists(
        st.tuples(st.sampled_from([Kind.FETCH, Kind.HOLD, Kind.STEP]), st.integers(0, 50), st.integers(0, 9)),
        max_size=12,
    ),
    max_size=4,
)


@settings(max_examples=60)
@given(CHAINS, st.integers(-5, 80), st.integers(-5, 80), st.sets(st.sampled_from(Kind)) | st.none())
def test_a_window_is_all_that_overlaps_it_by_start(
    tmp_path_factory: pytest.TempPathFactory, chains: list[Any], start: int, end: int, kinds: set[Kind] | None
) -> None:
    spans = [sorted(((kind, at, at + length) for kind, at, length in chain), key=lambda s: s[2]) for chain in chains]
    directory = tmp_path_factory.mktemp("runs") / "run"
    written(directory, [(Role.WORKER, number, chain) for number, chain in enumerate(spans)])
    rows = without_marks(Trace.open(directory).window(BASE + start, BASE + end, kinds))
    expected = sorted(
        (at, until, kind)
        for chain in spans
        for kind, at, until in chain
        if at <= end and until >= start and (kinds is None or kind in kinds)
    )
    assert sorted((r["start"] - BASE, r["end"] - BASE, r["kind"]) for r in rows) == expected
    assert rows["start"].tolist() == sorted(rows["start"].tolist())


def test_a_recording_is_loaded_by_end(tmp_path: Path) -> None:
    chains = [(Role.WORKER, n, [(Kind.FETCH, 10 * k + n, 10 * k + 3 * n) for k in range(900)]) for n in range(3)]
    trace = Trace.open(written(tmp_path / "run", chains))
    rows, cursor, dropped = trace.tail(0, 10_000)
    assert (len(rows), cursor, dropped) == (2706, 2706, 0)
    ends = rows["end"].tolist()
    assert ends == sorted(ends)


@given(
    st.lists(st.integers(0, 40), max_size=8),
    st.lists(st.tuples(st.integers(0, 150), st.integers(0, 30)), max_size=8),
)
def test_the_tail_gives_the_newest_and_counts_the_rest(arrivals: list[int], asked: list[tuple[int, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trace_module, "TAIL_ROWS", 32)
        tail, model = trace_module._Tail(), []
        for count in arrivals:
            piece = np.zeros(count, ROW_DTYPE)
            piece["end"] = piece["batch"] = np.arange(len(model), len(model) + count)
            model += piece["batch"].tolist()
            assert tail.arrive([piece[: count // 2], piece[count // 2 :]]) == count
        for after, limit in asked:
            rows, cursor, dropped = tail.rows(after, limit)
            oldest = max(0, len(model) - 32)
            first = min(max(after, oldest), len(model))
            assert rows["batch"].tolist() == model[first : first + limit]
            assert cursor == first + len(rows)
            assert dropped == max(0, oldest - after)


def test_a_window_too_large_keeps_the_newest(tmp_path: Path) -> None:
    chains = [(Role.WORKER, n, [(Kind.FETCH, k, k) for k in range(1000)]) for n in range(2)]
    trace = Trace.open(written(tmp_path / "run", chains))
    rows = trace.window(BASE, BASE + 999, {Kind.FETCH}, limit=10)
    assert sorted((rows["end"] - BASE).tolist()) == sorted([*range(995, 1000)] * 2)


def test_a_segment_deleted_while_reading_is_skipped(tmp_path: Path) -> None:
    chains = [(Role.WORKER, n, [(Kind.FETCH, k, k) for k in range(5)]) for n in range(2)]
    trace = Trace.open(written(tmp_path / "run", chains))
    segments(trace.directory)[0].unlink()
    assert len(without_marks(trace.window(BASE, BASE + 10))) == 5
    assert trace.refresh() == 0
    assert len(without_marks(trace.tail(0, 100)[0])) == 10, "what was taken before stays"


def test_a_live_segment_deleted_before_it_was_read_is_skipped(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="r") as recording:
        trace = Trace.open(recording.directory)
        worker = recording.recorder(Role.WORKER, 0)
        trace.refresh()
        worker.add(Kind.FETCH, 0, now())
        segments(recording.directory)[0].unlink()
        assert trace.refresh() == 0


def test_events_of_unknown_kinds_are_noted(tmp_path: Path) -> None:
    directory = written(tmp_path / "run", [(Role.WORKER, 0, [(Kind.FETCH, 0, 5)] * 3)])
    [path] = segments(directory)
    content = bytearray(path.read_bytes())
    content[256 + 2 * 40 + 39] = 99
    path.write_bytes(content)
    trace = Trace.open(directory)
    assert trace.problems == [f"{path.name} holds events of unknown kinds: ignored"]
    assert len(without_marks(trace.tail(0, 100)[0])) == 2
    assert len(without_marks(trace.window(BASE, BASE + 100))) == 2


# --- lanes ------------------------------------------------------------------------------------------------------------


def test_lanes_are_what_the_kind_table_says_in_order_of_appearance(tmp_path: Path) -> None:
    chains = [
        (Role.MAIN, -1, [(Kind.DRAW, 0, 1), (Kind.FETCH, 1, 2), (Kind.COPY, 2, 3), (Kind.GAUGE, 3, 3)]),
        (Role.WORKER, 1, [(Kind.FETCH, 0, 1), (Kind.COLLATE, 1, 2)]),
        (Role.CONSUMER, -1, [(Kind.STEP, 0, 1)]),
        (Role.PIN, -1, [(Kind.PIN, 0, 1)]),
    ]
    trace = Trace.open(written(tmp_path / "run", chains))
    assert [(lane.lane, lane.role, lane.worker, lane.label) for lane in trace.lanes] == [
        (0, Role.MAIN, -1, "main"),
        (1, Role.WORKER, -1, "main, fetching"),
        (2, Role.DEVICE, -1, "device"),
        (3, Role.WORKER, 1, "worker 1"),
        (4, Role.CONSUMER, -1, "training loop"),
        (5, Role.PIN, -1, "pin thread"),
    ]
    rows = without_marks(trace.window(BASE, BASE + 10))
    lanes = {(Kind(row["kind"]), int(row["lane"])) for row in rows}
    assert lanes == {
        (Kind.DRAW, 0),
        (Kind.FETCH, 1),
        (Kind.COPY, 2),
        (Kind.GAUGE, 0),
        (Kind.FETCH, 3),
        (Kind.COLLATE, 3),
        (Kind.STEP, 4),
        (Kind.PIN, 5),
    }


def test_a_worker_that_is_started_again_stays_on_its_lane(tmp_path: Path) -> None:
    directory = written(tmp_path / "run", [(Role.WORKER, 0, [(Kind.FETCH, k, k)]) for k in range(MAX_PIDS + 5)])
    in_time = sorted(segments(directory), key=lambda path: SegmentReader(path).header.created_ns)
    for number, path in enumerate(in_time):
        content = bytearray(path.read_bytes())
        content[28:32] = (1000 + number).to_bytes(4, "little")
        content[32:36] = number.to_bytes(4, "little")
        path.write_bytes(content)
    trace = Trace.open(directory)
    assert len(trace.lanes) == 1
    assert trace.lanes[0].pids == [1000 + n for n in range(5, MAX_PIDS + 5)], "the newest"


def test_another_rank_has_lanes_of_its_own(tmp_path: Path) -> None:
    directory = written(tmp_path / "run", [(Role.WORKER, 0, [(Kind.FETCH, 0, 1)])])
    other = Recorder(directory, role=Role.WORKER, worker=0, rank=2)
    other.close()
    assert [(lane.rank, lane.label) for lane in Trace.open(directory).lanes] == [
        (0, "worker 0"),
        (2, "rank 2: worker 0"),
    ]


def test_more_lanes_than_a_byte_can_number_share_the_last(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="r") as recording:
        for worker in range(MAX_LANES + 3):
            recording.recorder(Role.WORKER, worker).close()
    trace = Trace.open(recording.directory)
    assert len(trace.lanes) == MAX_LANES
    assert "more than 256 lanes" in trace.problems[0]
    lanes = trace.tail(0, 10_000)[0]["lane"]
    assert np.bincount(lanes)[-1] == 8


# --- totals -----------------------------------------------------------------------------------------------------------


def test_totals_and_rollup_of_a_run(tmp_path: Path) -> None:
    chains = [
        (
            Role.CONSUMER,
            -1,
            [(Kind.WAIT_BATCH, 0, 150 * MS), (Kind.STEP, 150 * MS, 320 * MS), (Kind.STEP, 0, 320 * MS)],
        ),
        (Role.MAIN, -1, [(Kind.RECEIVE, 0, 50 * MS), (Kind.RECEIVE, 0, 320 * MS)]),
    ]
    trace = Trace.open(written(tmp_path / "run", chains))
    assert (trace.batches, trace.samples) == (2, 1 + 2)
    rollup = trace.rollup()[BASE // BUCKET_NS :][:4]
    assert rollup["wait_ns"].tolist() == [100 * MS, 50 * MS, 0, 0]
    assert rollup["step_ns"].tolist() == [100 * MS, 150 * MS, 200 * MS, 40 * MS]
    assert rollup["batches"].tolist() == [0, 0, 0, 2]
    assert rollup["bytes"].tolist() == [0, 0, 0, 1]
    assert rollup["lost"].tolist() == [0] * 4


def test_stages_have_names(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="r") as recording:
        trace = Trace.open(recording.directory)
        assert trace.stages == {}
        worker = recording.recorder(Role.WORKER, 0)
        worker.add_stage("decode", now())
        worker.close()
        trace.refresh()
        [row] = trace.window(0, 1 << 60, {Kind.STAGE})
        assert trace.stages[int(row["value"])] == "decode"


def test_truncation_is_told_from_the_header_alone(tmp_path: Path) -> None:
    directory = written(tmp_path / "run", [(Role.CONSUMER, -1, [(Kind.STEP, 0, 1)])])
    [path] = segments(directory)
    content = bytearray(path.read_bytes())
    assert Trace.open(directory).truncated == ""
    content[11] |= SegmentFlag.TRUNCATED
    content[12:16] = (28).to_bytes(4, "little")
    path.write_bytes(content)
    assert Trace.open(directory).truncated == "the consumer lane stopped recording: No space left on device"


def test_marks_without_batch_or_value_keep_saying_so(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="r") as recording:
        recording.recorder(Role.WORKER, 0).mark(Kind.ERROR)
    [row] = Trace.open(recording.directory).window(0, 1 << 60, {Kind.ERROR})
    assert (row["batch"], row["value"], row["sample"]) == (NO_BATCH, NOT_MEASURED, NOT_MEASURED)
