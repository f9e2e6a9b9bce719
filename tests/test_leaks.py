"""The leak check must see what it says it sees."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from multiprocessing import shared_memory
from pathlib import Path

import pytest

from tests import leaks
from tests.leaks import Snapshot


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    monkeypatch.setattr(leaks, "SETTLE_S", 0.05)
    return Snapshot.take()


def test_nothing_done_leaves_nothing(before: Snapshot) -> None:
    assert leaks.left_behind(before) == []


def test_sees_a_process(before: Snapshot) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert any(f"processes: pid {child.pid}" in line for line in leaks.left_behind(before))
    finally:
        child.communicate(b"\n")
    assert leaks.left_behind(before) == []


def test_sees_a_thread(before: Snapshot) -> None:
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait, name="forgotten")
    thread.start()
    try:
        assert any("threads: forgotten" in line for line in leaks.left_behind(before))
    finally:
        leave.set()
        thread.join()


def test_sees_a_descriptor(before: Snapshot, tmp_path: Path) -> None:
    with (tmp_path / "open").open("wb"):
        assert any(line.endswith("/open") and "descriptors" in line for line in leaks.left_behind(before))


def test_sees_a_mapped_segment(before: Snapshot, tmp_path: Path) -> None:
    segment = tmp_path / "worker-0.1.1.000001.events"
    segment.write_bytes(bytes(mmap.PAGESIZE))
    with ExitStack() as stack:
        descriptor = os.open(segment, os.O_RDWR)
        mapped = stack.enter_context(mmap.mmap(descriptor, mmap.PAGESIZE))
        os.close(descriptor)
        assert mapped[0] == 0
        assert any("mapped files" in line and segment.name in line for line in leaks.left_behind(before))


def test_sees_shared_memory(before: Snapshot) -> None:
    shared = shared_memory.SharedMemory(create=True, size=4096)
    try:
        assert any(f"shared memory: /dev/shm/{shared.name}" in line for line in leaks.left_behind(before))
    finally:
        shared.close()
        shared.unlink()
