"""What fails inside the observer is swallowed in a user's run, and told here."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def nothing_swallowed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails the test if the observer has failed inside."""
    with caplog.at_level(logging.WARNING, "loaderscope"):
        yield
    assert [record.getMessage() for record in caplog.records if record.name == "loaderscope"] == []
