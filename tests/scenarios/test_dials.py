"""Dials: they really slow a sample, the same page is read in every kind of worker, and turning one acts at once."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import threading
import time

import pytest

from loader_core.scenarios.dials import Dials, pass_time
from loader_core.trace.control import Control

LATENCY_NS = 20_000_000
LONG_NS = 3_600_000_000_000


def held_back_ns(dials: Dials, index: int = 0, nbytes: int = 0) -> int:
    start = time.perf_counter_ns()
    dials.hold_back(index, nbytes)
    return time.perf_counter_ns() - start


def burnt_ns(dials: Dials) -> int:
    start = time.thread_time_ns()
    dials.burn()
    return time.thread_time_ns() - start


def test_without_a_page_nothing_is_slowed() -> None:
    dials = Dials(None)
    dials.hold_back(0, 10**12)
    dials.burn()


def test_each_dial_slows_by_what_it_says(control: Control) -> None:
    dials = Dials(control)
    control.storage_latency_ns = LATENCY_NS
    assert held_back_ns(dials) >= LATENCY_NS
    control.storage_bytes_per_s = 1_000_000
    assert held_back_ns(dials, nbytes=10_000) >= LATENCY_NS + 10_000_000
    control.cpu_ns = 5_000_000
    assert burnt_ns(dials) >= 5_000_000


def test_it_is_always_the_same_samples_that_are_slow(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    monkeypatch.setattr("loader_core.scenarios.dials.pass_time", lambda duration_ns, control: waits.append(duration_ns))
    control.slow_every, control.slow_ns, control.storage_latency_ns = 4, 900, 10
    for index in range(9):
        Dials(control).hold_back(index, 0)
    assert waits == [10, 10, 10, 910, 10, 10, 10, 910, 10]
    waits.clear()
    control.slow_every = control.storage_latency_ns = 0
    Dials(control).hold_back(3, 0)
    assert waits == []


def test_a_stop_ends_each_wait(control: Control) -> None:
    control.storage_latency_ns = control.cpu_ns = LONG_NS
    dials = Dials(control)
    waiting = [threading.Thread(target=wait) for wait in (lambda: dials.hold_back(0, 0), dials.burn)]
    for thread in waiting:
        thread.start()
    control.stop = True
    for thread in waiting:
        thread.join(20)
        assert not thread.is_alive()


def test_time_passes_in_full(control: Control) -> None:
    start = time.perf_counter_ns()
    pass_time(120_000_000, control)  # more than one nap
    assert time.perf_counter_ns() - start >= 120_000_000


def serve(dials: Dials, pipe: multiprocessing.connection.Connection) -> None:
    """A worker: measures its dials whenever it is asked to."""
    while pipe.recv():
        pipe.send((held_back_ns(dials), burnt_ns(dials)))


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_worker_process_sees_a_dial_turned_while_it_runs(control: Control, method: str) -> None:
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    worker = context.Process(target=serve, args=(Dials(control), theirs))
    worker.start()
    theirs.close()
    try:
        for latency_ns, cpu_ns in ((LATENCY_NS, 0), (0, 5_000_000)):
            control.storage_latency_ns, control.cpu_ns = latency_ns, cpu_ns
            ours.send(True)
            held, burnt = ours.recv()
            assert held >= latency_ns
            assert burnt >= cpu_ns
    finally:
        ours.send(False)
        worker.join()
        worker.close()
        ours.close()
