"""Code of the project that a lesson steps into and shows beside its program, cut out of its file."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter

from loader_core.lessons.log import Source


@dataclass(frozen=True, slots=True)
class Beside:
    """One class or function: where its code is, and its lines as they are shown."""

    file: str
    lines: range
    source: Source


def sources_beside(names: Iterable[str]) -> tuple[Beside, ...]:
    """The classes and functions named as `module:name` or `module:Class.method`. What is asked for of one file is one
    source, from the first of its lines to the last."""
    found: dict[str, tuple[str, int, int]] = {}
    for name in names:
        module_name, _, attribute = name.partition(":")
        module = import_module(module_name)
        lines, first = inspect.getsourcelines(attrgetter(attribute)(module))
        file = inspect.getfile(module)
        _, begin, end = found.get(file, ("", first, first))
        found[file] = (module_name.replace(".", "/") + ".py", min(begin, first), max(end, first + len(lines)))
    return tuple(_cut(file, *place) for file, place in found.items())


def _cut(file: str, name: str, begin: int, end: int) -> Beside:
    with open(file, encoding="utf-8") as stream:
        lines = tuple(stream.read().splitlines()[begin - 1 : end - 1])
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return Beside(file, range(begin, begin + len(lines)), Source(name, begin, lines))
