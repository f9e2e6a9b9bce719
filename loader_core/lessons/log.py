"""The log of one execution, and the picture that it gives at any step: `picture = state_at(log, cursor)`.

A program is run once and every step is written down. To show it, to step forth **and back**, to scrub, to link and to
test are then all the same thing: a pure function of the log and a number. The browser has the same fold.

A step carries what changed in it: a `Frame` or a `Thing` that is not in it is as it was. The log is plain JSON
(`to_json`, `from_json`) and bounded: `MAX_STEPS` steps, `MAX_LOG_BYTES` bytes, `MAX_OUTPUT` characters of output. At a
bound the recording ends there and `Log.cut` says at which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

MAX_STEPS = 2_000
MAX_LOG_BYTES = 2_000_000
MAX_OUTPUT = 64_000
"""Characters that a program may print; what comes after is left out, and the log says so."""

MAX_POINTS = 2_000
"""Points of one curve."""

Event = Literal["call", "line", "return", "yield", "resume", "raise", "engine"]
"""`line`: about to run a line. `resume`: a suspended generator goes on. `raise`: an exception is raised in a frame, or
comes up into it. `engine`: what the engine recorded, in lessons with workers (`Step.span`)."""

FrameState = Literal["running", "suspended", "finished"]
ThingKind = Literal[
    "list", "tuple", "dict", "set", "iterator", "iterable", "generator", "dataset", "loader", "tensor", "object"
]
Cut = Literal["", "steps", "bytes", "output", "time"]
Value = float | int | bool | str
"""In this order, so that a whole number stays one."""


@dataclass(frozen=True, slots=True)
class Source:
    """Code that is shown: the lesson's program first, then what it steps into."""

    name: str
    first_line: int
    """The number of the first of `lines`: more than 1 where a part of a longer file is shown."""
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Local:
    """A name in a frame, or a part of a thing: what it holds, and which thing on screen that is."""

    name: str
    text: str
    thing: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a function. A generator's frame stays on screen while it is suspended, with its locals."""

    id: int
    function: str
    source: int
    line: int
    state: FrameState
    locals: tuple[Local, ...]


@dataclass(frozen=True, slots=True)
class Thing:
    """An object on screen. The same `id` is the same object for as long as it can be seen."""

    id: int
    kind: ThingKind
    type: str
    text: str
    parts: tuple[Local, ...]
    hidden: int = 0
    """Parts that are left out, because there are too many."""
    shape: tuple[int, ...] | None = None
    """Of a tensor, whose values are its parts in row-major order."""
    frame: int | None = None
    """The frame that a generator runs in, once it has begun."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happened at one moment, and what is different on screen from then on."""

    at_ns: int
    """Since the program began. Of an engine's step: since its recording began."""
    event: Event
    source: int
    line: int
    frame: int | None
    """The frame in which it happened; none for a step of the engine."""
    value: str | None
    """What was returned, yielded or raised."""
    stack: tuple[int, ...]
    """Frames on screen: those that run, the outermost first, then those that are suspended. A frame that has just
    finished is still among them."""
    frames: tuple[Frame, ...] = ()
    things: tuple[Thing, ...] = ()
    gone: tuple[int, ...] = ()
    """Things that can no longer be seen."""
    output: str = ""
    """Printed since the step before."""
    memory_bytes: int | None = None
    """What the program's objects take, where the lesson measures it; without what the tracing takes."""
    span: int | None = None
    """Of a step of the engine: the place in `Log.spans` of what happened."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured number, truth or text.

    `unit` is a symbol of SI, `B`, "share" (of 1), "×" (times as much), or what is counted ("items"); else "".
    """

    value: Value
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """A measured course: `y` over `x`, equally many of both, at most `MAX_POINTS`."""

    name: str
    x_unit: str
    y_unit: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    log_x: bool = False
    """Equal steps of the x axis multiply: of values above 0 that do so."""


@dataclass(frozen=True, slots=True)
class Span:
    """What the engine did on a lane, from when to when."""

    lane: int
    kind: str
    start_ns: int
    end_ns: int
    epoch: int
    batch: int | None
    sample: int | None = None
    value: int | None = None
    simulated: bool = False
    """On a stand-in for hardware that this host lacks."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The exception that ended the program."""

    type: str
    message: str
    source: int
    line: int


@dataclass(frozen=True, slots=True)
class LessonHost:
    """Where the log was made."""

    python: str
    torch: str | None
    system: str
    cores: int
    memory_bytes: int
    accelerator: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """All that one execution did."""

    lesson: str
    variant: str
    language: Literal["es", "en"]
    parameters: dict[str, Value]
    host: LessonHost
    sources: tuple[Source, ...]
    steps: tuple[Step, ...]
    measures: dict[str, Measure]
    curves: tuple[Curve, ...] = ()
    lanes: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    fault: Fault | None = None
    cut: Cut = ""
    """The bound at which the recording ended before the program did; "" if it did not."""


# --- the fold ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Picture:
    """What is on screen at a step."""

    cursor: int = -1
    """The step; -1 before the first."""
    step: Step | None = None
    stack: tuple[Frame, ...] = ()
    things: Mapping[int, Thing] = field(default_factory=dict)
    output: str = ""


def advance(picture: Picture, step: Step) -> Picture:
    """The picture after one more step. Raises KeyError for a step that names a frame that was never shown."""
    frames = {frame.id: frame for frame in (*picture.stack, *step.frames)}
    things = {**picture.things, **{thing.id: thing for thing in step.things}}
    for gone in step.gone:
        del things[gone]
    return Picture(
        cursor=picture.cursor + 1,
        step=step,
        stack=tuple(frames[number] for number in step.stack),
        things=things,
        output=picture.output + step.output,
    )


def state_at(log: Log, cursor: int) -> Picture:
    """The picture at step `cursor`: 0 is the first, -1 is before it. What is out of bounds is taken as the nearest."""
    picture = Picture()
    for step in log.steps[: max(0, cursor + 1)]:
        picture = advance(picture, step)
    return picture


# --- JSON -------------------------------------------------------------------------------------------------------------


def to_json(value: Any) -> str:
    """A dataclass of this module as JSON, with every field."""
    return json.dumps(value, default=_fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _fields(value: Any) -> dict[str, Any]:
    return {one.name: getattr(value, one.name) for one in fields(value)}


def from_json(text: str | bytes) -> Log:
    """The log that `to_json` wrote. Raises ValueError, TypeError or KeyError for anything else."""
    log: Log = _build(Log, json.loads(text))
    return log


def _build(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: _build(hints[name], part) for name, part in value.items()})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(_build(arguments[0], part) for part in value)
    if origin is dict:
        return {key: _build(arguments[1], part) for key, part in value.items()}
    if origin is UnionType and value is not None:
        members = [member for member in arguments if member is not type(None)]
        return _build(members[0], value) if len(members) == 1 else value
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def thinned(curve: Curve) -> Curve:
    """The curve with at most `MAX_POINTS` points, evenly chosen, its last one among them."""
    count = len(curve.x)
    if count <= MAX_POINTS:
        return curve
    chosen = [round(place * (count - 1) / (MAX_POINTS - 1)) for place in range(MAX_POINTS)]
    return replace(curve, x=tuple(curve.x[i] for i in chosen), y=tuple(curve.y[i] for i in chosen))
