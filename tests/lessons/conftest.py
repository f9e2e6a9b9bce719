"""Logs of real executions, each made once for all tests that look at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loader_core.lessons import Log, run_lesson
from loader_core.lessons.log import Value
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
