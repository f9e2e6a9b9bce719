"""How fast batches come: our DataLoader, torch's, and the other loaders that are installed.

    python -m benchmarks.engines                        # everything that can run here: about 15 minutes a round
    python -m benchmarks.engines --quick                # torch and ours on small data, one round: about 3 minutes
    python -m benchmarks.engines --only W1,W3 --engines torch,ours,spdl-threads --rounds 5
    python -m benchmarks.engines --readme               # measure nothing; write the table of README.md anew

Each measurement is a process of its own. A round measures each engine once, and begins with another engine than the
round before. A ratio compares an engine with torch's loader *in the same round*, so that what changes slowly on the
machine cancels out. Before an engine is timed, it delivers an epoch whose every number is added up: engines whose sums
are not torch's have not done the work, and are reported as failed. The limits are processes without a loader
(`benchmarks.limits`), measured between the engines.

`pip install -e .[peers]` installs the other loaders; without it they are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import report, table
from benchmarks.limits import LIMITS
from benchmarks.measures import Epoch, Measured, Order
from benchmarks.peers import ENGINES, TORCH
from benchmarks.report import Result
from benchmarks.workloads import WORKERS, WORKLOADS, Workload

TIMEOUT_S = 180
"""How long one measurement may take before it counts as failed."""

QUICK_ENGINES = ("torch", "torch-inline", "ours", "ours-threads", "ours-inline", "limit")


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    share: float
    """Of each workload's samples."""
    seconds: float
    """How long a rate is measured at least."""

    def samples(self, workload: Workload) -> int:
        """Of an epoch: whole batches."""
        batches = max(1, round(workload.samples * self.share / workload.batch_size))
        return min(workload.samples, batches * workload.batch_size)


FULL = Effort(rounds=3, share=1, seconds=1.5)
QUICK = Effort(rounds=1, share=0.25, seconds=0.5)


# --- one measurement --------------------------------------------------------------------------------------------------


class MeasurementFailed(Exception):
    """An engine that gave no number, and why."""


def measure(order: Order) -> Measured:
    """Carry out `order` in a fresh process. Raises MeasurementFailed."""
    command = [sys.executable, "-m", "benchmarks.measures"]
    process = subprocess.Popen(
        command,
        cwd=table.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that nothing of it outlives it
    )
    try:
        _, complaints = process.communicate(json.dumps(asdict(order)), TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"took more than {TIMEOUT_S} s") from None
    finally:
        _end_group(process)
    if process.returncode != 0 or not Path(order.result).exists():
        raise MeasurementFailed(_last_line(complaints) or f"ended with code {process.returncode}")
    found = json.loads(Path(order.result).read_text())
    epoch = found["epoch"]
    return Measured(found["numbers"], Epoch(**{**epoch, "shape": tuple(epoch["shape"])}) if epoch else None)


def _end_group(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nobody is left
    process.communicate()


def _last_line(complaints: str) -> str:
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


# --- a workload -------------------------------------------------------------------------------------------------------


def chosen_engines(workload: Workload, names: Sequence[str] | None) -> list[str]:
    """The engines and limits to measure on `workload`: all that can run, or those of `names` that can."""
    engines = [name for name, engine in ENGINES.items() if engine.installed and engine.runs(workload.name)]
    if workload.measure == "throughput" and not workload.whole_batches:
        engines += LIMITS
    return [name for name in engines if names is None or name in names or name == TORCH]


def compare(workload: Workload, engines: Sequence[str], effort: Effort) -> Result:
    """Every engine, `effort.rounds` times, in turn."""
    where = table.machine()
    rounds: list[dict[str, Measured | str]] = []
    for number in range(effort.rounds):
        turn = number % len(engines)
        rounds.append({})
        for name in (*engines[turn:], *engines[:turn]):
            rounds[-1][name] = found = _attempt(workload, name, effort)
            told = found if isinstance(found, str) else report.numbers(found.numbers)
            print(f"{workload.name}, round {number + 1} of {effort.rounds}, {name}: {told}", flush=True)
    return report.result(workload, engines, rounds, where=where, samples=effort.samples(workload))


def _attempt(workload: Workload, engine: str, effort: Effort) -> Measured | str:
    """What was measured, or why nothing was."""
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        order = Order(
            workload.name,
            engine,
            effort.samples(workload),
            effort.seconds,
            workers=WORKERS,
            result=str(Path(home, "measured.json")),
        )
        try:
            return measure(order)
        except MeasurementFailed as failure:
            return str(failure)


# --- command line -----------------------------------------------------------------------------------------------------


def _names(known: Sequence[str]) -> Any:
    def names(text: str) -> list[str]:
        asked = [name for name in text.split(",") if name]
        if unknown := [name for name in asked if name not in known]:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(known)}")
        return asked

    return names


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write benchmarks/results/engines.json (engines-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="torch and ours on small data, one round")
    parser.add_argument("--only", type=_names(list(WORKLOADS)), default=list(WORKLOADS), metavar="W1,...")
    parser.add_argument("--engines", type=_names([*ENGINES, *LIMITS]), metavar="ours,...", help="torch always is")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--readme", action="store_true", help="write the table of README.md and measure nothing")
    chosen = parser.parse_args(arguments)
    if chosen.readme:
        report.write_readme()
        return
    effort = QUICK if chosen.quick else FULL
    effort = Effort(chosen.rounds or effort.rounds, effort.share, effort.seconds)
    names = chosen.engines or (QUICK_ENGINES if chosen.quick else None)
    file = "engines-quick" if chosen.quick else "engines"
    for name in chosen.only:
        workload = WORKLOADS[name]
        if not workload.installed:
            print(f"{name} is left out: it needs {' and '.join(workload.needs)}", flush=True)
            continue
        result = compare(workload, chosen_engines(workload, names), effort)
        report.show(result)
        print(report.keep(file, result), flush=True)


if __name__ == "__main__":
    main()
