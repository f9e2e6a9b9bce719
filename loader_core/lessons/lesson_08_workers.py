"""Workers: one lane and then several; threads against processes; order, random numbers, deaths, and their price."""

from __future__ import annotations

import math
import os
import pickle
import signal
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from loader_core.errors import WorkerDied
from loader_core.lessons.lesson import Findings, Lesson, Parameter, Question, Setting, Task
from loader_core.lessons.log import Measure
from loader_core.lessons.probes import seconds
from loader_core.lessons.recorded import Run, line_of, rows_of, tell
from loader_core.trace import NO_BATCH, Kind, Trace

PROGRAM = """
import os  #? dies
import signal  #? dies
import tempfile
import time
from pathlib import Path

import numpy as np
import torch  #? own-numbers
from torch.utils.data import get_worker_info  #? dies

from loader_core.engine import DataLoader
from loader_core.errors import WorkerDied  #? dies
from loader_core.trace import Recording


class Samples:
    def __init__(self):
        #? !own-numbers {
        # es: Un generador de azar, hecho aquí, en el proceso principal.
        # en: A source of random numbers, made here, in the main process.
        self.random = np.random.default_rng($seed)
        #? }
        self.random = None  #? own-numbers

    def __len__(self):
        return $samples

    def __getitem__(self, index):
        #? waits, own-numbers, dies {
        # es: Espera a un disco: suelta el GIL. Una muestra está muy lejos.
        # en: Waits for a disk: lets go of the GIL. One sample is far away.
        time.sleep(0.05 if index == 6 else 0.01)
        #? }
        #? python-threads {
        # es: Solo Python: no suelta el GIL.
        # en: Nothing but Python: it holds the GIL.
        sum(number * number for number in range(100_000))
        #? }
        #? dies {
        if index == 13 and get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        #? }
        #? own-numbers {
        # es: Cada worker hace el suyo, con la semilla que torch le dio.
        # en: Each worker makes its own, with the seed that torch gave it.
        if self.random is None:
            self.random = np.random.default_rng(torch.initial_seed())
        #? }
        return index, self.random.integers(10**9)


def epoch(loader):
    order, noise = [], []
    start = time.perf_counter()
    for indices, numbers in loader:
        order.extend(indices.tolist())
        noise.extend(numbers.tolist())
    return order, noise, time.perf_counter() - start


if __name__ == "__main__":
    with Recording.create(Path(tempfile.mkdtemp()), run_id="workers") as recording:
        # es: Primero sin workers; después, con ellos.
        # en: First without workers; then with them.
        alone = epoch(DataLoader(Samples(), batch_size=4, recording=recording))
        loader = DataLoader(Samples(), batch_size=4, num_workers=$num_workers, recording=recording)  #? !python-threads
        #? python-threads {
        loader = DataLoader(
            Samples(), batch_size=4, num_workers=$num_workers, worker_method="thread", recording=recording
        )
        #? }
        together = epoch(loader)  #? !dies
        #? dies {
        try:
            together = epoch(loader)
        except WorkerDied as error:
            print(error)
        #? }
    print(alone[2])
    print(together[2])  #? !dies
"""

CONTEST_SAMPLES = 24
CONTEST_WORKERS = 2
CONTEST_ROUNDS = 5
TINY_SAMPLES = 64
FATAL_INDEX = 13


def measure(setting: Setting) -> Findings:
    """Runs the program, takes its recording, and holds threads and processes against each other."""
    tempfile.tempdir = os.fspath(setting.folder)  # the program's recording goes with this execution
    names = setting.run()
    directory = names["recording"].directory
    told = tell([Run("", directory)], asking=line_of(setting, "in loader:"), working=line_of(setting, "order.extend"))
    measures = {
        **_program(names, directory),
        **_contest(),
        **_price(),
        **_death(),
        **_pickling(names),
    }
    return Findings(measures=measures, lanes=told.lanes, spans=told.spans, steps=told.steps)


# --- what the program did ---------------------------------------------------------------------------------------------


def _program(names: dict[str, Any], directory: Path) -> dict[str, Measure]:
    rows = rows_of(directory)
    sends = rows[(rows["kind"] == Kind.SEND) & (rows["batch"] != NO_BATCH) & (rows["epoch"] == rows["epoch"].max())]
    finished = sends[sends["end"].argsort()]["batch"].tolist()
    early = sum(1 for place, batch in enumerate(finished) if any(later < batch for later in finished[place:]))
    fetching = set(rows[rows["kind"] == Kind.FETCH]["lane"].tolist())
    without_workers = fetching & {lane.lane for lane in Trace.open(directory).lanes if lane.worker < 0}
    measures = {
        "samples": Measure(len(names["Samples"]()), "samples"),
        "alone": Measure(names["alone"][2], "s"),
        "fetching_alone": Measure(len(without_workers), "threads"),
        "fetching_lanes": Measure(len(fetching - without_workers), "workers"),
        "finished_early": Measure(early, "batches"),
    }
    if "together" in names:
        order, noise, took = names["together"]
        measures |= {
            "together": Measure(took, "s"),
            "speedup": Measure(names["alone"][2] / took, "×"),
            "arrival": Measure("asked" if order == sorted(order) else "finished"),
            "distinct_numbers": Measure(len(set(noise)), "numbers"),
            "numbers_alone": Measure(len(set(names["alone"][1])), "numbers"),
            "all_numbers_differ": Measure(len(set(noise)) == len(noise)),
        }
    return measures


# --- threads against processes ----------------------------------------------------------------------------------------


class _Waiting:
    """Samples for which one waits, as for a disk. Lets go of the GIL."""

    def __len__(self) -> int:
        return CONTEST_SAMPLES

    def __getitem__(self, index: int) -> int:
        time.sleep(0.01)
        return index


class _Computing(_Waiting):
    """Samples that Python itself works on. Holds the GIL."""

    def __getitem__(self, index: int) -> int:
        return sum(number * number for number in range(120_000)) % 2 + index


class _Tiny(_Waiting):
    """Samples that are there at once."""

    def __len__(self) -> int:
        return TINY_SAMPLES

    def __getitem__(self, index: int) -> int:
        return index


class _Fatal(_Waiting):
    """Samples of which one ends its process."""

    def __getitem__(self, index: int) -> int:
        if index == FATAL_INDEX:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


def _contest() -> dict[str, Measure]:
    """How many times faster `CONTEST_WORKERS` workers are than none, started already: by code and by kind of worker."""
    from loader_core.engine import DataLoader

    measures = {"contest_workers": Measure(CONTEST_WORKERS, "workers")}
    for code, dataset in (("waiting", _Waiting()), ("python", _Computing())):
        loaders: dict[str, Any] = {"alone": DataLoader(dataset, 4)}
        for method in ("thread", "process"):
            loaders[method] = DataLoader(
                dataset, 4, num_workers=CONTEST_WORKERS, worker_method=method, persistent_workers=True
            )
        took = dict.fromkeys(loaders, math.inf)
        for _ in range(CONTEST_ROUNDS):  # in turn: what disturbs one of them for a while disturbs all
            for name, loader in loaders.items():
                took[name] = min(took[name], seconds(partial(_consume, loader)))
        del loader, loaders
        measures |= {f"{name}_{code}": Measure(took["alone"] / took[name], "×") for name in ("thread", "process")}
    return measures


def _consume(batches: Iterable[Any]) -> None:
    for _ in batches:
        pass


def _price() -> dict[str, Measure]:
    """What workers cost where there is nothing for them to do."""
    from loader_core.engine import DataLoader

    alone = seconds(lambda: _consume(DataLoader(_Tiny(), 4)), repeats=3)
    together = seconds(lambda: _consume(DataLoader(_Tiny(), 4, num_workers=CONTEST_WORKERS)), repeats=2)
    return {
        "tiny_alone": Measure(alone, "s"),
        "tiny_together": Measure(together, "s"),
        "tiny_slower": Measure(together / alone, "×"),
    }


def _death() -> dict[str, Measure]:
    """What is said when a worker dies."""
    from loader_core.engine import DataLoader

    try:
        _consume(DataLoader(_Fatal(), 4, num_workers=1))
    except WorkerDied as error:
        said = str(error)
    else:
        said = ""
    return {
        "certificate": Measure(said.partition(": ")[2].partition(". ")[0]),
        "fatal_sample": Measure(FATAL_INDEX, "samples"),
        "death_is_told": Measure("SIGKILL" in said and str(FATAL_INDEX) in said),
    }


def _pickling(names: dict[str, Any]) -> dict[str, Measure]:
    """What can travel to another process."""
    try:
        pickle.dumps(number for number in range(3))
        refused = ""
    except TypeError as error:
        refused = f"TypeError: {error}"
    return {
        "pickled_dataset": Measure(len(pickle.dumps(names["Samples"]())), "B"),
        "pickled_generator": Measure(refused),
    }


LESSON = Lesson(
    id="08-workers",
    program=PROGRAM,
    variants=("waits", "own-numbers", "python-threads", "dies"),
    parameters=(
        Parameter("num_workers", "int", 4, min=1, max=6, unit="workers"),
        Parameter("samples", "int", 48, min=16, max=96, unit="samples"),
        Parameter("seed", "int", 0, min=0, max=9999),
    ),
    measure=measure,
    traced=False,
    memory_bytes=8 * 1024**3,
    prediction=Question(measure="speedup", min=0, max=8, unit="×", tolerance=0.25),
    task=Task(
        start="waits",
        choices=("waits", "own-numbers"),
        measure="all_numbers_differ",
        wanted=True,
    ),
    question=Question(measure="arrival", choices=("asked", "finished")),
)
