"""What recording costs: the same epochs over the photographs without and with it, in turn.

    python -m benchmarks.recording [--rounds 30] [--workers 0 2]

The consumer does nothing but ask for the next batch, which is the hardest case: every nanosecond that recording takes
is one that loading does not get. One process holds a loader without recording and one for each detail, and a round is
one epoch of each, in an order that turns by one from round to round. A ratio compares an epoch with the one of the same
round without recording: of the CPU time that the process and its workers used, which a busy machine changes little, and
of the throughput, which it changes much.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
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
class Epoch:
    """One epoch of one loader."""

    samples_per_s: float
    cpu_us_per_sample: float


def epochs(workers: int, rounds: int) -> dict[str, list[Epoch]]:
    """`rounds` epochs of each detail, in the process that calls this; the first round warms up and is left out."""
    import torch

    torch.set_num_threads(1)  # as in a worker: threads that spin would be counted as work
    measured: dict[str, list[Epoch]] = {detail: [] for detail in DETAILS}
    with ExitStack() as stack:
        loaders = {detail: _loader(workers, detail, stack) for detail in DETAILS}
        for number in range(rounds + 1):
            turn = number % len(DETAILS)
            for detail in (*DETAILS[turn:], *DETAILS[:turn]):
                epoch = _epoch(loaders[detail])
                if number:
                    measured[detail].append(epoch)
        loaders.clear()  # their workers end and seal what they recorded
    return measured


def _loader(workers: int, detail: str, stack: ExitStack) -> Any:
    from loader_core.engine import DataLoader
    from loader_core.scenarios import catalogue
    from loader_core.trace import Detail, Recording

    recording: Recording | None = None
    if detail != "none":
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")), "run")
        recording = stack.enter_context(Recording.create(directory, run_id="benchmark"))
        recording.control.detail = Detail[detail.upper()]
    return DataLoader(
        catalogue.build("photographs", image_size=IMAGE_SIZE).dataset,
        BATCH_SIZE,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
        recording=recording,
    )


def _epoch(loader: Any) -> Epoch:
    batches = iter(loader)
    workers = set(batches.pids()) - {os.getpid()}
    before, started, samples = _cpu_ns(workers), time.perf_counter(), 0
    for _, labels in batches:
        samples += len(labels)
    took_s, used_ns = time.perf_counter() - started, _cpu_ns(workers) - before
    return Epoch(samples / took_s, used_ns / samples / 1e3)


def _cpu_ns(workers: set[int]) -> int:
    """CPU time of this process and of its workers' main threads, from Linux's scheduler, to the nanosecond."""
    return time.process_time_ns() + sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in workers)


def main() -> None:
    """Measure, print, write benchmarks/results/recording.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    chosen = parser.parse_args()

    where = table.machine()
    rows, results = [], []
    for workers in chosen.workers:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
            measured = fresh.submit(epochs, workers, chosen.rounds).result()
        base = measured["none"]
        for detail, ones in measured.items():
            entry: dict[str, Any] = {
                "workers": workers,
                "detail": detail,
                "cpu_us_per_sample": Spread.of([one.cpu_us_per_sample for one in ones]),
                "cpu_of_none": _ratio(ones, base, "cpu_us_per_sample"),
                "samples_per_s": Spread.of([one.samples_per_s for one in ones]),
                "throughput_of_none": _ratio(ones, base, "samples_per_s"),
            }
            results.append(entry)
            rows.append(
                [f"{workers} workers, {detail}", *(str(entry[key]) for key in list(entry)[2:])],
            )
    title = f"Recording on the photographs, batch {BATCH_SIZE}: median (lowest .. highest) of {chosen.rounds} rounds"
    table.show(title, ["recorded", "CPU us/sample", "of none", "samples/s", "of none"], rows, where)
    print(table.write("recording", {"machine": where, "rounds": chosen.rounds, "results": results}))


def _ratio(ones: list[Epoch], base: list[Epoch], number: str) -> Spread:
    return table.ratios([getattr(one, number) for one in ones], [getattr(one, number) for one in base])


if __name__ == "__main__":
    main()
