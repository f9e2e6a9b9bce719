"""The last table: Python's iterator beside a DataLoader, over the very same samples."""

from __future__ import annotations

from collections.abc import Mapping

from loader_core.lessons.last_table import LAST_TABLE
from loader_core.lessons.lesson import Lesson, Parameter, Question, Task
from loader_core.lessons.log import Log, Measure
from loader_core.lessons.reading import name, texts

PROGRAM = """
import torch

from loader_core.engine import DataLoader

samples = [torch.tensor([number, number * number]) for number in range($samples)]

# es: Un iterador de Python: una muestra cada vez, en el orden en que están.
# en: A Python iterator: one sample at a time, in the order in which they lie.
one_by_one = []
for sample in iter(samples):
    one_by_one.append(tuple(sample.shape))

# es: Un DataLoader: las mismas muestras.
# en: A DataLoader: the same samples.
torch.manual_seed($seed)
loader = DataLoader(samples)  #? bare
loader = DataLoader(samples, batch_size=4)  #? batches
loader = DataLoader(samples, batch_size=4, shuffle=True)  #? shuffled
loader = DataLoader(samples, batch_size=4, shuffle=True, num_workers=2, worker_method="thread")  #? workers
batches, seen = [], []
for batch in loader:
    batches.append(tuple(batch.shape))
    seen.extend(batch[:, 0].tolist())
print(len(one_by_one), one_by_one[0])
print(len(batches), batches[0])

shuffled = seen != sorted(seen)
complete = sorted(seen) == list(range($samples))
"""


def read(log: Log) -> Mapping[str, Measure]:
    """What either gave, and how often it was asked."""
    measures = {
        "iterator_steps": Measure(len(texts(log, "one_by_one")), "calls"),
        "loader_steps": Measure(len(texts(log, "batches")), "calls"),
    }
    for key in ("shuffled", "complete"):
        found = name(log, key)
        if found is not None:
            measures[key] = Measure(found.text == "True")
    shapes = texts(log, "batches")
    if shapes:
        measures["batch_shape"] = Measure(shapes[0])
    return measures


LESSON = Lesson(
    id="12-table",
    program=PROGRAM,
    variants=("batches", "bare", "shuffled", "workers"),
    parameters=(
        Parameter("samples", "int", 18, min=4, max=48, unit="samples"),
        Parameter("seed", "int", 0, min=0, max=9999),
    ),
    read=read,
    table=LAST_TABLE,
    prediction=Question(measure="loader_steps", min=1, max=48, unit="calls"),
    task=Task(start="batches", choices=("batches", "bare", "shuffled", "workers"), measure="shuffled", wanted=True),
    question=Question(measure="complete", choices=("true", "false")),
)
