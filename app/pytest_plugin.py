"""Hold loaders to limits in tests: a pytest plugin. Name it in the conftest.py of your tests::

    pytest_plugins = ["app.pytest_plugin"]

and ask for the fixture `loaderscope` in a test that is marked with its limits::

    @pytest.mark.loaderscope(max_wait_share=0.1, min_samples_per_s=500, forbid=["epoch_respawn"])
    def test_training_is_not_starved(loaderscope):
        loader = loaderscope(DataLoader(dataset, batch_size=32, num_workers=2))
        for batch in loader:
            train_step(batch)

Each loader that is handed to it is observed. When the test is over, each is judged, and where one does not keep the
limits that is an error of the test's teardown, in the verdict's own words. What cannot be told (too few steps) is not
kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.reports.checking import Limits, failures
from loader_core.diagnose.verdict import judge_run

MARKER = "loaderscope"

L = TypeVar("L", bound=Iterable[Any])


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(max_wait_share=None, min_samples_per_s=None, forbid=()): limits that the test's loaders must keep",
    )


def _limits(item: pytest.FixtureRequest) -> Limits:
    marker = item.node.get_closest_marker(MARKER)
    if marker is None:
        return Limits()
    try:
        given: dict[str, Any] = dict(marker.kwargs)
        given["forbid"] = tuple(given.get("forbid", ()))
        return Limits(**given)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"@pytest.mark.{MARKER}: {error}") from error


@pytest.fixture
def loaderscope(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Callable[[L], L]]:
    """Observes the loaders that it is called with, and holds them to the marker's limits when the test is over."""
    from loader_core.observe import observe
    from loader_core.trace import Detail, Recording

    limits = _limits(request)
    seen: list[Path] = []
    with contextlib.ExitStack() as recordings:

        def watched(loader: L) -> L:
            directory = tmp_path / f"loaderscope-{len(seen)}"
            recording = recordings.enter_context(Recording.create(directory, run_id=directory.name))
            recording.control.detail = Detail.STAGE
            seen.append(directory)
            return observe(loader, recording)

        yield watched
    failed = [failure.en for directory in seen for failure in failures(judge_run(directory), limits)]
    if failed:
        pytest.fail("\n".join(failed), pytrace=False)
