"""What the objects of a program look like on screen, without asking them: no code of the program runs for it.

Only values of Python's own types are written out (`repr`). Of any other object its type is named, and its attributes
are listed if its class is the program's own or the project's. Identity lasts for as long as an object can be seen from
one step to the next.
"""

from __future__ import annotations

import itertools
import math
import reprlib
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

from loader_core.lessons.log import Local, Thing, ThingKind

MAX_THINGS = 200
"""Objects on screen at one step. Past it an object is only named."""
MAX_PARTS = 128
MAX_VALUES = 256
"""Values of a tensor that are shown."""
MAX_DEPTH = 3
MAX_TEXT = 80
MAX_BYTES = 16
"""Bytes that are written out; of more only their number is told."""

_INLINE = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), range, slice)
_UNSEEN = (ModuleType, FunctionType, BuiltinFunctionType, MethodType, type)
_CONTAINERS: dict[type, ThingKind] = {
    list: "list", tuple: "tuple", dict: "dict", set: "set", frozenset: "set",
}  # fmt: skip
_WALKED: tuple[Iterable[Any], ...] = ([], (), "", "é", b"", range(1), {}, {}.values(), {}.items(), set(), reversed([]))
_WALKERS = tuple(type(iter(one)) for one in _WALKED)
"""Iterators of which `__reduce__` tells what they walk over and where they are."""

_scalars = reprlib.Repr()
_scalars.maxstring = _scalars.maxother = MAX_TEXT


class Scene:
    """The objects that can be seen at one step, found from the names of its frames.

    `known` maps `id()` of each object of the step before to its number on screen.
    """

    def __init__(self, known: Mapping[int, int], numbers: itertools.count[int], frames: Mapping[int, int]) -> None:
        self.things: dict[int, Thing] = {}
        self.numbers: dict[int, int] = {}
        """`id()` of each object that was seen -> its number."""
        self.kept: list[object] = []
        """What must live until the next step, so that no new object gets its address."""
        self._known = known
        self._fresh = numbers
        self._frames = frames

    def locals_of(self, names: Mapping[str, Any]) -> tuple[Local, ...]:
        """The names of a frame that hold values, in their order."""
        return tuple(
            self.local(name, value)
            for name, value in names.items()
            if not (
                (name.startswith("__") and name.endswith("__")) or isinstance(value, _UNSEEN) or _is_recorder(value)
            )
        )

    def local(self, name: str, value: Any, depth: int = 0) -> Local:
        """A name and what it holds."""
        text, thing = self._look(value, depth)
        return Local(name, text, thing)

    def text(self, value: Any) -> str:
        """A value in a few words."""
        return self._look(value, MAX_DEPTH)[0]

    def _look(self, value: Any, depth: int) -> tuple[str, int | None]:
        inline = inline_text(value)
        if inline is not None:
            return inline, None
        text = short_text(value)
        number = self.numbers.get(id(value))
        if number is None:
            if depth >= MAX_DEPTH or len(self.numbers) >= MAX_THINGS or isinstance(value, _UNSEEN):
                return text, None
            number = self._known.get(id(value)) or next(self._fresh)
            self.numbers[id(value)] = number
            self.things[number] = self._thing(number, value, text, depth + 1)
        return text, number

    def _thing(self, number: int, value: Any, text: str, depth: int) -> Thing:
        kind = kind_of(value)
        shape: tuple[int, ...] | None = None
        frame = None
        if kind == "tensor":
            shape = tuple(int(size) for size in value.shape)
        if isinstance(value, GeneratorType):
            frame = self._frames.get(id(value.gi_frame))
        parts, hidden = self._parts(value, kind)
        shown = tuple(self.local(name, part, depth) for name, part in parts)
        kinds = {self.things[part.thing].kind for part in shown if part.thing in self.things}
        if kind in ("list", "tuple", "dict") and kinds.isdisjoint({"generator", "iterator"}):
            self.kept.append(value)  # other kinds would be finalised later than in the program alone
        return Thing(number, kind, type(value).__name__, text, shown, hidden, shape, frame)

    def _parts(self, value: Any, kind: ThingKind) -> tuple[list[tuple[str, Any]], int]:
        """The parts that are shown, by name, and how many are not."""
        if kind == "tensor":
            return _values(value)
        if type(value) is dict:
            named: Iterable[tuple[str, Any]] = ((short_text(key), part) for key, part in value.items())
            return list(islice(named, MAX_PARTS)), max(0, len(value) - MAX_PARTS)
        if type(value) in _CONTAINERS:
            named = ((str(place), part) for place, part in enumerate(value))
            return list(islice(named, MAX_PARTS)), max(0, len(value) - MAX_PARTS)
        if type(value) in _WALKERS:
            return _walk(value), 0
        if isinstance(value, GeneratorType):
            return [], 0
        attributes = list(_attributes(value).items())
        return attributes[:MAX_PARTS], max(0, len(attributes) - MAX_PARTS)


def inline_text(value: Any) -> str | None:
    """A value that is written where it stands: a number, a text, a pair of them. None for an object of its own."""
    kind = type(value)
    if kind in _INLINE:
        return _scalar(value)
    if (kind is tuple or kind.__name__ == "Size") and len(value) <= 3 and all(type(part) in _INLINE for part in value):
        parts = ", ".join(_scalar(part) for part in value)  # also of a tensor's shape, which is a tuple
        return f"({parts},)" if len(value) == 1 else f"({parts})"
    if isinstance(value, PurePath):
        return f"{value.name!r}"
    return None


def _scalar(value: Any) -> str:
    if type(value) is bytes and len(value) > MAX_BYTES:
        return f"bytes[{len(value)}]"
    if type(value) is int and value.bit_length() > 256:
        return f"int of {value.bit_length()} bits"
    if type(value) is float and math.isfinite(value):
        return f"{value:.6g}" if "." in f"{value:.6g}" or "e" in f"{value:.6g}" else f"{value:.1f}"
    text = _scalars.repr(value)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def short_text(value: Any) -> str:
    """Any value in a few words; what it is, where it cannot be written out."""
    inline = inline_text(value)
    if inline is not None:
        return inline
    kind = type(value)
    if kind in _CONTAINERS:
        return f"{kind.__name__}[{len(value)}]"
    if kind_of(value) == "tensor":
        sizes = ", ".join(str(size) for size in value.shape)
        return f"{kind.__name__}({sizes}) {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, GeneratorType):
        return f"generator {value.__name__}"
    if isinstance(value, BaseException):
        return fault_text(value)
    return getattr(value, "__name__", kind.__name__) if isinstance(value, _UNSEEN) else kind.__name__


def fault_text(error: BaseException) -> str:
    """An exception as a traceback's last line has it, shortened."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - the program's own class may fail at it
        message = ""
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text if len(text) <= 4 * MAX_TEXT else f"{text[: 4 * MAX_TEXT - 1]}…"


def kind_of(value: Any) -> ThingKind:
    """Which kind of thing an object is, by its type alone."""
    kind = type(value)
    if kind in _CONTAINERS:
        return _CONTAINERS[kind]
    if isinstance(value, GeneratorType):
        return "generator"
    if kind.__module__.partition(".")[0] in ("torch", "numpy") and hasattr(kind, "dtype") and hasattr(kind, "shape"):
        return "tensor"
    if hasattr(kind, "__next__"):
        return "iterator"
    if hasattr(kind, "__iter__"):
        return "loader" if kind.__name__.endswith("Loader") else "iterable"
    if hasattr(kind, "__getitem__") and hasattr(kind, "__len__"):
        return "dataset"
    return "object"


def _values(value: Any) -> tuple[list[tuple[str, Any]], int]:
    """The first values of a tensor or an array, in row-major order, named by their places."""
    count = math.prod(value.shape)
    if count == 0:
        return [], 0
    first = value.reshape(-1)[:MAX_VALUES].tolist()
    places = itertools.product(*(range(size) for size in value.shape))
    named = [(", ".join(str(place) for place in where), one) for where, one in zip(places, first, strict=False)]
    return named, max(0, count - MAX_VALUES)


def _walk(value: Any) -> list[tuple[str, Any]]:
    """What a built-in iterator walks over, and its position."""
    told = value.__reduce__()
    if len(told) == 3 and isinstance(told[2], int):
        return [("of", told[1][0]), ("position", told[2])]
    return [("left", value.__length_hint__())] if hasattr(value, "__length_hint__") else []


def _attributes(value: Any) -> dict[str, Any]:
    """The attributes of an object whose class is the program's own or the project's; private ones left out."""
    home = type(value).__module__
    if home not in ("__main__", "mine") and not home.startswith("loader_core."):
        return {}
    try:
        names: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        names = {name: object.__getattribute__(value, name) for name in _slots(type(value)) if hasattr(value, name)}
    return {
        name: part
        for name, part in names.items()
        if not name.startswith("_") and not isinstance(part, _UNSEEN) and not _is_recorder(part)
    }


def _slots(kind: type) -> Iterable[str]:
    for base in reversed(kind.__mro__):
        slots = base.__dict__.get("__slots__", ())
        yield from [slots] if isinstance(slots, str) else slots


def _is_special(name: str) -> bool:
    return (name.startswith("__") and name.endswith("__")) or not name.isidentifier()  # `.0` of a generator expression


def _is_recorder(value: object) -> bool:
    return type(value).__module__.startswith("loader_core.trace")
