"""Fixtures of the whole suite: the leak check around each test, hypothesis profiles, a real server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.leaks import Snapshot, left_behind
from tests.server import RunningServer, running

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without a terminal starts what it leaves in the background like this, and what tests start inherits it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("steady", deadline=None, derandomize=True, print_blob=True)
settings.register_profile(
    "explore", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


LONG = (
    "tests/test_architecture.py",
    "tests/browser/",
    "tests/observe/",
    "tests/lessons/",
    "tests/engine/test_loader.py",
)
"""What takes longest in one piece. It begins first, so that in the end nobody waits for it alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long modules first; the others stay in their order."""
    items.sort(key=lambda item: next((place for place, path in enumerate(LONG) if path in item.nodeid), len(LONG)))


@pytest.fixture(autouse=True, scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of recordings and of cut photographs for all of this session's tests: never the user's own."""
    folder = tmp_path_factory.mktemp("home")
    os.environ["LOADERSCOPE_HOME"] = str(folder)
    return folder


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """After each test: no process, thread, descriptor, mapped run file or shared memory more than before it."""
    before = Snapshot.take()
    yield
    if found := left_behind(before):
        pytest.fail("this test left behind:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[RunningServer]:
    """One real server for all tests that do not change how it is started. Delete the runs that you start."""
    with running(home / "served") as served:
        yield served
