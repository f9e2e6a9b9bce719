"""The twelve lessons, in their order. A lesson's module is imported when it is asked for, and imports no torch."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from loader_core.errors import ParameterError
from loader_core.lessons.lesson import Lesson

LESSONS = (
    "01-on-demand",
    "02-iterator",
    "03-generator",
    "04-side-by-side",
    "05-loader-by-hand",
    "06-batches",
    "07-shuffling",
    "08-workers",
    "09-prefetch",
    "10-device",
    "11-together",
    "12-table",
)


def lessons() -> list[Lesson]:
    """All lessons that there are."""
    return [_load(name) for name in LESSONS if _exists(name)]


def find(name: str) -> Lesson:
    """The lesson of that id. Raises ParameterError, whose text has the ids."""
    if name not in LESSONS or not _exists(name):
        raise ParameterError(f"there is no lesson {name[:60]!r}: there are {', '.join(LESSONS)}", field="lesson")
    return _load(name)


def _module(name: str) -> str:
    return f"loader_core.lessons.lesson_{name.replace('-', '_')}"


@cache
def _exists(name: str) -> bool:
    return find_spec(_module(name)) is not None


@cache
def _load(name: str) -> Lesson:
    lesson: Lesson = import_module(_module(name)).LESSON
    return lesson
