"""Memory of a run's processes, as the server reads it from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.memory import process_memory


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that lives until its standard input is closed."""
    program = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process


def test_processes_come_in_their_order_with_what_they_hold(child: subprocess.Popen[bytes]) -> None:
    found = process_memory({child.pid: "worker 0", os.getpid(): "main"})
    assert [(process.pid, process.label) for process in found] == [(child.pid, "worker 0"), (os.getpid(), "main")]
    assert all(2**20 < process.rss_bytes < 2**40 for process in found)


def test_of_a_process_that_has_ended_nothing_is_said_rather_than_zero(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not reaped
    assert process_memory({child.pid: "worker 0"}) == []
    child.wait()
    assert process_memory({child.pid: "worker 0"}) == []
