"""The recorder: what is added is what is read, in order, whatever happens to the disk, the process or the numbers."""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.trace.control import Control
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, Kind, Role
from loader_core.trace.names import name_number
from loader_core.trace.recorder import NULL_RECORDER, Detail, Recorder, now
from loader_core.trace.recording import RecordingShare
from loader_core.trace.segment import SegmentReader
from tests.trace.records import Event, events, run_script, segments

I64 = st.integers(-(1 << 63), (1 << 63) - 1)
ADDED = st.tuples(
    st.sampled_from(Kind), st.integers(0, NO_BATCH), I64, I64, I64, I64, st.integers(0, 255), st.integers(0, 65_535)
)
ITEMS = st.tuples(
    st.integers(0, NO_BATCH),
    st.lists(st.integers(0, 1 << 62), min_size=2, max_size=40).map(sorted),
    st.integers(0, 65_535),
    st.booleans(),
)


def recorder_in(directory: Path, **fields: int) -> Recorder:
    return Recorder(directory, role=Role.WORKER, **fields)


@given(st.lists(st.one_of(ADDED, ITEMS), max_size=60), st.integers(0, 400))
def test_what_is_added_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, calls: list[tuple], fill: int) -> None:
    """Under any sequence, over any roll: all fields as they were given, but for ends, which never decrease."""
    directory = tmp_path_factory.mktemp("chain")
    recorder = recorder_in(directory)
    start = events(directory)[0]
    expected: list[Event] = [start]
    for number in range(fill):  # so that rolls happen early in some sequences, late in others
        recorder.add(Kind.FETCH, number, number, start[1])
        expected.append((number, start[1], -1, -1, number, 0, 0, Kind.FETCH))
    last = start[1]
    for call in calls:
        if len(call) == 8:
            kind, batch, begin, end, value, sample, flags, epoch = call
            recorder.epoch = epoch
            recorder.add(kind, batch, begin, end, value, sample, flags)
            last = max(last, end)
            expected.append((begin, last, value, sample, batch, epoch, flags, kind))
        else:
            batch, stamps, epoch, measured = call
            recorder.epoch = epoch
            indices = list(range(len(stamps) - 1))
            recorder.add_items(batch, indices, stamps, indices if measured else None)
            for index, (begin, end) in enumerate(itertools.pairwise(stamps)):
                last = max(last, end)
                expected.append((begin, last, index if measured else -1, index, batch, epoch, 0, Kind.ITEM))
    recorder.close()
    found = events(directory)
    assert found[:-1] == expected
    assert found[-1][-1] == Kind.STOP
    ends = [event[1] for event in found]
    assert ends == sorted(ends)
    headers = [SegmentReader(path).header for path in segments(directory)]
    assert [header.seq for header in headers] == list(range(len(headers)))
    assert all(header.sealed for header in headers)
    total = 0
    for header in headers:
        assert header.first == total
        total += header.capacity


def test_defaults(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path, worker=2)
    before = now()
    recorder.epoch = 4
    recorder.add(Kind.FETCH, 9, before)
    recorder.mark(Kind.GAUGE, value=3)
    recorder.close()
    start, fetch, gauge, stop = events(tmp_path)
    assert start[2:] == (os.getpid(), NOT_MEASURED, NO_BATCH, 0, 0, Kind.START)
    assert fetch[0] == before <= fetch[1]
    assert fetch[2:] == (NOT_MEASURED, NOT_MEASURED, 9, 4, 0, Kind.FETCH)
    assert gauge[0] == gauge[1]
    assert gauge[2:] == (3, NOT_MEASURED, NO_BATCH, 4, 0, Kind.GAUGE)
    assert stop[-1] == Kind.STOP


def test_numbers_that_do_not_fit_wrap_around_and_raise_nothing(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.epoch = 65_536 + 5
    recorder.add(Kind.STEP, (1 << 32) + 7, 1 << 64, None, 1 << 63)
    recorder.add_items(-1, [5], [1, 2])
    recorder.close()
    _, wrapped, item, _ = events(tmp_path)
    assert (wrapped[0], wrapped[2], wrapped[4], wrapped[5]) == (0, -(1 << 63), 7, 5)
    assert item[4:6] == (NO_BATCH, 5)


def test_keys_that_are_no_integers_are_recorded_without_an_index(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.add_items(0, ["a", "b"], [1, 2, 3])  # type: ignore[list-item]
    recorder.sample = "a"  # type: ignore[assignment]
    recorder.add_stage("read", now())
    recorder.close()
    assert [event[3] for event in events(tmp_path)] == [NOT_MEASURED] * 5


def test_stages_are_put_between_the_items_they_belong_to(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.batch, stamps = 6, [now()]
    for index in (10, 11, 12):
        recorder.sample = index
        recorder.add_stage("read", now())
        recorder.add_stage("decode", now())
        stamps.append(now())
    assert len(events(tmp_path)) == 1, "held back until the batch is there"
    recorder.add_items(6, [10, 11, 12], stamps)
    recorder.add(Kind.FETCH, 6, stamps[0])
    recorder.close()
    found = events(tmp_path)[1:-1]
    assert [event[-1] for event in found] == [Kind.STAGE, Kind.STAGE, Kind.ITEM] * 3 + [Kind.FETCH]
    assert [event[3] for event in found[:-1]] == [10] * 3 + [11] * 3 + [12] * 3
    assert {event[2] for event in found if event[-1] == Kind.STAGE} == {name_number("read"), name_number("decode")}
    assert [event[1] for event in found if event[-1] == Kind.ITEM] == stamps[1:], "no end was moved"


def test_stages_without_items_come_before_the_next_event_and_at_the_bound(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    for _ in range(5000):
        recorder.add_stage("read", now())
    written = len(events(tmp_path)) - 1
    assert written == 4096
    recorder.mark(Kind.GAUGE)
    recorder.close()
    kinds = [event[-1] for event in events(tmp_path)[1:-1]]
    assert kinds == [Kind.STAGE] * 5000 + [Kind.GAUGE]


def test_detail_is_what_the_control_page_says(tmp_path: Path) -> None:
    control = Control.create(tmp_path)
    recorder = RecordingShare(tmp_path, anchor_ns=0, rank=0, budget_bytes=1 << 30).recorder(Role.WORKER, 0)
    assert recorder.detail is Detail.STAGE
    control.detail = 0
    assert recorder.detail is Detail.BATCH
    control.detail = 1
    assert recorder.detail is Detail.SAMPLE
    recorder.close()
    assert recorder.detail is Detail.BATCH
    control.close()


def test_closing_twice_is_closing_once_and_later_events_go_nowhere(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.close()
    recorder.close()
    recorder.add(Kind.FETCH, 0, 0)
    recorder.mark(Kind.GAUGE)
    recorder.add_items(0, [1], [1, 2])
    assert [event[-1] for event in events(tmp_path)] == [Kind.START, Kind.STOP]
    assert not recorder.enabled
    assert recorder.truncated == ""


def test_closing_from_another_thread_never_raises_into_the_writer(tmp_path: Path) -> None:
    for _ in range(20):
        recorder, failures, begun = recorder_in(tmp_path), [], threading.Event()

        def write(recorder: Recorder = recorder, failures: list = failures, begun: threading.Event = begun) -> None:
            try:
                while recorder.enabled:
                    recorder.add(Kind.FETCH, 0, 0)
                    recorder.add_items(0, [1, 2], [1, 2, 3])
                    begun.set()
                recorder.add(Kind.FETCH, 0, 0)
                recorder.add_items(0, [1, 2], [1, 2, 3])
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the failure
                failures.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        assert begun.wait(10)
        recorder.close()
        thread.join()
        assert failures == []
    gc.collect()


def test_a_directory_that_is_gone_disables_the_recorder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = recorder_in(tmp_path / "nowhere", worker=5)
    recorder.add(Kind.FETCH, 0, 0)
    assert not recorder.enabled
    assert recorder.truncated == "worker 5 stopped recording: No such file or directory"
    assert len(caplog.records) == 1
    assert "The run goes on without it." in caplog.text


FORKED = """
import os, sys
from pathlib import Path
from loader_core.trace import Kind, Recorder, Role
directory = Path(sys.argv[1])
recorder = Recorder(directory, role=Role.MAIN)
recorder.add_stage("held", 0)
pid = os.fork()
recorder.add(Kind.DRAW, 1 if pid else 2, 0)
if not pid:
    assert not recorder.enabled
    recorder.add_items(2, [1], [1, 2])
    recorder.close()
    own = Recorder(directory, role=Role.WORKER, worker=0)
    own.add(Kind.FETCH, 3, 0)
    own.close()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
recorder.add(Kind.DRAW, 4, 0)
recorder.close()
"""


def test_a_forked_copy_writes_nothing_into_its_parents_chain(tmp_path: Path) -> None:
    code, said = run_script(FORKED, tmp_path)
    assert code == 0, said
    by_role = {path.name.split("-")[0]: SegmentReader(path).take() for path in segments(tmp_path)}
    assert by_role["main"]["kind"].tolist() == [Kind.START, Kind.STAGE, Kind.DRAW, Kind.DRAW, Kind.STOP]
    assert by_role["main"]["batch"][2:4].tolist() == [1, 4]
    assert by_role["worker"]["kind"].tolist() == [Kind.START, Kind.FETCH, Kind.STOP]


def test_the_null_recorder_does_nothing_at_all() -> None:
    NULL_RECORDER.add(Kind.FETCH, 0, 0)
    NULL_RECORDER.mark(Kind.GAUGE)
    NULL_RECORDER.add_items(0, [1], [1, 2])
    NULL_RECORDER.add_stage("read", 0)
    NULL_RECORDER.close()
    assert not NULL_RECORDER.enabled
    assert NULL_RECORDER.detail is Detail.BATCH


def test_a_share_travels(tmp_path: Path) -> None:
    share = RecordingShare(tmp_path, anchor_ns=5, rank=2, budget_bytes=1 << 20)
    assert pickle.loads(pickle.dumps(share)) == share


def test_two_chains_of_one_process_never_share_a_name(tmp_path: Path) -> None:
    recorders = [recorder_in(tmp_path, worker=0) for _ in range(200)]
    for recorder in recorders:
        recorder.close()
    assert len(segments(tmp_path)) == 200
