"""What a log shows, counted: for the measures that a lesson takes from its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loader_core.lessons.log import Event, Local, Log, Picture, Step, Thing, advance, state_at


def pictures(log: Log) -> Iterator[Picture]:
    """The picture at each step, in order."""
    picture = Picture()
    for step in log.steps:
        picture = advance(picture, step)
        yield picture


def last(log: Log) -> Picture:
    """The picture at the end."""
    return state_at(log, len(log.steps) - 1)


def functions(log: Log) -> dict[int | None, str]:
    """The function of each frame that was ever on screen."""
    return {frame.id: frame.function for step in log.steps for frame in step.frames}


def steps_of(log: Log, function: str, *events: Event) -> list[Step]:
    """The steps of these events in frames of that function."""
    names = functions(log)
    return [step for step in log.steps if step.event in events and names.get(step.frame) == function]


def count(log: Log, function: str, *events: Event) -> int:
    """How many steps of these events there are in frames of that function."""
    return len(steps_of(log, function, *events))


def name(log: Log, wanted: str) -> Local | None:
    """What a global name of the program held at the end; None if it was never bound."""
    stack = last(log).stack
    if not stack:
        return None
    return next((local for local in stack[0].locals if local.name == wanted), None)


def thing(log: Log, wanted: str) -> Thing | None:
    """The object that a global name of the program held at the end; None if there is none on screen."""
    local = name(log, wanted)
    return None if local is None or local.thing is None else last(log).things[local.thing]


def length(log: Log, wanted: str) -> int:
    """How many parts the container of that global name had at the end; 0 if it was never bound."""
    found = thing(log, wanted)
    return 0 if found is None else len(found.parts) + found.hidden


def parts(log: Log, wanted: str) -> tuple[Local, ...]:
    """The shown parts of the object that a global name held at the end."""
    found = thing(log, wanted)
    return () if found is None else found.parts


def texts(log: Log, wanted: str) -> Sequence[str]:
    """The same, as they are written."""
    return tuple(part.text for part in parts(log, wanted))
