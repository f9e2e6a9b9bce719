"""The fold: `picture = state_at(log, cursor)`, forth and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.lessons.log import (
    MAX_POINTS,
    Curve,
    Frame,
    LessonHost,
    Local,
    Log,
    Measure,
    Picture,
    Source,
    Step,
    Thing,
    advance,
    from_json,
    state_at,
    thinned,
    to_json,
)

HOST = LessonHost("3.11", None, "Linux", 2, 1)
NUMBERS = st.integers(0, 6)
TEXTS = st.text(max_size=8)
LOCALS = st.lists(st.builds(Local, TEXTS, TEXTS, st.none() | NUMBERS), max_size=3).map(tuple)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Logs as a tracer could have made them: a step names only frames that are on screen or in it."""
    steps = []
    frames: set[int] = set()
    things: set[int] = set()
    for at in range(draw(st.integers(0, 12))):
        changed = draw(st.lists(NUMBERS, max_size=3, unique=True))
        states = st.sampled_from(["running", "suspended", "finished"])
        new = tuple(Frame(number, draw(TEXTS), 0, at, draw(states), draw(LOCALS)) for number in changed)
        stack = (
            tuple(draw(st.lists(st.sampled_from(sorted(known)), unique=True)))
            if (known := frames | set(changed))
            else ()
        )
        seen = draw(st.lists(NUMBERS, max_size=3, unique=True))
        kinds = st.sampled_from(["list", "tensor"])
        shown = tuple(Thing(number, draw(kinds), "t", draw(TEXTS), draw(LOCALS)) for number in seen)
        gone = tuple(draw(st.lists(st.sampled_from(sorted(old)), unique=True))) if (old := things - set(seen)) else ()
        frames, things = set(stack), (things | set(seen)) - set(gone)
        steps.append(Step(at, "line", 0, at, None, None, stack, new, shown, gone, draw(TEXTS)))
    return Log(
        "02-iterator", "", "es", {"word": "abc"}, HOST, (Source("p", 1, ("x",)),), tuple(steps), {"n": Measure(1)}
    )


@given(logs(), st.lists(st.integers(-1, 13), max_size=20))
def test_however_one_comes_to_a_step_its_picture_is_the_same(log: Log, walk: list[int]) -> None:
    forth = [Picture()]
    for step in log.steps:
        forth.append(advance(forth[-1], step))
    for cursor in walk:
        assert state_at(log, cursor) == forth[min(cursor + 1, len(log.steps))]


@given(logs())
def test_a_picture_holds_what_it_names(log: Log) -> None:
    for cursor, step in enumerate(log.steps):
        picture = state_at(log, cursor)
        assert picture.step is step
        assert tuple(frame.id for frame in picture.stack) == step.stack
        assert not set(step.gone) & picture.things.keys()
        assert picture.output.endswith(step.output)


@given(logs())
def test_json_loses_nothing(log: Log) -> None:
    assert from_json(to_json(log)) == log


def test_json_keeps_whole_numbers_whole_and_refuses_what_is_no_log() -> None:
    log = Log("x", "", "en", {"a": 1, "b": 1.5, "c": True, "d": "e"}, HOST, (), (), {})
    again = from_json(to_json(log)).parameters
    assert [type(value) for value in again.values()] == [int, float, bool, str]
    with pytest.raises((TypeError, KeyError, ValueError)):
        from_json('{"nothing": 1}')


def test_a_long_curve_keeps_its_ends() -> None:
    curve = thinned(Curve("c", "", "", tuple(range(10_001)), tuple(range(10_001))))
    assert (len(curve.x), curve.x[0], curve.x[-1]) == (MAX_POINTS, 0, 10_000)
    assert list(curve.x) == sorted(set(curve.x))
