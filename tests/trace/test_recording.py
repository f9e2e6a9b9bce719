"""Recording: the run's header, the consumer's side of a loader, and how a run ends."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loader_core.errors import RecordingError
from loader_core.trace.control import Control
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, SCHEMA_VERSION, Kind, Role, kind_table
from loader_core.trace.recorder import now
from loader_core.trace.recording import Delivery, Recording, seal
from loader_core.trace.segment import SegmentReader
from loader_core.trace.trace import Trace
from tests.trace.records import Event, events, run_script, segments


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    with Recording.create(tmp_path / "run", run_id="r1", classes=["cat", "dog"]) as recording:
        yield recording


class Batch:
    """Something that can be watched."""


def delivery(number: int, *, batch: Any = None, samples: int = 4) -> Delivery:
    return Delivery(batch or Batch(), number, 1, range(samples), samples, 100, 2)


def deliveries(count: int, closed: list[bool] | None = None) -> Iterator[Delivery]:
    try:
        for number in range(count):
            yield delivery(number)
    finally:
        if closed is not None:
            closed.append(True)


def said(directory: Path) -> dict[str, Any]:
    header: dict[str, Any] = json.loads((directory / "run.json").read_text())
    return header


def kinds(rows: list[Event]) -> list[str]:
    return [Kind(row[-1]).name for row in rows]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        tick.wait(0.005)


# --- the header -------------------------------------------------------------------------------------------------------


def test_the_header_says_what_the_run_is(tmp_path: Path) -> None:
    before, perf = time.time_ns(), now()
    directory = tmp_path / "new" / "run"
    recording = Recording.create(
        directory, run_id="r7", name="seven", settings={"num_workers": 2}, classes=["a"], rank=3
    )
    header = said(directory)
    assert (header["schema"], header["id"], header["name"], header["rank"]) == (SCHEMA_VERSION, "r7", "seven", 3)
    assert (header["state"], header["reason"], header["ended_unix_ns"]) == ("running", "", None)
    assert header["settings"] == {"num_workers": 2}
    assert header["classes"] == ["a"]
    assert header["changes"] == []
    assert header["kinds"] == kind_table()
    assert header["pid"] == os.getpid()
    assert before <= header["started_unix_ns"] == header["clock"]["unix_ns"] <= time.time_ns()
    assert perf <= header["clock"]["perf_ns"] == recording.anchor_ns <= now()
    assert header["versions"]["numpy"]
    assert header["host"]["cpus"] >= 1
    recording.finish("stopped", "enough")
    header = said(directory)
    assert (header["state"], header["reason"]) == ("stopped", "enough")
    assert header["ended_unix_ns"] >= header["started_unix_ns"]
    recording.finish("failed", "later")
    assert said(directory)["state"] == "stopped", "only the first end counts"


def test_a_directory_that_the_server_made_is_used_with_its_control_page(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    control = Control.create(tmp_path)
    recording = Recording.create(tmp_path, run_id="r")
    control.pause = True
    assert recording.control.pause
    recording.finish("finished")
    control.close()


def test_a_directory_holds_one_run(tmp_path: Path) -> None:
    Recording.create(tmp_path, run_id="r").finish("finished")
    with pytest.raises(RecordingError, match=r"holds a run already\. Record into a directory of its own"):
        Recording.create(tmp_path, run_id="r")


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot be recorded into: Not a directory"):
        Recording.create(tmp_path / "file" / "run", run_id="r")


def test_a_change_is_marked_and_listed(recording: Recording) -> None:
    recording.change({"num_workers": 4}, restarted_loader=True)
    recording.change({"step_ms": 2.0}, restarted_loader=False)
    first, second = said(recording.directory)["changes"]
    assert (first["number"], first["fields"], first["restarted_loader"]) == (0, {"num_workers": 4}, True)
    assert (second["number"], second["fields"], second["restarted_loader"]) == (1, {"step_ms": 2.0}, False)
    assert 0 < first["at_ns"] < second["at_ns"]
    marks = [event for event in events(recording.directory) if event[-1] == Kind.CHANGE]
    assert [mark[2] for mark in marks] == [0, 1]


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (None, "finished", ""),
        (ValueError("no such file"), "failed", "ValueError: no such file"),
        (KeyboardInterrupt(), "stopped", "interrupted from the keyboard"),
    ],
)
def test_how_a_run_ends(tmp_path: Path, error: BaseException | None, state: str, reason: str) -> None:
    def run() -> None:
        with Recording.create(tmp_path, run_id="r") as recording:
            recording.recorder(Role.MAIN)
            if error is not None:
                raise error

    if error is None:
        run()
    else:
        with pytest.raises(type(error)):
            run()
    header = said(tmp_path)
    assert (header["state"], header["reason"]) == (state, reason)
    assert all(SegmentReader(path).header.sealed for path in segments(tmp_path))


def test_a_run_that_a_viewer_stopped_says_so(tmp_path: Path) -> None:
    with Recording.create(tmp_path, run_id="r") as recording:
        recording.control.stop = True
    assert said(tmp_path)["state"] == "stopped"


# --- deliver ----------------------------------------------------------------------------------------------------------


def test_the_consumers_side_of_an_epoch(recording: Recording) -> None:
    seen = [now(), *(now() for _ in recording.deliver(deliveries(2)))]
    recorded = events(recording.directory)[1:]
    assert kinds(recorded) == ["WAIT_BATCH", "STEP", "CPU", "WAIT_BATCH", "STEP", "CPU", "WAIT_BATCH"]
    rows = [row for row in recorded if row[-1] != Kind.CPU]
    assert [(row[2], row[4], row[5]) for row in rows[:4]] == [(2, 0, 1), (4, 0, 1), (2, 1, 1), (4, 1, 1)]
    assert (rows[4][2], rows[4][4]) == (NOT_MEASURED, NO_BATCH), "waiting for the end is waiting too, for no batch"
    flat = [at for row in rows for at in row[:2]]
    assert flat == sorted(flat), "waits and steps follow each other and never overlap"
    assert seen[0] <= rows[0][0]
    assert rows[0][1] <= seen[1] <= rows[1][1]
    assert rows[2][1] <= seen[2] <= rows[3][1]


def test_the_cpu_time_of_a_step_is_that_of_all_threads(recording: Recording) -> None:
    def burn() -> None:
        spent = time.thread_time_ns() + 20_000_000
        while time.thread_time_ns() < spent:
            pass

    for number, _ in enumerate(recording.deliver(deliveries(2))):
        if number == 1:
            other = threading.Thread(target=burn)
            other.start()
            burn()
            other.join()
    idle, busy = (row[2] for row in events(recording.directory) if row[-1] == Kind.CPU)
    assert 0 <= idle < 20_000_000
    assert busy >= 40_000_000


def test_nobody_holds_a_batch_but_the_training_loop(recording: Recording) -> None:
    held: list[weakref.ref[Batch]] = []
    kept: list[Delivery] = []

    def loader() -> Iterator[Delivery]:
        for number in range(3):
            assert all(ref() is None for ref in held), "a batch outlived its step"
            one = delivery(number)
            kept.append(one)  # as a loader's frame does
            yield one

    gc.disable()  # references must go by themselves
    try:
        for batch in recording.deliver(loader()):
            held.append(weakref.ref(batch))
            del batch
            assert held[-1]() is None, "within the step too"
    finally:
        gc.enable()
    assert len(held) == 3


def test_stop_ends_the_iteration_and_closes_the_loader(recording: Recording) -> None:
    closed: list[bool] = []
    loader = deliveries(100, closed)  # held here, so that only `close` can end it
    count = 0
    for _ in recording.deliver(loader):
        count += 1
        recording.control.stop = count == 3
    assert count == 3
    assert closed == [True]
    assert kinds(events(recording.directory)[1:]) == ["WAIT_BATCH", "STEP", "CPU"] * 3


def test_break_closes_the_loader_and_ends_the_step(recording: Recording) -> None:
    closed: list[bool] = []
    loader = deliveries(100, closed)
    for _ in recording.deliver(loader):
        break
    assert closed == [True]
    rows = events(recording.directory)[1:]
    assert kinds(rows) == ["WAIT_BATCH", "STEP", "CPU", "WAIT_BATCH"]
    assert (rows[-1][4], rows[-1][0]) == (NO_BATCH, rows[-1][1]), "nobody waits any more"


def test_an_error_of_the_loader_keeps_its_type_and_is_recorded(recording: Recording) -> None:
    def loader() -> Iterator[Delivery]:
        yield delivery(0)
        raise FileNotFoundError("img_7.jpg")

    with pytest.raises(FileNotFoundError, match="img_7"):
        for _ in recording.deliver(loader()):
            pass
    rows = events(recording.directory)[1:]
    assert kinds(rows) == ["WAIT_BATCH", "STEP", "CPU", "WAIT_BATCH", "ERROR"]


def test_an_iterator_without_close_will_do(recording: Recording) -> None:
    assert len(list(recording.deliver(iter([delivery(0), delivery(1)])))) == 2


def test_pause_rests_between_two_batches_and_is_seen_while_it_lasts(recording: Recording) -> None:
    done = threading.Event()

    def train() -> None:
        for _ in recording.deliver(deliveries(2)):
            recording.control.pause = True
        done.set()

    thread = threading.Thread(target=train)
    thread.start()

    def resting(steps: int) -> bool:
        names = kinds(events(recording.directory))
        return names.count("STEP") == steps and names[-1] == "PAUSE"

    for steps in (1, 2):
        eventually(lambda steps=steps: resting(steps))
        assert not done.is_set()
        recording.control.pause = False
    thread.join(10)
    assert done.is_set()
    pauses = [row[1] - row[0] for row in events(recording.directory) if row[-1] == Kind.PAUSE]
    assert recording.paused_ns == sum(pauses)


def test_stop_and_finish_end_a_pause(tmp_path: Path) -> None:
    for end in ("stop", "finish"):
        recording = Recording.create(tmp_path / end, run_id="r")
        recording.control.pause = True
        got: list[Any] = []
        thread = threading.Thread(target=lambda r=recording, got=got: got.extend(r.deliver(deliveries(5))))
        thread.start()
        eventually(lambda r=recording: "PAUSE" in kinds(events(r.directory)))
        if end == "stop":
            recording.control.stop = True
        else:
            recording.finish("stopped")
        thread.join(10)
        assert not thread.is_alive()
        assert got == []
        recording.finish("stopped")


def test_each_thread_has_a_consumer_of_its_own(recording: Recording) -> None:
    threads = [threading.Thread(target=lambda: list(recording.deliver(deliveries(50)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recording.finish("finished")
    chains = [SegmentReader(path).take() for path in segments(recording.directory)]
    assert [len(chain) for chain in chains] == [2 + 151] * 3
    trace = Trace.open(recording.directory)
    assert [(lane.role, lane.worker) for lane in trace.lanes] == [(Role.CONSUMER, -1)]
    assert trace.batches == 150


# --- previews ---------------------------------------------------------------------------------------------------------


def test_previews_are_made_only_while_wanted_and_not_too_often(recording: Recording) -> None:
    def steps(count: int) -> list[Event]:
        before = len(events(recording.directory))
        for _ in recording.deliver(deliveries(count)):
            pass
        return [row for row in events(recording.directory)[before:] if row[-1] == Kind.PREVIEW]

    assert steps(3) == []
    recording.control.preview_until_ns = now() + 10**12
    [preview] = steps(20)
    assert preview[2] == sum(path.stat().st_size for path in (recording.directory / "previews").iterdir()) > 0
    assert preview[4] == 0
    recording.control.preview_until_ns = now()
    assert steps(3) == []


class Hostile:
    """A batch whose look alone raises."""

    dtype = "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        raise RuntimeError("do not look")


def test_a_broken_preview_never_reaches_the_training(recording: Recording, caplog: pytest.LogCaptureFixture) -> None:
    recording.control.preview_until_ns = now() + 10**12
    batches = list(recording.deliver(iter([delivery(0, batch=Hostile()), delivery(1)])))
    assert len(batches) == 2
    assert "no preview of batch 0" in caplog.text
    [preview] = [row for row in events(recording.directory) if row[-1] == Kind.PREVIEW]
    assert preview[2] == NOT_MEASURED


# --- sealing ----------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from loader_core.trace import Kind, Recording, Role
recording = Recording.create(Path(sys.argv[1]), run_id="r", name="killed")
worker = recording.recorder(Role.WORKER, 0)
for number in range(1000):
    worker.add(Kind.FETCH, number, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_is_sealed_by_the_server(tmp_path: Path) -> None:
    assert run_script(KILLED, tmp_path)[0] == -9
    (tmp_path / "worker-0.1.1.000009.events.new").write_bytes(b"")
    trace = Trace.open(tmp_path)
    assert trace.run.live
    seal(tmp_path, "interrupted", "killed by SIGKILL")
    trace.refresh()
    assert (trace.run.state, trace.run.reason, trace.run.name) == ("interrupted", "killed by SIGKILL", "killed")
    assert trace.run.ended_unix_ns is not None
    assert len(events(tmp_path)) == 1001
    assert all(SegmentReader(path).header.sealed for path in segments(tmp_path))
    assert not list(tmp_path.glob("*.new"))


def test_a_run_that_said_how_it_ended_keeps_its_word(tmp_path: Path) -> None:
    Recording.create(tmp_path, run_id="r").finish("failed", "ValueError: x")
    seal(tmp_path, "interrupted", "gone")
    assert (said(tmp_path)["state"], said(tmp_path)["reason"]) == ("failed", "ValueError: x")


def test_a_run_that_never_began_is_sealed_too(tmp_path: Path) -> None:
    directory = tmp_path / "r9"
    directory.mkdir()
    seal(directory, "failed", "python could not be started")
    trace = Trace.open(directory)
    assert (trace.run.id, trace.run.state, trace.run.reason) == ("r9", "failed", "python could not be started")


def test_importing_the_trace_loads_neither_torch_nor_pillow_nor_plotly() -> None:
    code, out = run_script(
        "import sys, loader_core.trace\n"
        "print(sorted({'torch', 'PIL', 'plotly', 'fastapi', 'pydantic', 'app'} & set(sys.modules)))"
    )
    assert (code, out) == (0, "[]\n")
