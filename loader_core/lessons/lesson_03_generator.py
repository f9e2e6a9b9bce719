"""Generators: the frame that waits at `yield` with all its names, sequences without an end, and what ends one."""

from __future__ import annotations

from collections.abc import Mapping

from loader_core.lessons.lesson import Lesson, Parameter, Question, Task
from loader_core.lessons.log import Log, Measure
from loader_core.lessons.reading import count, functions, length, name, pictures, texts

PROGRAM = """
from itertools import islice

from loader_core.engine.iteration import fibonacci


def count_letters(sequence):
    index = 0
    try:
        for value in sequence:
            yield index, value
            index += 1
    finally:
        print("    finally, index", index)
    return index


# es: La llamada da un generador.
# en: The call gives a generator.
pairs = count_letters("abc")
first = next(pairs)
rest = list(pairs)
again = list(pairs)  # es: solo una vez # en: only once

# es: Una sucesión sin fin, de la que se toma lo que haga falta.
# en: A sequence without an end, of which as much is taken as is needed.
numbers = list(islice(fibonacci(), $count))  #? take
numbers = []  #? take-until
for number in fibonacci():  #? take-until
    if len(numbers) == $count:  #? take-until
        break  #? take-until
    numbers.append(number)  #? take-until
numbers = list(fibonacci())  #? take-all

# es: close lo termina donde espera.
# en: close ends it where it waits.
closed = count_letters("abc")
next(closed)
closed.close()

# es: throw lanza una excepción donde espera.
# en: throw raises an exception where it waits.
thrown = count_letters("abc")
next(thrown)
try:
    thrown.throw(ValueError("?"))
except ValueError as error:
    print("ValueError", error)

# es: Lo que da return viaja dentro de StopIteration.
# en: What return gives travels inside StopIteration.
empty = count_letters("")
try:
    next(empty)
except StopIteration as stop:
    returned = stop.value
print(first, rest, again, numbers)
"""


def read(log: Log) -> Mapping[str, Measure]:
    """What ran when, and what was left of the generator."""
    measures = {
        "lines_before_next": Measure(_lines_before_first_value(log), "lines"),
        "first_items": Measure(length(log, "rest") + (name(log, "first") is not None), "items"),
        "second_items": Measure(length(log, "again"), "items"),
        "numbers": Measure(length(log, "numbers"), "items"),
        "most_suspended": Measure(
            max((sum(frame.state == "suspended" for frame in picture.stack) for picture in pictures(log)), default=0),
            "frames",
        ),
        "yields": Measure(count(log, "count_letters", "yield"), "yields"),
        "ends": Measure(not log.cut),
    }
    returned = name(log, "returned")
    if returned is not None:
        measures["returned"] = Measure(int(returned.text))
    if texts(log, "numbers"):
        measures["last_number"] = Measure(texts(log, "numbers")[-1])
    return measures


def _lines_before_first_value(log: Log) -> int:
    """Lines of the generator that ran between its making and the first `next`."""
    names = functions(log)
    made = False
    lines = 0
    for step in log.steps:
        function = names.get(step.frame)
        if function == "<module>" and step.event == "line":
            if made:
                return lines
            made = "count_letters(" in log.sources[0].lines[step.line - 1]
        lines += made and function == "count_letters" and step.event == "line"
    return lines


LESSON = Lesson(
    id="03-generator",
    program=PROGRAM,
    variants=("take", "take-until", "take-all"),
    parameters=(Parameter("count", "int", 10, min=1, max=40),),
    beside=("loader_core.engine.iteration:fibonacci",),
    prediction=Question(measure="lines_before_next", min=0, max=8, unit="lines"),
    task=Task(start="take", choices=("take", "take-until", "take-all"), measure="ends", wanted=False),
    question=Question(measure="second_items", min=0, max=10, unit="items"),
    read=read,
)
