"""Faults of processes and threads: the GIL, a busy main thread, slow starts, workers made anew for each epoch."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import torch
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.diagnose.bilingual import Bilingual
from loader_core.scenarios.faults.fault import WAIT_SHARES, Engine, Fault, Load, Strength
from loader_core.scenarios.faults.pieces import ENDLESS, Rows, Waits, step_for, took
from loader_core.scenarios.sources import topic_paragraphs

# --- the GIL ----------------------------------------------------------------------------------------------------------


class Hashed(Dataset[Tensor]):
    """Each sample is some hundred microseconds of pure Python, which never lets go of the GIL by itself."""

    ROUNDS = 5000

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Tensor:
        value = index
        for _ in range(self.ROUNDS):
            value = (value * 1103515245 + 12345) % 2147483648
        return torch.tensor([float(value)])


def _threads(strength: Strength, engine: Engine, folder: Path) -> Load:
    dataset = Hashed()
    each = took(lambda index: dataset[index], 100)
    workers = {"mild": 2, "clear": 3, "severe": 4}[strength]
    step = step_for(32 * each, WAIT_SHARES[strength])
    return Load(dataset, {"batch_size": 32, "num_workers": workers}, Waits(step), ours={"worker_method": "thread"})


@contextmanager
def _busy_threads(count: int) -> Iterator[None]:
    """Threads of this process that compute in pure Python: statistics, say, or a logger that formats all day."""
    over = threading.Event()

    def compute() -> None:
        value = 1
        while not over.is_set():
            for _ in range(10_000):
                value = (value * 1103515245 + 12345) % 2147483648

    threads = [threading.Thread(target=compute, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _beside(strength: Strength, engine: Engine, folder: Path) -> Load:
    count = {"mild": 1, "clear": 1, "severe": 2}[strength]
    step = {"mild": 0.030, "clear": 0.010, "severe": 0.010}[strength]
    arguments = {"batch_size": 16, "num_workers": 2, "prefetch_factor": 4}
    # Each batch waits its turn at the lock for tenths of a second, and of too few steps nothing is said.
    return Load(Rows(), arguments, Waits(step), around=lambda: _busy_threads(count), seconds=7.0)


def _gil(strength: Strength, engine: Engine, folder: Path) -> Load:
    return (_threads if engine == "ours" else _beside)(strength, engine, folder)


# --- the main thread --------------------------------------------------------------------------------------------------


class Bucketed(torch.utils.data.Sampler[list[int]]):
    """Draws batches of samples of like length, as samplers for texts do: looks through a pool for each batch."""

    def __init__(self, pool: int) -> None:
        paragraphs, _, _ = topic_paragraphs()
        self.lengths = [len(text) for text in paragraphs]
        self.pool = pool

    def __len__(self) -> int:
        return ENDLESS // 16

    def __iter__(self) -> Iterator[list[int]]:
        for number in range(len(self)):
            yield self.draw(number)

    def draw(self, number: int) -> list[int]:
        """The indices of one batch: those of the pool whose lengths come nearest to that of the first of them."""
        lengths, count = self.lengths, len(self.lengths)
        pool = [(number * 31 + i) % count for i in range(self.pool)]
        wanted = lengths[pool[0]]
        return sorted(pool, key=lambda index: (abs(lengths[index] - wanted), index))[:16]


def _main_thread(strength: Strength, engine: Engine, folder: Path) -> Load:
    share = WAIT_SHARES[strength]
    pool = {"mild": 5_000, "clear": 10_000, "severe": 20_000}[strength]
    sampler = Bucketed(pool)
    draw = took(sampler.draw, 10)
    arguments = {"batch_sampler": sampler, "num_workers": 2, "prefetch_factor": 4}
    return Load(Rows(), arguments, Waits(draw * (1 - share) / share), seconds=3.5)


# --- starting ---------------------------------------------------------------------------------------------------------


class Vocabulary:
    """A `worker_init_fn` that counts the words of all topics of Python's help, again and again: real work at start."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def __call__(self, worker: int) -> None:
        for _ in range(self.rounds):
            self.count()

    @staticmethod
    def count() -> None:
        """One round."""
        paragraphs, _, _ = topic_paragraphs()
        words: Counter[int] = Counter()
        for text in paragraphs[:2000]:
            words.update(crc32(word) for word in text.split())


STARTED_STEPS, STARTED_STEP_S = 100, 0.010


def _startup(strength: Strength, engine: Engine, folder: Path) -> Load:
    round_s = took(lambda _: Vocabulary.count(), 5)
    wanted_s = {"mild": 0.5, "clear": 1.2, "severe": 2.0}[strength]
    arguments = {
        "batch_size": 8,
        "num_workers": 2,
        "worker_init_fn": Vocabulary(max(1, round(wanted_s / round_s))),
        # A fresh interpreter that imports torch and the dataset's module, as on macOS and Windows:
        "multiprocessing_context": "spawn" if strength == "severe" else "fork",
    }
    return Load(Rows(STARTED_STEPS * 8), arguments, Waits(STARTED_STEP_S), epochs=1, seconds=20.0)


def _respawn(strength: Strength, engine: Engine, folder: Path) -> Load:
    batches = {"mild": 30, "clear": 14, "severe": 5}[strength]
    workers = {"mild": 4, "clear": 4, "severe": 6}[strength]
    arguments = {"batch_size": 8, "num_workers": workers, "persistent_workers": False}
    return Load(Rows(batches * 8), arguments, Waits(0.004), seconds=4.0)


PROCESS = (
    Fault(
        "python-lock",
        "gil_bound",
        Bilingual(
            "Hilos que calculan en Python puro: con el motor propio son los workers; con el de torch, que no los "
            "tiene, un hilo de cuentas junto al bucle, por el que cada lote listo espera el GIL.",
            "Threads that compute in pure Python: of our engine its workers; of torch's, which has none, a thread of "
            "statistics beside the loop, for which each batch that is ready waits for the GIL.",
        ),
        _gil,
    ),
    Fault(
        "bucketing",
        "main_thread_bound",
        Bilingual(
            "El batch_sampler ordena en Python un fondo de muestras por lote, en el hilo principal.",
            "The batch_sampler sorts a pool of samples in Python for each batch, in the main thread.",
        ),
        _main_thread,
    ),
    Fault(
        "slow-start",
        "startup_bound",
        Bilingual(
            "Una sola época corta: worker_init_fn construye un vocabulario, y en el caso grave cada worker es un "
            "intérprete nuevo.",
            "One short epoch alone: worker_init_fn builds a vocabulary, and in the severe case each worker is a new "
            "interpreter.",
        ),
        _startup,
    ),
    Fault(
        "short-epochs",
        "epoch_respawn",
        Bilingual(
            "Épocas de pocos lotes, y los workers se crean de nuevo en cada una.",
            "Epochs of few batches, and the workers are made anew for each of them.",
        ),
        _respawn,
    ),
)
