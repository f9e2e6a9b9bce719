"""What observing torch's own DataLoader costs, beside other tools: the same epochs with and without, in turn.

    python -m benchmarks.overhead [--workloads W1 W2] [--rounds 30] [--workers 0 2] [--samples N] [--ours]
    python -m benchmarks.overhead --readme

The loop does nothing but ask for the next batch, which is the hardest case: every nanosecond that observation takes is
one that loading does not get. A process holds a loader that is not observed and one for each detail, and a round is one
epoch of each, in an order that turns by one from round to round; after a few rounds a fresh process goes on.
torch.profiler, and viztracer where it is installed, run around an epoch of the loader that is not observed. A ratio
compares an epoch with the bare one of the same round: of the CPU time of the process and its workers, all threads,
which a busy machine changes little, and of the time on the clock, which it changes much.

TraceML (`pip install traceml-ai`) is a launcher with processes of its own, so it is measured otherwise: whole programs
in turn, `python`, `loaderscope run` and `traceml run`, each of which times its own epochs and leaves out the first.

What is measured takes the place of what was there of the same kind; `--ours` measures our own details alone. What was
measured elsewhere, or before, keeps the machine and the commit that it was measured with.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.table import Spread
from benchmarks.workloads import WORKLOADS, found

NAME = "overhead"
DETAILS = ("batch", "sample", "stage")
BARE = "none"
WORKLOAD_NAMES = ("W1", "W2")
SAMPLES = {"W1": 100_000, "W2": 512}
"""Of an epoch: one to two seconds of two workers."""

PROGRAM_EPOCHS = 4
PROCESSES = 10
"""Fresh ones, over which rounds are spread."""
KEYS = ("workload", "workers", "variant")
README = table.ROOT / "README.md"
BEGIN, END = "<!-- overhead:begin -->", "<!-- overhead:end -->"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch."""

    wall_s: float
    cpu_s: float


# --- epochs in one process --------------------------------------------------------------------------------------------


def variants(*, ours: bool) -> list[str]:
    """What is compared: nothing, our details, and the tools that are there."""
    if ours:
        return [BARE, *DETAILS]
    return [BARE, *DETAILS, "torch.profiler", *(["viztracer"] if found("viztracer") else [])]


def epochs(name: str, workers: int, samples: int, rounds: int, *, ours: bool) -> dict[str, list[Epoch]]:
    """`rounds` epochs of each variant, in the process that calls this; the first round warms up and is left out."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # torch.profiler says nothing
    import torch

    torch.set_num_threads(1)  # as in a worker: threads that spin would be counted as work
    measured: dict[str, list[Epoch]] = {variant: [] for variant in variants(ours=ours)}
    with ExitStack() as stack:
        loaders = {detail: _loader(name, workers, samples, detail, stack) for detail in (BARE, *DETAILS)}
        for number in range(rounds + 1):
            turn = number % len(measured)
            for variant in (*list(measured)[turn:], *list(measured)[:turn]):
                with _tool(variant):
                    epoch = _epoch(loaders.get(variant, loaders[BARE]))
                if number:
                    measured[variant].append(epoch)
        loaders.clear()  # their workers end and seal what they recorded
    return measured


def _loader(name: str, workers: int, samples: int, detail: str, stack: ExitStack) -> Any:
    from torch.utils.data import DataLoader

    from loader_core.observe import observe
    from loader_core.trace import Detail, Recording

    workload = WORKLOADS[name]
    loader: DataLoader[Any] = DataLoader(
        workload.dataset(samples),  # type: ignore[arg-type] # torch asks for its base class, not for what it needs
        workload.batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )
    if detail != BARE:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")), "run")
        recording = stack.enter_context(Recording.create(directory, run_id="benchmark"))
        recording.control.detail = Detail[detail.upper()]
        observe(loader, recording)
    return loader


def _tool(variant: str) -> AbstractContextManager[Any]:
    if variant == "torch.profiler":
        from torch.profiler import ProfilerActivity, profile

        return profile(activities=[ProfilerActivity.CPU])
    if variant == "viztracer":
        return _viztracer()
    return nullcontext()


@contextmanager
def _viztracer() -> Iterator[None]:
    """VizTracer without the file that it writes in the end: what it costs while it traces."""
    from viztracer import VizTracer

    tracer = VizTracer(verbose=0)
    tracer.start()
    try:
        yield
    finally:
        tracer.stop()
        tracer.clear()


def _epoch(loader: Any) -> Epoch:
    batches = iter(loader)
    workers = [child.pid for child in multiprocessing.active_children() if child.pid]
    before, started = _cpu_s(workers), time.perf_counter()
    for _ in batches:
        pass
    return Epoch(time.perf_counter() - started, _cpu_s(workers) - before)


def _cpu_s(workers: Sequence[int]) -> float:
    """CPU time so far of this process and of all threads of its workers, from Linux's scheduler, to the nanosecond."""
    theirs = sum(_thread_ns(task) for pid in workers for task in Path(f"/proc/{pid}/task").iterdir())
    return (time.process_time_ns() + theirs) / 1e9


def _thread_ns(task: Path) -> int:
    try:
        return int((task / "schedstat").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0


# --- whole programs ---------------------------------------------------------------------------------------------------


def launchers() -> dict[str, list[str]]:
    """How a program is started, by what is measured; empty where there is nothing that needs it."""
    if not found("traceml_ai"):
        return {}
    traceml = str(Path(sys.executable).with_name("traceml"))
    return {
        BARE: [sys.executable],
        "loaderscope run": [sys.executable, "-m", "app", "run"],
        "traceml run": [traceml, "run"],
    }


def programs(name: str, workers: int, samples: int, rounds: int) -> dict[str, list[Epoch]]:
    """`rounds` programs by each launcher, in turn: the median epoch of each."""
    measured: dict[str, list[Epoch]] = {launcher: [] for launcher in launchers()}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        variables = {**os.environ, "PYTHONPATH": str(table.ROOT), "LOADERSCOPE_HOME": folder}
        for number in range(rounds):
            turn = number % max(len(measured), 1)
            for launcher in (*list(measured)[turn:], *list(measured)[:turn]):
                result = Path(folder, "result.json")
                order = ["--program", name, str(workers), str(samples), str(result)]
                command = [*launchers()[launcher], str(Path(__file__).resolve()), *order]
                if launcher == "traceml run":
                    command.insert(-len(order), "--args")
                subprocess.run(command, env=variables, cwd=folder, check=True, capture_output=True)
                measured[launcher].append(Epoch(**json.loads(result.read_text())))
    return measured


def program(name: str, workers: int, samples: int, result: Path) -> None:
    """What the launchers start: some epochs; the median of all but the first goes to `result`."""
    with ExitStack() as stack:
        loader = _loader(name, workers, samples, BARE, stack)
        taken = sorted([_epoch(loader) for _ in range(PROGRAM_EPOCHS)][1:], key=lambda epoch: epoch.wall_s)
        result.write_text(json.dumps(asdict(taken[len(taken) // 2])))


# --- results ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One variant beside the bare one."""

    workload: str
    workers: int
    variant: str
    """What was observed, or by what tool."""
    rounds: int
    cpu_s: Spread
    cpu_of_none: Spread
    wall_s: Spread
    wall_of_none: Spread


def rows_of(name: str, workers: int, measured: dict[str, list[Epoch]], what: str = "") -> Iterator[Row]:
    """The ratios of each variant to the bare epoch of its round. `what` was measured stands behind its name."""
    for variant, ones in measured.items():
        wall, cpu = ([getattr(one, field) for one in ones] for field in ("wall_s", "cpu_s"))
        base_wall, base_cpu = ([getattr(one, field) for one in measured[BARE]] for field in ("wall_s", "cpu_s"))
        yield Row(
            name,
            workers,
            f"{variant}{what}",
            len(ones),
            Spread.of(cpu),
            table.ratios(cpu, base_cpu),
            Spread.of(wall),
            table.ratios(wall, base_wall),
        )


def markdown(measured: Sequence[dict[str, Any]]) -> str:
    """The tables for README.md: one for each measurement, with its conditions."""
    return "\n".join(map(_table, measured))


def _table(one: dict[str, Any]) -> str:
    rows = [entry for entry in one["results"] if not entry["variant"].startswith(BARE)]
    lines = ["| | observed | CPU time | time |", "|---|---|---:|---:|"]
    for entry in rows:
        place = f"{WORKLOADS[entry['workload']].title}, {entry['workers']} workers"
        cpu, wall = (f"{entry[key]['median']:.3f}" for key in ("cpu_of_none", "wall_of_none"))
        lines.append(f"| {place} | {entry['variant']} | {cpu} | {wall} |")
    where = one["machine"]
    counts = sorted({entry["rounds"] for entry in rows})
    rounds = " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))
    versions = ", ".join(f"{package} {version}" for package, version in where["versions"].items())
    return "\n".join(lines) + (
        f"\n\nMedians of {rounds} rounds, each against the epoch of the same round without observation. "
        f"{where['cpu']}, {where['cpus']} cores, {where['system']}, Python {where['python']}, {versions}, "
        f"commit {where['commit']}.\n"
    )


def write_readme() -> None:
    """Put the tables of what was measured between the markers in README.md."""
    text = README.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"README.md has no place for the table: put {BEGIN} and {END} where it belongs.")
    measured = json.loads((table.RESULTS / f"{NAME}.json").read_text())["measured"]
    before, rest = text.split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{markdown(measured)}{END}{rest.split(END)[1]}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write benchmarks/results/overhead.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOAD_NAMES), choices=list(WORKLOADS))
    parser.add_argument("--samples", type=int, help="of an epoch")
    parser.add_argument("--ours", action="store_true", help="no other tools")
    parser.add_argument("--readme", action="store_true", help="measure nothing, write the table into README.md")
    parser.add_argument("--program", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.program:
        name, workers, samples, result = chosen.program
        program(name, int(workers), int(samples), Path(result))
        return
    if chosen.readme:
        write_readme()
        return
    where, rows = table.machine(), list(_measure(chosen))
    title = f"Observing torch's DataLoader: median (lowest .. highest) of {chosen.rounds} rounds"
    columns = ["workload, workers, observed", "CPU s", "of none", "s", "of none"]
    cells = [[f"{row.workload}, {row.workers}, {row.variant}", *map(str, list(_spreads(row)))] for row in rows]
    table.show(title, columns, cells, where)
    found = [asdict(row) for row in rows]
    print(table.write(NAME, {"measured": [{"machine": where, "results": found}, *_others(found)]}))


def _others(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was measured before, and not now, newest first."""
    path = table.RESULTS / f"{NAME}.json"
    before = json.loads(path.read_text())["measured"] if path.exists() else []
    anew = {tuple(row[key] for key in KEYS) for row in found}
    for one in before:
        one["results"] = [row for row in one["results"] if tuple(row[key] for key in KEYS) not in anew]
    return [one for one in before if one["results"]]


def _shares(rounds: int) -> list[int]:
    """The rounds of each process: a few, since where its memory lies makes each a little faster or slower for good."""
    return [len(range(first, rounds, PROCESSES)) for first in range(min(PROCESSES, rounds))]


def _spreads(row: Row) -> Iterator[Spread]:
    yield from (row.cpu_s, row.cpu_of_none, row.wall_s, row.wall_of_none)


def _measure(chosen: argparse.Namespace) -> Iterator[Row]:
    for name in chosen.workloads:
        samples = chosen.samples or SAMPLES.get(name, WORKLOADS[name].samples)
        for workers in chosen.workers:
            measured: dict[str, list[Epoch]] = {}
            for rounds in _shares(chosen.rounds):
                with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
                    part = fresh.submit(epochs, name, workers, samples, rounds, ours=chosen.ours).result()
                for variant, taken in part.items():
                    measured.setdefault(variant, []).extend(taken)
            yield from rows_of(name, workers, measured)
            if not chosen.ours:
                yield from rows_of(name, workers, programs(name, workers, samples, chosen.rounds), ", program")


if __name__ == "__main__":
    main()
