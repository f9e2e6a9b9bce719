"""Exports: a Chrome trace that Perfetto reads, and a summary that says the same as the trace."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import loader_core.trace.export as export
from loader_core.trace.event import Flag, Kind, Role
from loader_core.trace.export import perfetto, summary
from loader_core.trace.recording import Recording
from loader_core.trace.trace import Trace

MS = 1_000_000
BASE_US = 10_000_000
"""When the events begin, in microseconds of run time: after the recorders were made."""


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Two batches from two workers; main was already waiting when the second was sent."""
    recording = Recording.create(tmp_path / "run", run_id="r1", name="two batches", settings={"num_workers": 2})
    main, consumer = recording.recorder(Role.MAIN), recording.consumer
    workers = [recording.recorder(Role.WORKER, number) for number in range(2)]

    def at(ms: float) -> int:
        return recording.anchor_ns + BASE_US * 1000 + round(ms * MS)

    main.add(Kind.DISPATCH, 0, at(0), at(0), 1)
    main.add(Kind.DISPATCH, 1, at(0), at(0), 2)
    for number, worker in enumerate(workers):
        worker.add(Kind.FETCH, number, at(1 + number), at(5 + number))
        worker.add(Kind.SEND, number, at(5 + number), at(6 + number), 4096)
    worker.add(Kind.STAGE, 1, at(7), at(7), 0xABC, 5)
    main.add(Kind.RECEIVE, 0, at(5.5), at(6.5), 4096)
    main.add(Kind.RECEIVE, 1, at(5.9), at(7.5), 4096)
    main.add(Kind.HOLD, 1, at(6), at(7.6))
    main.add(Kind.COPY, 1, at(7.6), at(7.7), 4096, -1, Flag.SIMULATED)
    for number in range(2):
        consumer.add(Kind.WAIT_BATCH, number, at(10 * number), at(10 * number + 8), 1)
        consumer.add(Kind.STEP, number, at(10 * number + 8), at(10 * number + 10), 32)
    recording.finish("finished")
    return Trace.open(recording.directory)


def exported(trace: Trace) -> list[dict[str, Any]]:
    stream = io.StringIO()
    count = perfetto(trace, stream)
    document = json.loads(stream.getvalue())
    events: list[dict[str, Any]] = document["traceEvents"]
    assert len(events) == count
    assert document["otherData"]["run"] == "r1"
    assert document["otherData"]["lost"] == 0
    return events


def test_each_event_is_well_formed(trace: Trace) -> None:
    wanted = {
        "M": {"name", "args"},
        "X": {"name", "cat", "ts", "dur", "args"},
        "i": {"name", "cat", "ts", "s", "args"},
        "C": {"name", "ts", "args"},
        "b": {"name", "cat", "ts", "id", "args"},
        "e": {"name", "cat", "ts", "id"},
        "s": {"name", "cat", "ts", "id"},
        "f": {"name", "cat", "ts", "id", "bp"},
    }
    for event in exported(trace):
        assert set(event) == {"ph", "pid", "tid"} | wanted[event["ph"]]
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert event.get("dur", 0) >= 0


def test_lanes_are_named_threads(trace: Trace) -> None:
    events = exported(trace)
    names = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in events
        if event["ph"] == "M" and event["name"] == "thread_name"
    }
    assert sorted(names.values()) == ["device", "main", "training loop", "worker 0", "worker 1"]
    processes = {e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    assert processes == {"two batches (rank 0)"}
    assert {(event["pid"], event["tid"]) for event in events} == set(names), "nothing lies on a lane without a name"


def test_times_are_microseconds_of_run_time(trace: Trace) -> None:
    [fetch] = [e for e in exported(trace) if e["name"] == "FETCH" and e["args"]["batch"] == 1]
    assert (fetch["ts"] - BASE_US, fetch["dur"]) == (2000, 4000)
    [copy] = [e for e in exported(trace) if e["name"] == "COPY"]
    assert copy["args"] == {"batch": 1, "epoch": 0, "bytes": 4096, "flags": ["SIMULATED"]}


def test_an_arrow_leads_from_each_send_to_its_receive(trace: Trace) -> None:
    events = exported(trace)
    starts = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert len(starts) == 2
    assert set(starts) == set(ends)
    slices = [event for event in events if event["ph"] == "X"]
    for number, start in starts.items():
        end = ends[number]
        assert start["ts"] <= end["ts"]
        assert (start["cat"], start["name"]) == (end["cat"], end["name"])
        [sent] = [s for s in slices if s["name"] == "SEND" and encloses(s, start)]
        [received] = [s for s in slices if s["name"] == "RECEIVE" and s["ts"] + s["dur"] == end["ts"]]
        assert encloses(received, end)
        assert sent["args"]["batch"] == received["args"]["batch"]


def encloses(span: dict[str, Any], point: dict[str, Any]) -> bool:
    same_lane = (span["pid"], span["tid"]) == (point["pid"], point["tid"])
    return bool(same_lane and span["ts"] <= point["ts"] <= span["ts"] + span["dur"])


def test_a_send_that_was_never_received_has_no_arrow(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="r1") as recording:
        worker = recording.recorder(Role.WORKER, 0)
        worker.mark(Kind.SEND, 0)
        worker.mark(Kind.SEND, 0)
    assert not [event for event in exported(Trace.open(recording.directory)) if event["ph"] in "sf"]


def test_slices_of_a_lane_nest_and_what_overlaps_is_asynchronous(trace: Trace) -> None:
    events = exported(trace)
    assert Counter(e["ph"] for e in events if e["name"] == "HOLD") == {"b": 1, "e": 1}
    [begin, end] = [e for e in events if e["name"] == "HOLD"]
    assert begin["id"] == end["id"]
    assert (begin["ts"] - BASE_US, end["ts"] - BASE_US) == (6000, 7600)


def test_counters_and_marks(trace: Trace) -> None:
    events = exported(trace)
    assert [e["args"]["batches in flight"] for e in events if e["ph"] == "C" and "flight" in e["name"]] == [1, 2]
    ready = [(e["ts"] - BASE_US, e["args"]["batches ready"]) for e in events if e["ph"] == "C" and "ready" in e["name"]]
    assert ready == [(8000, 1), (18000, 1)]
    marks = Counter(e["name"] for e in events if e["ph"] == "i")
    assert marks == {"DISPATCH": 2, "START": 4, "STOP": 4}


def test_a_stage_without_a_name_has_its_number(trace: Trace) -> None:
    [stage] = [event for event in exported(trace) if event["name"].startswith("stage")]
    assert stage["name"] == "stage 00000abc"
    assert stage["args"] == {"batch": 1, "epoch": 0, "sample": 5}


@pytest.mark.parametrize("width", [4 * MS, 1 << 60])
def test_each_event_is_exported_once_however_it_is_sliced(
    trace: Trace, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    whole = sorted(json.dumps(event) for event in exported(trace))
    monkeypatch.setattr(export, "_SLICE_NS", width)
    monkeypatch.setattr(export, "_MAX_SLICES", 1 << 60)
    assert sorted(json.dumps(event) for event in exported(trace)) == whole
    counts = sum(kind["events"] for lane in summary(trace)["lanes"] for kind in lane["kinds"].values())
    assert counts == trace.tail(0, 1000)[1]


def test_summary(trace: Trace) -> None:
    said = json.loads(json.dumps(summary(trace)))
    assert (said["id"], said["name"], said["state"]) == ("r1", "two batches", "finished")
    assert (said["batches"], said["samples"], said["bytes"]) == (2, 64, 8192)
    assert (said["wait_ns"], said["step_ns"]) == (16 * MS, 4 * MS)
    assert said["wait_share"] == pytest.approx(0.8)
    assert said["duration_ns"] == trace.duration_ns
    assert said["samples_per_s"] == pytest.approx(64e9 / trace.duration_ns)
    assert said["settings"] == {"num_workers": 2}
    assert (said["lost_events"], said["truncated"], said["problems"]) == (0, "", [])
    lanes = {lane["label"]: lane["kinds"] for lane in said["lanes"]}
    assert lanes["worker 0"]["FETCH"] == {"events": 1, "total_ns": 4 * MS}
    assert lanes["training loop"]["WAIT_BATCH"] == {"events": 2, "total_ns": 16 * MS}


def test_a_run_of_nothing_has_a_summary_and_an_export(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="r1"):
        pass
    trace = Trace.open(tmp_path / "run")
    assert exported(trace) == []
    said = summary(trace)
    assert (said["batches"], said["wait_share"], said["batches_per_s"]) == (0, None, None)
