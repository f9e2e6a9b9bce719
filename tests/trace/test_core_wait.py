"""Waiting for a core, as the scheduler tells it: with a rival on the same core, and without one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loader_core.trace import Kind, Recorder, Role
from loader_core.trace.core_wait import WORTH_NS, CoreWait
from loader_core.trace.recorder import now
from tests.trace.records import events

pytestmark = pytest.mark.skipif(not Path("/proc/thread-self/schedstat").exists(), reason="Linux alone tells")

RIVAL = "print('up', flush=True)\nwhile True: pass"


@pytest.fixture
def rival() -> Iterator[None]:
    """Another process that computes without a break, on the one core that both may use."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    with subprocess.Popen([sys.executable, "-c", RIVAL], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()
    os.sched_setaffinity(0, cores)


def compute(cpu_ns: int) -> None:
    done = time.thread_time_ns() + cpu_ns
    while time.thread_time_ns() < done:
        pass


def told(directory: Path) -> list[int]:
    return [event[2] for event in events(directory) if event[7] == Kind.CORE_WAIT]


def fetch(meter: CoreWait, recorder: Recorder, cpu_ns: int) -> int:
    """One fetch that computes; how long it took."""
    start = now()
    meter.begin()
    compute(cpu_ns)
    took = now() - start
    meter.end(recorder, 3, took)
    return took


@pytest.mark.usefixtures("rival")
def test_who_computes_beside_a_rival_waits_for_the_core_for_the_rest(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, role=Role.WORKER, worker=0)
    took = fetch(CoreWait(), recorder, 200_000_000)
    recorder.close()
    (waited,) = told(tmp_path)
    assert took > 250_000_000, "the rival had its part"
    assert 0.8 * (took - 200_000_000) <= waited <= took


def test_who_sleeps_does_not_wait_for_a_core(tmp_path: Path) -> None:
    recorder, meter = Recorder(tmp_path, role=Role.WORKER, worker=0), CoreWait()
    meter.begin()
    start = now()
    time.sleep(0.2)  # what is slept is what is tested: storage that does not answer
    took = now() - start
    meter.end(recorder, 3, took)
    recorder.close()
    (waited,) = told(tmp_path)
    assert waited < took / 2, "at most what it had to wait for once it woke"


def test_of_short_fetches_nothing_is_asked(tmp_path: Path) -> None:
    recorder, meter = Recorder(tmp_path, role=Role.WORKER, worker=0), CoreWait()
    for took in (WORTH_NS - 1, WORTH_NS - 1, WORTH_NS, WORTH_NS):
        meter.begin()
        meter.end(recorder, 3, took)
    recorder.close()
    assert len(told(tmp_path)) == 2, "the first one, and the one after a long one"


def test_where_nobody_tells_nothing_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loader_core.trace.core_wait._STATISTICS", tmp_path / "none")
    recorder = Recorder(tmp_path, role=Role.WORKER, worker=0)
    fetch(CoreWait(), recorder, 1_000_000)
    recorder.close()
    assert told(tmp_path) == []
