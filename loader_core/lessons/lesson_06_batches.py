"""Batches and collate: samples of different sizes become one tensor, or do not."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from loader_core.lessons.lesson import Findings, Lesson, Parameter, Question, Setting, Task
from loader_core.lessons.log import Curve, Log, Measure
from loader_core.lessons.reading import name, steps_of
from loader_core.lessons.things import short_text

PROGRAM = """
import torch
#? samples=photographs {
from PIL import Image

#? }
from loader_core import DataLoader
#? samples=photographs {
from loader_core.scenarios.photographs import TOTAL, crops
#? }


#? stack {
def collate(samples):
    # es: Una pila: todas las muestras han de medir lo mismo.
    # en: A stack: all samples must have the same size.
    return torch.stack(samples)
#? }
#? pad {
def collate(samples):
    # es: Ceros hasta la muestra más grande del lote.
    # en: Zeros up to the largest sample of the batch.
    sizes = [max(sizes) for sizes in zip(*[sample.shape for sample in samples])]
    batch = torch.zeros(len(samples), *sizes, dtype=samples[0].dtype)
    for row, sample in enumerate(samples):
        batch[row][tuple([slice(size) for size in sample.shape])] = sample
    return batch
#? }
#? crop {
def collate(samples):
    # es: Cortadas a la muestra más pequeña del lote.
    # en: Cut down to the smallest sample of the batch.
    sizes = [min(sizes) for sizes in zip(*[sample.shape for sample in samples])]
    return torch.stack([sample[tuple([slice(size) for size in sizes])] for sample in samples])
#? }
#? keep {
def collate(samples):
    # es: Una lista: nada se rellena, y nada se calcula de una vez.
    # en: A list: nothing is padded, and nothing is computed at once.
    return samples
#? }


#? samples=texts {
texts = ["iter", "generator", "next", "batch", "yield", "StopIteration"]
samples = [torch.tensor([ord(letter) for letter in text]) for text in texts]
#? }
#? samples=photographs {
samples = []
for file in sorted(crops()[0].glob("*.jpg"))[:: TOTAL // 6][:6]:
    with Image.open(file) as picture:
        picture.thumbnail((8, 8))
        pixels = torch.frombuffer(bytearray(picture.convert("L").tobytes()), dtype=torch.uint8)
        samples.append(pixels.reshape(picture.height, picture.width))
#? }
sizes = [tuple(sample.shape) for sample in samples]
values = sum([sample.numel() for sample in samples])

places = 0
shapes = []
for batch in DataLoader(samples, batch_size=$batch_size, collate_fn=collate):
    #? keep {
    shapes.append([tuple(sample.shape) for sample in batch])
    places += sum([sample.numel() for sample in batch])
    #? }
    #? !keep {
    shapes.append(tuple(batch.shape))
    places += batch.numel()
    #? }
    print(shapes[-1])
padding = 1 - values / places
"""

LENGTHS_BATCH = 32


def measure(setting: Setting) -> Findings:
    """How much of the batches of real texts is padding: drawn in any order, and from texts of about one length."""
    import torch

    from loader_core.engine import DataLoader
    from loader_core.scenarios.dials import Dials
    from loader_core.scenarios.text import HelpTopics

    alike = [torch.full((3,), number) for number in range(8)]
    one, batch = next(iter(alike)), next(iter(DataLoader(alike, batch_size=4)))
    texts = HelpTopics(dials=Dials(None))
    lengths = [len(texts[index][0]) for index in range(len(texts))]
    mixed = lengths.copy()
    random.Random(0).shuffle(mixed)
    sizes = (1, 2, 4, 8, 16, LENGTHS_BATCH)
    shuffled = [padding_share(mixed, size) for size in sizes]
    by_length = [padding_share(sorted(lengths), size) for size in sizes]
    return Findings(
        measures={
            "iterator_gives": Measure(short_text(one)),
            "loader_gives": Measure(short_text(batch)),
            "iterator_per_next": Measure(one.numel() // 3, "samples"),
            "loader_per_next": Measure(len(batch), "samples"),
            "texts": Measure(len(lengths), "texts"),
            "texts_batch": Measure(LENGTHS_BATCH, "samples"),
            "shortest": Measure(min(lengths), "tokens"),
            "longest": Measure(max(lengths), "tokens"),
            "padding_shuffled": Measure(shuffled[-1], "share"),
            "padding_by_length": Measure(by_length[-1], "share"),
        },
        curves=[
            Curve("padding_shuffled", "samples", "share", sizes, tuple(shuffled), log_x=True),
            Curve("padding_by_length", "samples", "share", sizes, tuple(by_length), log_x=True),
        ],
    )


def padding_share(lengths: Sequence[int], size: int) -> float:
    """The share of the places of all batches of `size` that holds nothing but padding."""
    batches = [lengths[first : first + size] for first in range(0, len(lengths), size)]
    return 1 - sum(lengths) / sum(len(batch) * max(batch) for batch in batches)


def read(log: Log) -> Mapping[str, Measure]:
    """What came of the samples: batches, padding, or an error."""
    measures = {
        "fails": Measure(log.fault is not None),
        "collate_calls": Measure(len(steps_of(log, "collate", "call")), "calls"),
    }
    if log.fault is not None:
        measures["error"] = Measure(log.fault.type)
    found = {wanted: name(log, wanted) for wanted in ("values", "places", "padding")}
    if found["values"] is not None and found["padding"] is not None and found["places"] is not None:
        values, places = int(found["values"].text), int(found["places"].text)
        measures |= {
            "values": Measure(values, "values"),
            "places": Measure(places, "values"),
            "padding": Measure(max(0.0, 1 - values / places), "share"),
            "lost": Measure(max(0.0, 1 - places / values), "share"),
            "outcome": Measure("padded" if places > values else "cut" if places < values else "whole"),
        }
    else:
        measures["outcome"] = Measure("error")
    return measures


LESSON = Lesson(
    id="06-batches",
    program=PROGRAM,
    variants=("pad", "stack", "crop", "keep"),
    parameters=(
        Parameter("samples", "choice", "texts", choices=("texts", "photographs")),
        Parameter("batch_size", "int", 3, min=1, max=6, unit="samples"),
    ),
    measure=measure,
    read=read,
    prediction=Question(measure="padding", min=0, max=0.9, unit="share", tolerance=0.25),
    task=Task(start="pad", choices=("pad", "stack", "crop", "keep"), measure="fails", wanted=True),
    question=Question(
        measure="padding_by_length", min=0, max=0.9, unit="share", tolerance=0.5, curve="padding_by_length"
    ),
)
