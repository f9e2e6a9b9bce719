"""Side by side: a stored sequence and a generator, each cell of their comparison measured."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from loader_core.lessons.lesson import Cell, Findings, Lesson, Parameter, Question, Row, Setting, Table, Task
from loader_core.lessons.log import Curve, Log, Measure
from loader_core.lessons.probes import peak_bytes, seconds
from loader_core.lessons.reading import parts

PROGRAM = """
def squares(count):
    for number in range(count):
        yield number * number


def ask(values):
    answers = {}
    answers["type"] = type(values).__name__
    # es: ¿Cuántos hay? ¿Cuál es el tercero?
    # en: How many are there? Which is the third?
    try:
        answers["length"] = len(values)
    except TypeError:
        answers["length"] = "TypeError"
    try:
        answers["third"] = values[2]
    except TypeError:
        answers["third"] = "TypeError"
    # es: ¿Y si se recorre dos veces?
    # en: And if one goes through it twice?
    answers["first_time"] = len(list(values))
    answers["second_time"] = len(list(values))
    # es: ¿Es su propio iterador?
    # en: Is it its own iterator?
    answers["has_next"] = hasattr(values, "__next__")
    answers["own_iterator"] = iter(values) is values
    return answers


stored = ask([number * number for number in range($count)])
#? generator {
lazy = ask(squares($count))
#? }
#? iterator {
lazy = ask(iter([number * number for number in range($count)]))
#? }
#? range {
lazy = ask(range($count))
#? }
print(stored)
print(lazy)
"""

COUNTS = (10, 100, 1_000, 10_000, 100_000)
"""Of how many items the memory and the times are measured."""

Squares = Callable[[int], Iterator[int]]


def measure(setting: Setting) -> Findings:
    """Memory and time until the first item and until the last, for more and more items."""
    names = setting.run()
    squares: Squares = names["squares"]
    stored_peaks = [peak_bytes(partial(_consume_stored, squares, count)) for count in COUNTS]
    lazy_peaks = [peak_bytes(partial(_consume, squares, count)) for count in COUNTS]
    stored_first = [seconds(partial(_first_stored, squares, count), repeats=3) for count in COUNTS]
    lazy_first = [seconds(partial(_first, squares, count), repeats=3) for count in COUNTS]
    most = COUNTS[-1]
    code: Any = squares
    return Findings(
        measures={
            "most_items": Measure(most, "items"),
            "stored_size": Measure(sys.getsizeof(list(squares(most))), "B"),
            "lazy_size": Measure(sys.getsizeof(squares(most)), "B"),
            "stored_peak": Measure(stored_peaks[-1], "B"),
            "lazy_peak": Measure(lazy_peaks[-1], "B"),
            "stored_growth": Measure(stored_peaks[-1] / stored_peaks[0], "×"),
            "lazy_growth": Measure(lazy_peaks[-1] / lazy_peaks[0], "×"),
            "stored_first": Measure(stored_first[-1], "s"),
            "lazy_first": Measure(lazy_first[-1], "s"),
            "stored_code": Measure("__iter__" if hasattr(list, "__iter__") else ""),
            "lazy_code": Measure("yield" if code.__code__.co_flags & 0x20 else ""),  # inspect.CO_GENERATOR
        },
        curves=[
            Curve("stored_peak", "items", "B", COUNTS, tuple(stored_peaks)),
            Curve("lazy_peak", "items", "B", COUNTS, tuple(lazy_peaks)),
            Curve("stored_first", "items", "s", COUNTS, tuple(stored_first)),
            Curve("lazy_first", "items", "s", COUNTS, tuple(lazy_first)),
        ],
    )


def _consume(squares: Squares, count: int) -> None:
    for _ in squares(count):
        pass


def _consume_stored(squares: Squares, count: int) -> None:
    for _ in list(squares(count)):
        pass


def _first(squares: Squares, count: int) -> int:
    return next(squares(count))


def _first_stored(squares: Squares, count: int) -> int:
    return list(squares(count))[0]  # noqa: RUF015 - what is measured is that all are made


def read(log: Log) -> Mapping[str, Measure]:
    """What the two answered."""
    measures = {}
    for which in ("stored", "lazy"):
        for answer in parts(log, which):
            question = answer.name.strip("'")
            unit = "items" if question.endswith("_time") else ""
            measures[f"{which}_{question}"] = Measure(_plain(answer.text), unit)
    if "lazy_second_time" in measures:
        first, second = measures["lazy_first_time"].value, measures["lazy_second_time"].value
        measures["lazy_only_once"] = Measure(first != second)
    return measures


def _plain(text: str) -> int | bool | str:
    if text in ("True", "False"):
        return text == "True"
    return int(text) if text.isdecimal() else text.strip("'")


def _row(key: str, measure: str) -> Row:
    own = "04-side-by-side"
    return Row(key, (Cell(own, f"stored_{measure}"), Cell(own, f"lazy_{measure}")))


TABLE = Table(
    columns=("stored", "lazy"),
    rows=(
        _row("storage", "size"),
        _row("memory", "peak"),
        _row("memory_growth", "growth"),
        _row("first_item", "first"),
        _row("length", "length"),
        _row("access", "third"),
        _row("first_time", "first_time"),
        _row("second_time", "second_time"),
        _row("implementation", "code"),
        _row("own_iterator", "own_iterator"),
        _row("example", "type"),
    ),
)

LESSON = Lesson(
    id="04-side-by-side",
    program=PROGRAM,
    variants=("generator", "iterator", "range"),
    parameters=(Parameter("count", "int", 6, min=3, max=60, unit="items"),),
    measure=measure,
    read=read,
    table=TABLE,
    prediction=Question(measure="lazy_second_time", min=0, max=60, unit="items"),
    task=Task(start="generator", choices=("generator", "iterator", "range"), measure="lazy_only_once", wanted=False),
    question=Question(measure="stored_growth", min=1, max=20_000, unit="×", tolerance=0.5),
)
