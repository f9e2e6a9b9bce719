"""Logs of real executions, each made once for all tests that look at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loader_core.lessons import Log, run_lesson
from loader_core.lessons.log import Picture, Value, advance, state_at, to_json
from loader_core.lessons.recording import run_file

LogOf = Callable[..., Log]
RunText = Callable[..., Log]


@pytest.fixture(scope="session")
def log_of() -> LogOf:
    made: dict[str, Log] = {}

    def log_of(lesson: str, variant: str = "", **parameters: Value) -> Log:
        key = repr((lesson, variant, sorted(parameters.items())))
        if key not in made:
            made[key] = run_lesson(lesson, variant=variant, parameters=parameters)
        return made[key]

    return log_of


@pytest.fixture
def run_text(tmp_path: Path) -> RunText:
    """Steps through a program of the test's own, as `loaderscope learn --mine` does."""

    def run_text(text: str, **options: Any) -> Log:
        file = tmp_path / "own.py"
        file.write_text(text, "utf-8")
        return run_file(file, **options)

    return run_text


def goes_forth_and_back(log: Log) -> None:
    """What holds for the log of each lesson: a picture is the same from either side, and all that it names is there."""
    forth = [Picture()]
    for step in log.steps:
        forth.append(advance(forth[-1], step))
    for cursor in range(len(log.steps) - 1, -1, max(-1, -(len(log.steps) // 50 or 1))):
        assert state_at(log, cursor) == forth[cursor + 1]
    assert len(to_json(log)) < 3_000_000
    numbers = [span for step in log.steps if (span := step.span) is not None]
    assert all(0 <= number < len(log.spans) for number in numbers)
    for picture in forth[1:]:
        shown = {local.thing for frame in picture.stack for local in frame.locals if local.thing is not None}
        assert shown <= picture.things.keys()
    for step in log.steps:
        source = log.sources[step.source]
        assert source.first_line <= step.line < source.first_line + len(source.lines), step
