"""Transforms split apart: each step of a `Compose` becomes a stage, without a mark in the user's code.

A pipeline is any callable object that keeps its steps in a list or tuple called `transforms`, as torchvision's and its
likes do, and loops over it when called. In the worker's own copy that list is exchanged for one that notes when the
loop takes a step and when it comes back for the next: the steps themselves, and what the pipeline does with them, stay
as they are.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from loader_core.trace import current_recorder, now

MAX_OBJECTS = 2_000
"""Objects that are looked through for pipelines; what lies beyond stays whole."""

_DEEPEST = 8
_MOST_ENTRIES = 64
"""Entries of a container that are looked into: transforms come in short lists, samples in long ones."""

_STEPS = "transforms"
_LEFT_OUT = (str, bytes, bytearray, int, float, bool, complex, type(None), type, types.ModuleType)


class TimedList(list[Any]):
    """A pipeline's steps. A loop over them is recorded, step by step; in all else it is the list that it was."""

    def __iter__(self) -> Iterator[Any]:
        recorder = current_recorder()
        return _timed(self) if recorder.takes_stages else super().__iter__()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return list, (list(super().__iter__()),)


class TimedTuple(tuple[Any, ...]):
    """The same for steps that are kept in a tuple."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        recorder = current_recorder()
        return _timed(self) if recorder.takes_stages else super().__iter__()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return tuple, (list(super().__iter__()),)


def _timed(steps: list[Any] | tuple[Any, ...]) -> Iterator[Any]:
    """The steps, each a stage from when it is taken until the next one is asked for."""
    recorder = current_recorder()
    number = 0
    while number < len(steps):  # which may change meanwhile, as a list under a loop may
        step = steps[number]
        name = step_name(step)
        start = now()
        yield step
        recorder.add_stage(name, start)
        number += 1


def step_name(step: Any) -> str:
    """What a step is called: its class, or the function that it is."""
    if isinstance(step, partial):
        return step_name(step.func)
    name = getattr(step, "__name__", None)
    return name if isinstance(name, str) else type(step).__name__


class Pipelines:
    """The pipelines that a dataset uses, found once."""

    def __init__(self, *roots: Any) -> None:
        """Look through the attributes of `roots` (a dataset, a function), and what they refer to."""
        self._found = list(find(*roots))
        self._untimed: list[tuple[Any, Any]] = []

    def __len__(self) -> int:
        return len(self._found)

    def split(self) -> None:
        """Have their steps recorded from here on. Where that fails, a pipeline stays whole."""
        if self._untimed:
            return
        for pipeline in self._found:
            steps = vars(pipeline)[_STEPS]
            timed = TimedList(steps) if type(steps) is list else TimedTuple(steps)
            vars(pipeline)[_STEPS] = timed
            self._untimed.append((pipeline, steps))

    def join(self) -> None:
        """Give them back the lists that were theirs."""
        for pipeline, steps in self._untimed:
            timed = vars(pipeline).get(_STEPS)
            if isinstance(timed, TimedList | TimedTuple):
                vars(pipeline)[_STEPS] = steps
        self._untimed.clear()


def find(*roots: Any) -> Iterator[Any]:
    """The pipelines among what `roots` refer to, each once."""
    return (found for found in reachable(*roots) if _is_pipeline(found))


def reachable(*roots: Any) -> Iterator[Any]:
    """What `roots` refer to: through attributes, short containers, bound arguments and closures. Evaluates nothing."""
    seen: set[int] = set()
    waiting = [(root, 0) for root in reversed(roots)]
    while waiting and len(seen) < MAX_OBJECTS:
        candidate, depth = waiting.pop()
        if isinstance(candidate, _LEFT_OUT) or id(candidate) in seen:
            continue
        seen.add(id(candidate))
        yield candidate
        if depth < _DEEPEST:
            waiting += [(part, depth + 1) for part in reversed(_parts(candidate))]


def _is_pipeline(candidate: Any) -> bool:
    steps: Any = _attributes(candidate).get(_STEPS)
    return (
        type(steps) in (list, tuple) and bool(steps) and callable(candidate) and all(callable(step) for step in steps)
    )


def _parts(whole: Any) -> list[Any]:
    if isinstance(whole, list | tuple):
        return list(whole[:_MOST_ENTRIES]) if type(whole) in (list, tuple) else []
    if type(whole) is dict:
        return [value for value, _ in zip(whole.values(), range(_MOST_ENTRIES), strict=False)]
    if isinstance(whole, partial):
        return [whole.func, *whole.args, *whole.keywords.values()]
    if isinstance(whole, types.MethodType):
        return [whole.__self__, whole.__func__]
    if isinstance(whole, types.FunctionType):
        return _of_function(whole)
    if _is_array(whole):
        return []
    return [*_attributes(whole).values(), *_of_methods(type(whole))]


def _of_function(function: types.FunctionType) -> list[Any]:
    """What a function reaches: its closure, its defaults, and pipelines among the globals that it names."""
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_full(cell)]
    named = [function.__globals__.get(name) for name in function.__code__.co_names]
    return [*cells, *(function.__defaults__ or ()), *(part for part in named if _is_pipeline(part))]


def _is_full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - raises when it is empty
    except ValueError:
        return False
    return True


def _of_methods(kind: type) -> list[Any]:
    """Pipelines that a class's own methods name as globals."""
    if kind.__module__.partition(".")[0] in ("builtins", "torch", "numpy"):
        return []
    methods: list[Callable[..., Any]] = [m for m in vars(kind).values() if isinstance(m, types.FunctionType)]
    return [part for method in methods for part in _of_function(method)]  # type: ignore[arg-type] # they are functions


def _attributes(whole: Any) -> dict[str, Any]:
    found = getattr(whole, "__dict__", None)
    return found if type(found) is dict else {}


def _is_array(whole: Any) -> bool:
    kind = type(whole)
    return kind.__module__.partition(".")[0] in ("numpy", "torch", "pandas", "pyarrow") and hasattr(kind, "dtype")
