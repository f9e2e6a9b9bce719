"""What a lesson is made of. The package's docstring says how to write one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from loader_core.errors import ParameterError
from loader_core.lessons.log import Curve, Log, Measure, Span, Step, Value

DEFAULT_SECONDS = 30.0
DEFAULT_MEMORY_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that the page may choose, within bounds."""

    name: str
    kind: Literal["int", "float", "bool", "choice"]
    default: Value
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""

    def checked(self, given: object) -> Value:
        """`given`, if the program may have it. Raises ParameterError, which names the field and its range."""
        match self.kind:
            case "bool":
                if isinstance(given, bool):
                    return given
                wanted = "true or false"
            case "choice":
                if isinstance(given, str) and given in self.choices:
                    return given
                wanted = "one of " + ", ".join(self.choices)
            case _:
                if self._is_number(given):
                    return given  # type: ignore[return-value]  # an int, or a float, as _is_number has seen
                number = "a whole number" if self.kind == "int" else "a number"
                wanted = f"{number} from {self.min:g} to {self.max:g}"
        raise ParameterError(f"{self.name} is {given!r:.60}, but must be {wanted}", field=self.name)

    def _is_number(self, given: object) -> bool:
        if isinstance(given, bool) or not isinstance(given, int if self.kind == "int" else int | float):
            return False
        assert self.min is not None
        assert self.max is not None
        return math.isfinite(given) and self.min <= given <= self.max


@dataclass(frozen=True, slots=True)
class Question:
    """Something to guess before the run, or to answer after it. The right answer is `Log.measures[measure]`.

    With `choices` one of them (words are the page's business); without, a number from `min` to `max`, which counts as
    right within `tolerance` (a share of the answer).
    """

    measure: str
    choices: tuple[str, ...] = ()
    min: float = 0.0
    max: float = 0.0
    unit: str = ""
    tolerance: float = 0.0
    curve: str = ""
    """The curve on which the guess is drawn, if it is drawn on one."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something to break, or to mend: choose a variant. It is done when `Log.measures[measure].value == wanted`."""

    start: str
    choices: tuple[str, ...]
    measure: str
    wanted: Value


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a comparison: the measure that says it, and the lesson whose log has that measure."""

    lesson: str
    measure: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a comparison; `key` names it in the page's prose."""

    key: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A comparison whose every cell is measured."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a lesson's measurement is given."""

    parameters: Mapping[str, Value]
    variant: str
    language: str
    folder: Path
    """An empty folder of this execution, deleted after it."""
    file: Path
    """The program as it is shown and run."""
    run: Callable[[], dict[str, Any]]
    """Runs the program once, untraced; gives its global names. What it prints goes to the last step of `Findings`."""

    def whole(self, name: str) -> int:
        """A parameter that is a whole number."""
        value = self.parameters[name]
        assert isinstance(value, int)
        return value


@dataclass(frozen=True, slots=True)
class Findings:
    """What a lesson's measurement has found. `steps` of the engine stand before those of the program."""

    measures: Mapping[str, Measure] = field(default_factory=dict)
    curves: Sequence[Curve] = ()
    lanes: Sequence[str] = ()
    spans: Sequence[Span] = ()
    steps: Sequence[Step] = ()


@dataclass(frozen=True, slots=True)
class Lesson:
    """One lesson: a program, what may be changed in it, what is measured, and what is asked."""

    id: str
    program: str
    """The shown program, in both languages and all variants (`loader_core.lessons.program`)."""
    variants: tuple[str, ...]
    """The first is the one that the lesson opens with."""
    prediction: Question
    task: Task
    question: Question
    parameters: tuple[Parameter, ...] = ()
    beside: tuple[str, ...] = ()
    """Names of loader_core that the program steps into and that are shown beside it, as `module:Class` or
    `module:function`."""
    measure: Callable[[Setting], Findings] | None = None
    """Measures what single steps cannot show: memory, times, trainings. Runs before the program is traced."""
    read: Callable[[Log], Mapping[str, Measure]] | None = None
    """Measures what the steps do show: counts the calls, compares what was printed. Pure."""
    traced: bool = True
    """Whether the program's own steps are recorded; not where `measure` gives the engine's."""
    memory: bool = False
    """Whether each step says what the program's objects take."""
    table: Table | None = None
    """The comparison that the lesson ends in, where it does."""
    seconds: float = DEFAULT_SECONDS
    memory_bytes: int = DEFAULT_MEMORY_BYTES

    @property
    def number(self) -> int:
        """Its place on the ladder."""
        return int(self.id[:2])

    def checked(self, given: Mapping[str, object]) -> dict[str, Value]:
        """All parameters, with `given` in place of their defaults. Raises ParameterError."""
        known = {parameter.name for parameter in self.parameters}
        for name in given:
            if name not in known:
                names = ", ".join(sorted(known)) or "none"
                raise ParameterError(
                    f"lesson {self.id} has no parameter {name[:60]!r}: it has {names}", field=name[:60]
                )
        return {one.name: one.checked(given.get(one.name, one.default)) for one in self.parameters}

    def checked_variant(self, given: str) -> str:
        """`given`, or the first variant for "". Raises ParameterError."""
        if given and given not in self.variants:
            raise ParameterError(
                f"lesson {self.id} has no variant {given[:60]!r}: it has {', '.join(self.variants)}", field="variant"
            )
        return given or self.variants[0]

    def card(self) -> LessonCard:
        """What the contents page needs to know of it."""
        return LessonCard(
            id=self.id,
            number=self.number,
            parameters=self.parameters,
            variants=self.variants,
            prediction=self.prediction,
            task=self.task,
            question=self.question,
            table=self.table,
        )


@dataclass(frozen=True, slots=True)
class LessonCard:
    """A lesson as the contents page knows it. A user's own program has neither number nor questions."""

    id: str
    number: int | None
    parameters: tuple[Parameter, ...]
    variants: tuple[str, ...]
    prediction: Question | None
    task: Task | None
    question: Question | None
    table: Table | None = None
