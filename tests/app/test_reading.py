"""What a tick reads: the same run, however it is cut into readings, live or replayed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.memory import process_memory
from app.reading import (
    MAX_RECENT_NS,
    RECENT_NS,
    RECENT_STEPS,
    LiveReader,
    Reading,
    Recent,
    ReplayReader,
)
from loader_core.diagnose.metrics import Metrics, OpenWaits, measure
from loader_core.diagnose.queues import QueueCount
from loader_core.diagnose.rows import Rows
from loader_core.trace import ROW_DTYPE, TAIL_ROWS, Kind, Trace
from tests.app.watcher import MS, Script, write_preview

S = 1_000_000_000


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    run = Script(tmp_path, "run")
    yield run
    run.finish()


def opened(script: Script) -> Callable[[], Any]:
    trace = script.trace()

    @contextmanager
    def reading() -> Iterator[Trace]:
        yield trace

    return reading


def joined(readings: list[Reading]) -> Rows:
    return np.concatenate([reading.rows for reading in readings])


def test_live_readings_together_are_the_whole_run(script: Script) -> None:
    reader = LiveReader(opened(script))
    readings = []
    for _ in range(4):
        script.batches(5)
        readings.append(reader.read(live=True))
    script.finish()
    readings.append(reader.read(live=False))
    trace = script.trace()
    rows = joined(readings)
    expected, _, _ = trace.tail(0, 10**9)
    assert sorted(rows.tolist()) == sorted(expected.tolist())
    assert [reading.fresh for reading in readings] == [True, False, False, False, False]
    assert [reading.over for reading in readings] == [False] * 4 + [True]
    last = readings[-1]
    exact = measure(rows, start_ns=0, end_ns=trace.duration_ns)
    quantiles = {"wait_p50_ns": None, "wait_p95_ns": None, "wait_p99_ns": None}
    assert replace(last.total, **quantiles) == replace(exact, **quantiles)
    ready, in_flight = QueueCount().add(expected)
    assert np.concatenate([reading.ready.values for reading in readings]).tolist() == ready.values.tolist()
    assert np.concatenate([reading.in_flight.values for reading in readings]).tolist() == in_flight.values.tolist()
    assert last.now_ns == trace.duration_ns


def test_a_script_that_goes_on_after_its_run_is_over(script: Script) -> None:
    script.batches(1)
    script.finish()
    reading = LiveReader(opened(script)).read(live=True)
    assert reading.over
    assert reading.now_ns == script.trace().duration_ns


def test_now_goes_on_while_nothing_happens_in_a_live_run(script: Script) -> None:
    script.batches(1)
    reader = LiveReader(opened(script))
    first, second = reader.read(live=True), reader.read(live=True)
    assert len(second.rows) == 0
    assert second.now_ns >= first.now_ns >= script.trace().duration_ns


def test_a_run_of_another_host_has_its_own_clock_and_processes(script: Script) -> None:
    script.batches(1)
    reader = LiveReader(opened(script))
    assert list(reader.read(live=True).pids.values()) == ["main"]
    script.recording.update(host={"name": f"not-{socket.gethostname()}"})
    reading = reader.read(live=True)
    assert (reading.now_ns, reading.pids) == (script.trace().duration_ns, {})


def test_another_trace_of_the_same_run_begins_anew(script: Script) -> None:
    script.batches(2)
    traces = [script.trace(), script.trace()]
    current = [traces[0]]

    @contextmanager
    def reading() -> Iterator[Trace]:
        yield current[0]

    reader = LiveReader(reading)
    first = reader.read(live=True)
    current[0] = traces[1]
    second = reader.read(live=True)
    assert second.fresh
    assert second.source != first.source
    assert second.rows.tolist() == first.rows.tolist()
    assert second.total == replace(first.total, **{"end_ns": second.total.end_ns} | rates(second))


def rates(reading: Reading) -> dict[str, Any]:
    names = ("batches_per_s", "samples_per_s", "bytes_per_s", "wait_share")  # the loop waits on between two readings
    return {name: getattr(reading.total, name) for name in names}


def test_totals_of_a_recording_longer_than_the_tail_count_its_beginning_too(script: Script) -> None:
    script.batches(3)
    for _ in range(TAIL_ROWS // 50_000 + 1):
        script.items(50_000)
    script.batches(2)
    script.finish()
    reading = LiveReader(opened(script)).read(live=False)
    assert len(reading.rows) == TAIL_ROWS < reading.end
    assert reading.total.batches == 5
    assert reading.total.first_batch_ns == MS + MS // 5


@pytest.mark.parametrize("ticks", [1, 3, 17])
def test_replay_readings_together_are_the_whole_run(script: Script, ticks: int) -> None:
    script.batches(40)
    script.finish()
    trace = script.trace()
    clock = [0]
    reader = ReplayReader(opened(script), from_ns=trace.duration_ns // 3, speed=2.0, clock=lambda: clock[0])
    readings = [reader.read(live=False)]
    for _ in range(ticks):
        clock[0] += trace.duration_ns // ticks
        readings.append(reader.read(live=False))
        assert (joined(readings)["end"] <= readings[-1].now_ns).all()
    expected, _, _ = trace.tail(0, 10**9)
    assert sorted(joined(readings).tolist()) == sorted(expected.tolist())
    assert readings[0].now_ns == trace.duration_ns // 3
    assert readings[-1].over
    assert readings[-1].end == len(expected)
    live = LiveReader(opened(script)).read(live=False)
    assert readings[-1].total == live.total
    assert readings[-1].rollup.rows.tobytes() == live.rollup.rows.tobytes()


def test_a_replay_shows_the_time_before_it_but_not_all_of_it(script: Script) -> None:
    script.batches(50, step_ns=S)
    script.finish()
    reader = ReplayReader(opened(script), from_ns=45 * S, speed=1.0, clock=lambda: 0)
    reading = reader.read(live=False)
    steps = reading.rows[reading.rows["kind"] == Kind.STEP]
    assert 28 <= len(steps) <= 31
    assert reading.total.batches == (steps["batch"].max() + 1)


def test_a_replay_knows_no_preview_and_no_change_of_its_future(script: Script) -> None:
    script.batches(10)
    script.recording.change({"step_ms": 5}, restarted_loader=False)
    change = script.trace().run.changes[0]
    write_preview(script, 1, at_ns=0)
    write_preview(script, 2, at_ns=change["at_ns"])
    script.finish()
    early = ReplayReader(opened(script), from_ns=change["at_ns"] - 1, speed=1.0, clock=lambda: 0).read(live=False)
    assert early.changes == []
    assert early.preview is not None
    assert early.preview.number == 1
    whole = LiveReader(opened(script)).read(live=False)
    assert [found.fields for found in whole.changes] == [{"step_ms": 5}]
    assert whole.preview is not None
    assert whole.preview.number == 2


def test_a_preview_that_is_none_of_ours_is_passed_over(script: Script) -> None:
    write_preview(script, 1, at_ns=0)
    (script.directory / "previews" / "000002.json").write_text("{")
    (script.directory / "previews" / "notes.txt").write_text("mine")
    reading = LiveReader(opened(script)).read(live=True)
    assert reading.preview is not None
    assert reading.preview.number == 1


# --- the recent numbers -----------------------------------------------------------------------------------------------


def steps_every(interval_ns: int, count: int) -> Rows:
    rows = np.zeros(count, ROW_DTYPE)
    rows["kind"] = Kind.STEP
    rows["start"] = np.arange(count) * interval_ns
    rows["end"] = rows["start"] + interval_ns
    rows["value"] = 1
    return rows


def recent(rows: Rows, now_ns: int) -> Metrics:
    """What is measured when the rows came in a hundred readings."""
    found = Recent()
    for portion in np.array_split(rows, 100):
        found.add(portion, min(now_ns, int(portion["end"].max(initial=0))))
    return found.metrics(now_ns, OpenWaits())


def test_a_wait_that_goes_on_counts_as_waiting_while_the_run_lives(script: Script) -> None:
    """The loop has asked for a batch, and 400 ms later its worker still reads."""
    script.batches(3, step_ns=50 * MS)
    asked_ns = script.time_ns - script.recording.anchor_ns
    script.time_ns += 400 * MS
    script.items(1)
    reader = LiveReader(opened(script))
    live = reader.read(live=True)
    over = reader.read(live=False).total
    assert live.now_ns - asked_ns >= 400 * MS
    waited, stepped = 3 * (MS + MS // 5), 3 * 50 * MS
    assert over.wait_share == waited / (waited + stepped)
    waited += live.now_ns - asked_ns
    assert live.total.wait_share == live.recent.wait_share == waited / (waited + stepped)


def test_recent_is_the_last_two_seconds_where_steps_are_short() -> None:
    found = recent(steps_every(10 * MS, 1_000), 10 * S)
    assert (found.start_ns, found.end_ns) == (10 * S - RECENT_NS, 10 * S)
    assert found.batches == 200


def test_recent_reaches_back_for_enough_steps_but_not_for_ever() -> None:
    found = recent(steps_every(3 * S, 30), 90 * S)
    assert (found.batches, found.start_ns) == (RECENT_STEPS, (90 - 3 * RECENT_STEPS) * S)
    found = recent(steps_every(20 * S, 30), 600 * S)
    assert (found.batches, found.end_ns - found.start_ns) == (2, MAX_RECENT_NS)


def test_recent_does_not_begin_before_the_run() -> None:
    assert recent(steps_every(S, 1), S).start_ns == 0


def test_recent_keeps_nothing_that_it_will_not_need() -> None:
    found = Recent()
    for second in range(1_000):
        found.add(steps_every(S, second + 1)[-1:], (second + 1) * S)
    assert len(found._portions) == MAX_RECENT_NS // S


# --- memory -----------------------------------------------------------------------------------------------------------


def test_memory_of_processes_that_are_there_and_of_none_that_are_gone() -> None:
    found = process_memory({os.getpid(): "this", 2**22 + 1: "gone"})
    assert [process.label for process in found] == ["this"]
    assert found[0].rss_bytes > 2**20
    assert found[0].pss_bytes is None or 0 < found[0].pss_bytes <= found[0].rss_bytes
