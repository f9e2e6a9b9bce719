"""Measuring what code takes: memory as Python counts it, memory as the system counts it, and time."""

from __future__ import annotations

import gc
import multiprocessing
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import psutil


def peak_bytes(action: Callable[[], object]) -> int:
    """The most that the objects made by `action` took at once, as Python's allocators count it."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        action()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def held_course(make: Callable[[], Iterable[object]]) -> list[int]:
    """What is held in memory at each item of what `make` gives, as Python's allocators count it, bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        return [tracemalloc.get_traced_memory()[0] - before for _ in make()]
    finally:
        tracemalloc.stop()


def seconds(action: Callable[[], object], *, repeats: int = 1) -> float:
    """The shortest wall-clock time of `repeats` runs: what disturbs a run only ever makes it longer."""
    return min(_time(action) for _ in range(repeats))


def _time(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def resident_course(consume: Callable[[Iterable[Any]], object], items: Iterable[Any]) -> list[int]:
    """How much more of the system's memory this takes at each item that `consume` asks for, bytes.

    Runs in a forked process of its own, so that what was used before neither counts nor leaves room. Needs a process
    without other threads.
    """
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_watch, args=(consume, items, sending))
    process.start()
    sending.close()
    try:
        course: list[int] = receiving.recv()
    finally:
        receiving.close()
        process.join()
    return course


def _watch(consume: Callable[[Iterable[Any]], object], items: Iterable[Any], sending: Connection) -> None:
    own = psutil.Process()
    course: list[int] = []
    before = own.memory_info().rss

    def watched() -> Iterator[Any]:
        for item in items:
            course.append(own.memory_info().rss - before)
            yield item
        course.append(own.memory_info().rss - before)

    consume(watched())
    sending.send(course)
    sending.close()
