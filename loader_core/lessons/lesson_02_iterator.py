"""Iterable and iterator: `__iter__`, `__next__`, StopIteration, and what `for` does with them."""

from __future__ import annotations

from collections.abc import Mapping

from loader_core.lessons.lesson import Lesson, Parameter, Question, Task
from loader_core.lessons.log import Log, Measure
from loader_core.lessons.reading import functions, length, name, texts

PROGRAM = """
#? loader-core {
from loader_core.engine.iteration import Enumerate

#? }
#? from-one, from-zero, no-end {
class Enumerate:
    # es: Un iterador que es su propio iterable.
    # en: An iterator that is its own iterable.
    def __init__(self, sequence):
        print("    __init__")
        self.sequence = sequence
        self.index = 0

    def __iter__(self):
        print("    __iter__")
        return self

#? }
#? two-classes {
class Enumerate:
    # es: Un iterable: promete iteradores, y no guarda ninguna posición.
    # en: An iterable: it promises iterators, and holds no position.
    def __init__(self, sequence):
        print("    __init__")
        self.sequence = sequence

    def __iter__(self):
        print("    __iter__")
        return Walk(self.sequence)


class Walk:
    # es: Un recorrido: tiene la posición, y se gasta.
    # en: One walk: it has the position, and is used up.
    def __init__(self, sequence):
        self.sequence = sequence
        self.index = 0

    def __iter__(self):
        return self

#? }
#? !loader-core {
    def __next__(self):
        print("    __next__, index", self.index)
        if self.index >= len(self.sequence):  #? !no-end
            raise StopIteration  #? !no-end
        value = self.sequence[self.index]
        self.index += 1
        return self.index, value  #? from-one
        return self.index - 1, value  #? !from-one

#? }
letters = Enumerate($word)

# es: Lo que hace un for, escrito a mano.
# en: What a for does, written by hand.
first = []
iterator = iter(letters)
while True:
    try:
        pair = next(iterator)
    except StopIteration:
        break
    first.append(pair)
    print(pair)

# es: Otra vuelta, ahora con el for de siempre.
# en: Once more, now with the usual for.
second = []
for pair in letters:
    second.append(pair)

# es: El enumerate de Python, al lado.
# en: Python's own enumerate, beside it.
pythons = list(enumerate($word))
itself = iterator is letters
print(first)
print(pythons)
"""


def read(log: Log) -> Mapping[str, Measure]:
    """Counts what was asked of the iterator, and compares its pairs with Python's."""
    ours, pythons = texts(log, "first"), texts(log, "pythons")
    itself = name(log, "itself")
    measures = {
        "items": Measure(length(log, "first"), "items"),
        "next_calls": Measure(_calls_of_first_loop(log), "calls"),
        "second_items": Measure(length(log, "second"), "items"),
        "agrees_with_python": Measure(log.fault is None and not log.cut and ours == pythons),
        "is_its_own_iterator": Measure(itself is not None and itself.text == "True"),
    }
    if ours:
        measures["first_index"] = Measure(int(ours[0].strip("(").partition(",")[0]))
    return measures


def _calls_of_first_loop(log: Log) -> int:
    """Calls of `__next__` until a StopIteration has come up into the program."""
    names = functions(log)
    calls = 0
    for step in log.steps:
        function = names.get(step.frame)
        calls += step.event == "call" and function == "__next__"
        if step.event == "raise" and function == "<module>":
            break
    return calls


LESSON = Lesson(
    id="02-iterator",
    program=PROGRAM,
    variants=("from-one", "from-zero", "two-classes", "no-end", "loader-core"),
    parameters=(Parameter("word", "choice", "abc", choices=("abc", "python", "datos")),),
    beside=("loader_core.engine.iteration:Enumerate", "loader_core.engine.iteration:EnumerateIterator"),
    prediction=Question(measure="next_calls", min=0, max=12, unit="calls"),
    task=Task(start="from-one", choices=("from-one", "no-end", "from-zero"), measure="agrees_with_python", wanted=True),
    question=Question(measure="second_items", min=0, max=12, unit="items"),
    read=read,
)
