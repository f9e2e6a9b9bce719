"""A loader by hand, as one writes it first, with its four faults; and the project's own beside it."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from loader_core.lessons.lesson import Findings, Lesson, Parameter, Question, Setting, Task
from loader_core.lessons.log import Curve, Log, Measure, Span
from loader_core.lessons.probes import held_course
from loader_core.lessons.reading import length, name, parts, texts
from loader_core.scenarios.photographs import TOTAL, crops
from loader_core.trace.recorder import now

PROGRAM = """
import math
import random

from loader_core.engine.iteration import PlainLoader


class DataLoader:
    def __init__(self, dataset, batch_size=1, shuffle=False):
        self.dataset = dataset  #? !copied
        self.dataset = list(dataset)  #? copied
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.n_samples = len(self.dataset)
        self.n_batches = math.ceil(self.n_samples / self.batch_size)

#? notebook, copied {
    def __iter__(self):
        self.index = 0
        if self.shuffle:
            random.shuffle(self.dataset)
        return self

    def __next__(self):
        if self.index >= self.n_samples:
            raise StopIteration
        batch = self.dataset[self.index : self.index + self.batch_size]
        self.index += self.batch_size
        return batch
#? }
#? generator {
    def __iter__(self):
        order = list(range(self.n_samples))
        if self.shuffle:
            random.shuffle(order)
        for first in range(0, self.n_samples, self.batch_size):
            yield [self.dataset[index] for index in order[first : first + self.batch_size]]
#? }


class OnDemand:
    # es: Una muestra existe cuando se pide.
    # en: A sample exists once it is asked for.
    def __len__(self):
        return $samples

    def __getitem__(self, index):
        if not 0 <= index < $samples:
            raise IndexError(index)
        return index * index


def try_all(samples, loader, on_demand):
    # es: Una época.
    # en: One epoch.
    batches = []
    for batch in loader:
        batches.append(batch)
        print(batch)
    # es: Dos bucles a la vez sobre lo mismo.
    # en: Two loops over the same, at once.
    pairs = 0
    for one, other in zip(loader, loader):
        pairs += 1
    # es: Y un conjunto de datos que no es una lista.
    # en: And a data set that is no list.
    try:
        demanded = next(iter(on_demand))
    except TypeError as error:
        demanded = str(error)
    return batches, {"unchanged": samples == sorted(samples), "pairs": pairs, "demanded": demanded}


random.seed($seed)
samples = list(range($samples))
loader = DataLoader(samples, batch_size=$batch_size, shuffle=True)
expected = loader.n_batches
batches, found = try_all(samples, loader, DataLoader(OnDemand(), batch_size=$batch_size))

samples = list(range($samples))
ours = PlainLoader(samples, batch_size=$batch_size, shuffle=True, seed=$seed)
our_batches, our_found = try_all(samples, ours, PlainLoader(OnDemand(), batch_size=$batch_size))
print(found)
print(our_found)
"""

PICTURES = 48
"""Photographs that both loaders go through while memory and threads are watched."""
BATCH = 8


def measure(setting: Setting) -> Findings:
    """What a loader that wants a list keeps in memory, and whether anything is loaded while the consumer works."""
    names = setting.run()
    files = sorted(crops()[0].glob("*.jpg"))[:: TOTAL // PICTURES][:PICTURES]
    by_list = held_course(lambda: names["DataLoader"]([_read(file) for file in files], batch_size=BATCH))
    on_demand = held_course(lambda: names["PlainLoader"](_Pictures(files), batch_size=BATCH))
    plain, engine = _Pictures(files), _Pictures(files)
    steps_by_hand = _consume(names["PlainLoader"](plain, batch_size=BATCH))
    steps_of_engine = _consume(_engine(engine))
    zero = min(start for start, *_ in (*plain.reads, *engine.reads))
    return Findings(
        measures={
            "watched_photographs": Measure(len(files), "photographs"),
            "list_bytes": Measure(max(by_list), "B"),
            "on_demand_bytes": Measure(max(on_demand), "B"),
            "threads": Measure(len(plain.threads | {threading.get_ident()}), "threads"),
            "overlap": Measure(_overlap(plain.reads, steps_by_hand), "share"),
            "engine_threads": Measure(len(engine.threads | {threading.get_ident()}), "threads"),
            "engine_overlap": Measure(_overlap(engine.reads, steps_of_engine), "share"),
        },
        curves=[_curve("list_bytes", by_list), _curve("on_demand_bytes", on_demand)],
        lanes=LANES,
        spans=[
            *_spans(0, "FETCH", plain.reads, zero),
            *_spans(1, "STEP", steps_by_hand, zero),
            *_spans(2, "FETCH", engine.reads, zero),
            *_spans(3, "STEP", steps_of_engine, zero),
        ],
    )


Times = list[tuple[int, int]]
"""(start, end) of what was done, ns."""


class _Pictures:
    """Pixels of photographs, read when they are asked for; knows when, and in which threads."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files
        self.reads: Times = []
        self.threads: set[int] = set()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> bytes:
        start = now()
        pixels = _read(self.files[index])
        self.reads.append((start, now()))
        self.threads.add(threading.get_ident())
        return pixels


def _read(file: Path) -> bytes:
    with Image.open(file) as picture:
        return picture.convert("RGB").tobytes()


def _engine(pictures: _Pictures) -> Iterable[list[bytes]]:
    from loader_core.engine import DataLoader

    return DataLoader(pictures, batch_size=BATCH, num_workers=1, worker_method="thread", collate_fn=list)


def _consume(loader: Iterable[list[bytes]]) -> Times:
    """Works on each batch, and says when. What it does lets other threads run, as a training does."""
    steps = []
    for batch in loader:
        start = now()
        zlib.compress(b"".join(batch), 1)
        steps.append((start, now()))
    return steps


def _overlap(reads: Times, steps: Times) -> float:
    """The share of the reading that went on while the consumer worked."""
    common = sum(max(0, min(end, to) - max(start, since)) for start, end in reads for since, to in steps)
    return common / sum(end - start for start, end in reads)


def _spans(lane: int, kind: str, times: Times, zero: int) -> list[Span]:
    per_batch = BATCH if kind == "FETCH" else 1
    return [
        Span(lane, kind, start - zero, end - zero, 0, number // per_batch) for number, (start, end) in enumerate(times)
    ]


def _curve(name: str, course: list[int]) -> Curve:
    return Curve(name, "batches", "B", tuple(range(len(course))), tuple(course))


def read(log: Log) -> Mapping[str, Measure]:
    """What both loaders did to the samples, to each other's loops, and to a data set that is no list."""
    measures = {
        "batches": Measure(length(log, "batches"), "batches"),
        "our_batches": Measure(length(log, "our_batches"), "batches"),
    }
    expected, sizes = name(log, "expected"), _sizes(log)
    if expected is not None:
        measures["expected_batches"] = Measure(int(expected.text), "batches")
    if sizes:
        measures["last_batch"] = Measure(sizes[-1], "samples")
    for prefix, variable in (("", "found"), ("our_", "our_found")):
        answers = {part.name.strip("'"): part.text for part in parts(log, variable)}
        if answers:
            measures |= {
                f"{prefix}samples_unchanged": Measure(answers["unchanged"] == "True"),
                f"{prefix}pairs": Measure(int(answers["pairs"]), "batches"),
                f"{prefix}takes_any_dataset": Measure(answers["demanded"].startswith("list")),
            }
    if "pairs" in measures:
        measures["mended"] = Measure(
            bool(measures["samples_unchanged"].value)
            and measures["pairs"].value == measures["batches"].value
            and bool(measures["takes_any_dataset"].value)
        )
    return measures


def _sizes(log: Log) -> list[int]:
    """The lengths of the batches, from their texts: `list[10]`."""
    return [int(text[text.index("[") + 1 : -1]) for text in texts(log, "batches")]


LANES = ("reading by hand", "consumer by hand", "reading in the engine", "consumer of the engine")

LESSON = Lesson(
    id="05-loader-by-hand",
    program=PROGRAM,
    variants=("notebook", "copied", "generator"),
    parameters=(
        Parameter("samples", "int", 100, min=4, max=120, unit="samples"),
        Parameter("batch_size", "int", 10, min=3, max=60, unit="samples"),
        Parameter("seed", "int", 0, min=0, max=9999),
    ),
    beside=(
        "loader_core.engine.iteration:PlainLoader.__iter__",
        "loader_core.engine.iteration:PlainLoader._batches",
    ),
    measure=measure,
    read=read,
    prediction=Question(measure="pairs", min=0, max=40, unit="batches"),
    task=Task(start="notebook", choices=("notebook", "copied", "generator"), measure="mended", wanted=True),
    question=Question(measure="last_batch", min=1, max=60, unit="samples"),
)
