"""What all benchmarks share: where a number was measured, its spread, the printed table and the JSON beside it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True, slots=True)
class Spread:
    """A number measured several times."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        if self.lowest == self.highest:
            return _digits(self.median)
        return f"{_digits(self.median)} ({_digits(self.lowest)} .. {_digits(self.highest)})"


def _digits(value: float) -> str:
    """Three digits, or all of a larger number's."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def ratios(values: Sequence[float], base: Sequence[float]) -> Spread:
    """Each value against the base that was measured right beside it: what drifts slowly cancels out."""
    return Spread.of([value / beside for value, beside in zip(values, base, strict=True)])


def machine() -> dict[str, Any]:
    """Where and with what: without it a number means nothing."""
    return {
        "cpu": _cpu(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "pillow")},
        "commit": _commit(),
        "unix_s": int(time.time()),
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """The commit that is measured; "-dirty" where the tree is not its own, but for the figures that runs have left."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":!benchmarks/results")
    return _git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], where: dict[str, Any]) -> None:
    """Print the table, and under it the machine."""
    table = Table(title=title, caption=" · ".join(f"{key} {value}" for key, value in where.items() if key != "unix_s"))
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)


def write(name: str, results: dict[str, Any]) -> Path:
    """The results as JSON in benchmarks/results; a Spread becomes its three numbers."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(results, indent=1, default=asdict) + "\n", encoding="utf-8")
    return path
