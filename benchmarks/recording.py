"""What recording costs: the same epochs over the photographs without and with it, in turn.

    python -m benchmarks.recording [--rounds 7] [--epochs 3] [--workers 0 2]

The consumer does nothing but ask for the next batch, which is the hardest case: every nanosecond that recording takes
is one that loading does not get. Each round measures "no recording" and each detail once, in an order that turns by
one from round to round, and each measurement is a fresh process: one epoch to warm up, then `--epochs` timed ones.
A ratio compares a measurement with the one of the same round without recording.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.table import Spread

DETAILS = ("none", "batch", "sample", "stage")
BATCH_SIZE = 32
IMAGE_SIZE = 160


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement."""

    samples_per_s: float
    samples: int
    """How many the timed epochs had."""
    events: int
    """What the warm-up and the timed epochs recorded."""


def measure(workers: int, detail: str, epochs: int) -> Measured:
    """One measurement, in the process that calls this."""
    from loader_core.engine import DataLoader
    from loader_core.scenarios import catalogue
    from loader_core.trace import Detail, Recording

    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")), "run")
        recording: Recording | None = None
        if detail != "none":
            recording = stack.enter_context(Recording.create(directory, run_id="benchmark"))
            recording.control.detail = Detail[detail.upper()]
        workload = catalogue.build("photographs", image_size=IMAGE_SIZE)
        loader: DataLoader[Any] = DataLoader(
            workload.dataset,
            BATCH_SIZE,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            recording=recording,
        )
        for _ in loader:
            pass
        started, samples = time.perf_counter(), 0
        for _ in range(epochs):
            for _, labels in loader:
                samples += len(labels)
        rate = samples / (time.perf_counter() - started)
        del loader  # its workers end and seal what they recorded
        return Measured(rate, samples, _count(directory) if recording else 0)


def _count(directory: Path) -> int:
    from loader_core.trace import Trace

    trace = Trace.open(directory)
    return len(trace.window(0, trace.duration_ns))


def measure_apart(workers: int, detail: str, epochs: int) -> Measured:
    """The same in a fresh process, so that no measurement inherits another's memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(measure, workers, detail, epochs).result()


def compare(workers: int, *, rounds: int, epochs: int) -> dict[str, list[Measured]]:
    """Every detail, `rounds` times."""
    measured: dict[str, list[Measured]] = {detail: [] for detail in DETAILS}
    for number in range(rounds):
        turn = number % len(DETAILS)
        for detail in (*DETAILS[turn:], *DETAILS[:turn]):
            measured[detail].append(measure_apart(workers, detail, epochs))
            print(f"{workers} workers, round {number + 1} of {rounds}, {detail}: {measured[detail][-1]}", flush=True)
    return measured


def main() -> None:
    """Measure, print, write benchmarks/results/recording.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=3, help="timed epochs of one measurement")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    chosen = parser.parse_args()

    where = table.machine()
    rows, results = [], []
    for workers in chosen.workers:
        measured = compare(workers, rounds=chosen.rounds, epochs=chosen.epochs)
        base = [one.samples_per_s for one in measured["none"]]
        for detail, ones in measured.items():
            rates = [one.samples_per_s for one in ones]
            entry: dict[str, Any] = {
                "workers": workers,
                "detail": detail,
                "samples_per_s": Spread.of(rates),
                "of_none": table.ratios(rates, base),
                "events": ones[-1].events,
                "samples": ones[-1].samples,
            }
            results.append(entry)
            rows.append([f"{workers} workers, {detail}", str(entry["samples_per_s"]), str(entry["of_none"])])
    title = f"Recording on the photographs, batch {BATCH_SIZE}: median (lowest .. highest) of {chosen.rounds} rounds"
    table.show(title, ["recorded", "samples/s", "of none"], rows, where)
    print(table.write("recording", {"machine": where, "rounds": chosen.rounds, "results": results}))


if __name__ == "__main__":
    main()
