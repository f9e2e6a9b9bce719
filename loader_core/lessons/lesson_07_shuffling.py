"""Shuffling: seeds and epochs, what a model learns from sorted data, and shuffling what does not fit into memory."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np
from PIL import Image

from loader_core.lessons.lesson import Findings, Lesson, Parameter, Question, Setting, Task
from loader_core.lessons.log import Curve, Log, Measure
from loader_core.lessons.probes import peak_bytes
from loader_core.lessons.reading import name, texts
from loader_core.scenarios.photographs import CROPS_PER_PHOTOGRAPH, NAMES, crops

PROGRAM = """
import random
from itertools import islice

from loader_core.engine.iteration import PlainLoader
from loader_core.engine.sampler import PermutationSampler


def one_epoch(loader):
    order = []
    for batch in loader:
        order.extend(batch)
    print(order)
    return order


def through_a_buffer(stream, size):
    # es: Para lo que solo llega en fila: se llena un búfer y se saca uno al azar.
    # en: For what only comes in a row: fill a buffer, and take out one at random.
    buffer = []
    for sample in stream:
        buffer.append(sample)
        if len(buffer) == size:
            yield buffer.pop(random.randrange(size))
    random.shuffle(buffer)
    yield from buffer


samples = list(range($samples))
random.seed($seed)
#? once {
random.shuffle(samples)
#? }
#? every-epoch {
loader = PlainLoader(samples, batch_size=4, shuffle=True, seed=$seed)
#? }
#? once, never {
loader = PlainLoader(samples, batch_size=4)
#? }
epochs = []
for epoch in range(3):
    #? same-seed {
    loader = PlainLoader(samples, batch_size=4, shuffle=True, seed=$seed)
    #? }
    epochs.append(one_epoch(loader))
distinct = len(set([tuple(order) for order in epochs]))
complete = [sorted(order) == sorted(samples) for order in epochs]

# es: La misma semilla, la misma época.
# en: The same seed, the same epoch.
again = one_epoch(PlainLoader(samples, batch_size=4, shuffle=True, seed=$seed))
repeated = again == epochs[0]

streamed = list(through_a_buffer(range($samples), $buffer))
farthest_ahead = max([sample - place for place, sample in enumerate(streamed)])

# es: Una permutación que se calcula y no se guarda.
# en: A permutation that is computed and not stored.
endless = PermutationSampler(10**12, seed=$seed)
drawn = list(islice(endless, 4))
"""

EPOCHS = 6
TRAINED_PER_CLASS, TESTED_PER_CLASS = 36, 12
BATCH = 16
SIDE = 64

STREAM = 4_096
"""Samples of the stream of which it is measured how far a buffer moves them."""
SHARDS = 64
BUFFERS = (1, 4, 16, 64, 256, 1_024, 4_096)

STORED = 1_000_000
"""Samples of which a stored permutation is measured; the computed one has a million times as many."""


def measure(setting: Setting) -> Findings:
    """Two trainings that differ in nothing but the order of the data, and how far buffers and shards move samples."""
    import torch

    from loader_core.engine import DataLoader

    torch.set_num_threads(1)  # of a process that ends with this lesson: the same sums in the same order, on every host
    names = setting.run()
    plain = list(range(64))
    loader: DataLoader[Any] = DataLoader(plain, batch_size=8, shuffle=True)
    train, test = _photographs()
    ways = {"sorted": _Training(train, test, shuffle=False), "shuffled": _Training(train, test, shuffle=True)}
    rng = random.Random(setting.whole("seed"))
    state = random.getstate()
    random.seed(setting.whole("seed"))
    in_a_row = [_moved(list(names["through_a_buffer"](range(STREAM), size))) for size in BUFFERS]
    by_shards = [list(names["through_a_buffer"](_by_shards(rng), size)) for size in BUFFERS]
    random.setstate(state)
    neighbours = [_neighbours(order) for order in by_shards]
    measures: dict[str, Measure] = {
        "iterator_orders": Measure(len({tuple(iter(plain)) for _ in range(3)}), "orders"),
        "loader_orders": Measure(len({tuple(torch.cat(list(loader)).tolist()) for _ in range(3)}), "orders"),
        "classes": Measure(len(NAMES), "classes"),
        "trained_photographs": Measure(len(train), "photographs"),
        "chance": Measure(1 / len(NAMES), "share"),
        "stream": Measure(STREAM, "samples"),
        "moved_by_small_buffer": Measure(in_a_row[2], "share"),
        "shards": Measure(SHARDS, "shards"),
        "moved_by_shards": Measure(_moved(by_shards[0]), "share"),
        "neighbours_by_shards": Measure(neighbours[0], "share"),
        "neighbours_by_both": Measure(neighbours[-2], "share"),
        "both_buffer": Measure(BUFFERS[-2], "samples"),
        "small_buffer": Measure(BUFFERS[2], "samples"),
        "moved_by_full_shuffle": Measure(in_a_row[-1], "share"),
        "stored_permutation": Measure(peak_bytes(lambda: np.random.default_rng(0).permutation(STORED)), "B"),
        "computed_permutation": Measure(peak_bytes(lambda: list(islice(names["endless"], 1_000))), "B"),
        "stored_samples": Measure(STORED, "samples"),
        "computed_samples": Measure(names["endless"].n, "samples"),
    }
    for which, training in ways.items():
        measures[f"accuracy_{which}"] = Measure(training.accuracies[-1], "share")
        measures[f"loss_{which}"] = Measure(training.test_losses[-1], "nats")
        measures[f"last_class_share_{which}"] = Measure(training.last_class_share, "share")
    better = max(ways, key=lambda which: ways[which].accuracies[-1])
    return Findings(
        measures=measures | {"better": Measure(better)},
        curves=[curve for which, training in ways.items() for curve in training.curves(which)]
        + [
            Curve("moved_by_buffer", "samples", "share", BUFFERS, tuple(in_a_row), log_x=True),
            Curve("neighbours_by_both", "samples", "share", BUFFERS, tuple(neighbours), log_x=True),
        ],
    )


# --- how far ----------------------------------------------------------------------------------------------------------


def _moved(order: Sequence[int]) -> float:
    """How far samples are from where they were on average, as a share of all: 1/3 for a full shuffle."""
    return sum(abs(place - sample) for place, sample in enumerate(order)) / len(order) ** 2


def _neighbours(order: Sequence[int]) -> float:
    """The share of samples that still come right after the one that they were stored behind."""
    return sum(after == before + 1 for before, after in pairwise(order)) / (len(order) - 1)


def _by_shards(rng: random.Random) -> Iterator[int]:
    """The stream with its shards in a random order, each of them in its own order."""
    size = STREAM // SHARDS
    for shard in rng.sample(range(SHARDS), SHARDS):
        yield from range(shard * size, (shard + 1) * size)


# --- the trainings ----------------------------------------------------------------------------------------------------

Sample = tuple[np.ndarray[Any, np.dtype[np.uint8]], int]


def _photographs() -> tuple[list[Sample], list[Sample]]:
    """Pixels `(3, SIDE, SIDE) uint8` and class of crops, by class as a folder lists them: to train, and to test."""
    folder, found = crops()
    train: list[Sample] = []
    test: list[Sample] = []
    for number, crop in enumerate(found):
        place = number % CROPS_PER_PHOTOGRAPH
        if place < TRAINED_PER_CLASS + TESTED_PER_CLASS:
            with Image.open(folder / crop.file) as picture:
                pixels = np.asarray(picture.convert("RGB").resize((SIDE, SIDE)), np.uint8).transpose(2, 0, 1)
            (train if place < TRAINED_PER_CLASS else test).append((pixels, crop.label))
    return train, test


class _Training:
    """A small convolutional network, trained for some epochs on samples in the order that the loader gives them."""

    def __init__(self, train: Sequence[Sample], test: Sequence[Sample], *, shuffle: bool) -> None:
        from loader_core.engine.iteration import PlainLoader
        from loader_core.scenarios.training import make_training

        self.losses: list[float] = []
        self.accuracies: list[float] = []
        self.test_losses: list[float] = []
        self.last_class_share = 0.0
        training = make_training("images", classes=len(NAMES), seed=0)
        loader = PlainLoader(train, batch_size=BATCH, shuffle=shuffle, seed=0)
        for _ in range(EPOCHS):
            for batch in loader:
                self.losses.append(training.step(_collate(batch)))
            self._test(training, test)

    def _test(self, training: Any, test: Sequence[Sample]) -> None:
        import torch
        from torch.nn import functional

        pixels, labels = _collate(test)
        with torch.no_grad():
            scores = training.model(pixels)
        chosen = scores.argmax(1)
        self.accuracies.append(float((chosen == labels).float().mean()))
        self.test_losses.append(float(functional.cross_entropy(scores, labels)))
        self.last_class_share = float((chosen == len(NAMES) - 1).float().mean())

    def curves(self, which: str) -> Iterator[Curve]:
        """The loss of each batch before it was learned from, and what the network knows after each epoch."""
        steps, epochs = tuple(range(len(self.losses))), tuple(range(1, EPOCHS + 1))
        yield Curve(f"batch_loss_{which}", "batches", "nats", steps, tuple(self.losses))
        yield Curve(f"accuracy_{which}", "epochs", "share", epochs, tuple(self.accuracies))


def _collate(samples: Sequence[Sample]) -> tuple[Any, Any]:
    import torch

    return torch.from_numpy(np.stack([pixels for pixels, _ in samples])), torch.tensor([label for _, label in samples])


# --- what the steps show ----------------------------------------------------------------------------------------------


def read(log: Log) -> Mapping[str, Measure]:
    """How many different orders there were, and whether each had every sample."""
    measures = {}
    distinct, ahead = name(log, "distinct"), name(log, "farthest_ahead")
    if distinct is not None:
        measures["distinct_epochs"] = Measure(int(distinct.text), "epochs")
    complete = texts(log, "complete")
    measures["every_sample_once"] = Measure(bool(complete) and set(complete) == {"True"})
    if ahead is not None:
        measures["farthest_ahead"] = Measure(int(ahead.text), "places")
    repeated = name(log, "repeated")
    if repeated is not None:
        measures["same_seed_same_epoch"] = Measure(repeated.text == "True")
    return measures


LESSON = Lesson(
    id="07-shuffling",
    program=PROGRAM,
    variants=("same-seed", "once", "never", "every-epoch"),
    parameters=(
        Parameter("samples", "int", 12, min=4, max=48, unit="samples"),
        Parameter("buffer", "int", 4, min=1, max=48, unit="samples"),
        Parameter("seed", "int", 0, min=0, max=9999),
    ),
    beside=(
        "loader_core.engine.iteration:PlainLoader.__iter__",
        "loader_core.engine.iteration:PlainLoader._batches",
    ),
    measure=measure,
    read=read,
    prediction=Question(measure="accuracy_sorted", min=0, max=1, unit="share", tolerance=0.5, curve="accuracy_sorted"),
    task=Task(
        start="same-seed",
        choices=("same-seed", "once", "never", "every-epoch"),
        measure="distinct_epochs",
        wanted=3,
    ),
    question=Question(measure="farthest_ahead", min=0, max=47, unit="places"),
)
