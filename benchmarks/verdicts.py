"""Whether verdicts are right: every fault, at three strengths, on both engines, and loaders that nothing is wrong with.

    python -m benchmarks.verdicts [--quick] [--only ID ...] [--missing] [--parts faults thin healthy gains]

Each case of `loader_core.scenarios.faults` is recorded in a process of its own, and `judge_run` says what it finds. The
truth is what we put there. Four parts: the **faults** give the confusion matrix of the top finding; **thin** windows
must give no verdict; **healthy** loaders, 20 times each, no false alarm; and the **gains** are what advices of changed
arguments were predicted to win, against what they won when the loader was run with them.

Results go to benchmarks/results/verdicts.json case by case: what is measured anew takes the place of what was there,
and `--missing` measures only what is not there yet. `--readme` writes the table in README.md from them.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import table, verdicts_report
from benchmarks.predictions import rate_of
from loader_core.diagnose.verdict import judge_run
from loader_core.errors import RecordingError
from loader_core.scenarios.faults import (
    ENGINES,
    FAULTS,
    HEALTHY,
    STEP,
    STRENGTHS,
    THIN_WINDOWS,
    Case,
    Engine,
    Fault,
    Strength,
    fault_of,
    record,
)
from loader_core.trace.trace import Trace

REPETITIONS = 20
PARTS = ("faults", "thin", "healthy", "gains")
GAINS = ("one-worker", "service", "slow-file", "short-epochs", "python-lock", "crowd")
"""Faults whose advice is a changed argument that both can be measured: before and after."""
ARGUMENTS = ("num_workers", "prefetch_factor", "persistent_workers", "in_order", "worker_method")


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found in a recording of a case."""

    case: str
    fault: str
    strength: str
    engine: str
    truth: str
    found: str
    """The code of the top finding."""
    others: list[str]
    """Codes of the findings after it."""
    share: float | None
    wait_share: float | None
    steps: int
    cpu: str
    """Of the machine that it was recorded on."""
    commit: str

    @property
    def right(self) -> bool:
        return self.found == self.truth


@dataclass(frozen=True, slots=True)
class Gain:
    """An advice followed: samples per second before, as predicted, and after."""

    case: str
    changes: dict[str, Any]
    before_per_s: float
    predicted_per_s: float
    low_per_s: float
    high_per_s: float
    after_per_s: float
    cpu: str
    commit: str


class Kept:
    """The results so far, in benchmarks/results/verdicts.json."""

    def __init__(self, where: dict[str, Any]) -> None:
        self.where = where
        self.parts: dict[str, dict[str, Any]] = {}
        with _alone():
            self._read()

    def _read(self) -> None:
        path = table.RESULTS / "verdicts.json"
        found = json.loads(path.read_text()) if path.exists() else {}
        self.parts = {part: dict(found.get(part, {})) for part in PARTS}

    def has(self, part: str, name: str) -> bool:
        """Whether this case was measured already."""
        return name in self.parts[part]

    def add(self, part: str, name: str, result: Judged | Gain) -> None:
        """Keep a result, at once. Others may measure other parts meanwhile."""
        with _alone():
            self._read()
            self.parts[part][name] = asdict(result)
            parts = {part: dict(sorted(found.items())) for part, found in self.parts.items()}
            summary = verdicts_report.summary(self.parts)
            table.write("verdicts", {"machine": self.where, "summary": summary, **parts})


@contextmanager
def _alone() -> Iterator[None]:
    """While one process writes results, no other does."""
    table.RESULTS.mkdir(exist_ok=True)
    folder = os.open(table.RESULTS, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def judged(case: Case, directory: Path, where: Mapping[str, Any], *, recorded: bool = False) -> Judged:
    """Record a case, unless it is recorded there already, and judge it. Raises RecordingError."""
    if not (recorded and directory.exists()):
        shutil.rmtree(directory, ignore_errors=True)
        record(case, directory)
    verdict = judge_run(directory)
    top = verdict.findings[0]
    return Judged(
        case=str(case),
        fault=case.fault,
        strength=case.strength,
        engine=case.engine,
        truth=fault_of(case.fault).code,
        found=str(top.code),
        others=[str(finding.code) for finding in verdict.findings[1:]],
        share=top.share,
        wait_share=verdict.wait_share,
        steps=verdict.steps,
        cpu=where["cpu"],
        commit=where["commit"],
    )


def gain(case: Case, directory: Path, where: Mapping[str, Any]) -> Gain | None:
    """Record a case, follow the first advice that changes arguments and predicts, record it again. None: no such."""
    shutil.rmtree(directory, ignore_errors=True)
    record(case, directory)
    for finding in judge_run(directory).findings:
        changes = {change.argument: change.value for change in finding.changes if change.argument in ARGUMENTS}
        if changes and finding.predicted is not None and len(changes) == len(finding.changes):
            break
    else:
        return None
    before, loader = _rate(directory), Trace.open(directory).run.loader or {}
    shutil.rmtree(directory)
    record(case, directory, {**changes, **{name: loader[name] for name in (STEP,) if name in loader}})
    predicted = finding.predicted
    return Gain(
        case=str(case),
        changes=changes,
        before_per_s=before,
        predicted_per_s=predicted.samples_per_s,
        low_per_s=predicted.low_per_s,
        high_per_s=predicted.high_per_s,
        after_per_s=_rate(directory),
        cpu=where["cpu"],
        commit=where["commit"],
    )


def _rate(directory: Path) -> float:
    return rate_of(Trace.open(directory))


def cases(
    faults: Sequence[Fault], strengths: Sequence[Strength], engines: Sequence[Engine], folder: Path
) -> Iterator[Case]:
    """The cases of these faults, the strengths in turn, so that an early end leaves some of each."""
    for strength in strengths:
        for fault in faults:
            for engine in fault.engines():
                if engine in engines and strength in fault.strengths:
                    yield fault.case(strength, engine, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write benchmarks/results/verdicts.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one strength, and healthy loaders once")
    parser.add_argument("--only", nargs="+", metavar="ID", help="these faults or healthy loaders")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--strengths", nargs="+", choices=STRENGTHS, default=list(STRENGTHS))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="of each healthy loader")
    parser.add_argument("--missing", action="store_true", help="measure only what is not in the results yet")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the recordings there")
    parser.add_argument("--recorded", action="store_true", help="judge anew what lies in DIR, and record only the rest")
    parser.add_argument("--readme", action="store_true", help="write the table in README.md, measure nothing")
    chosen = parser.parse_args(arguments)
    if chosen.readme:
        verdicts_report.write_readme()
        return
    if chosen.quick:
        chosen.strengths, chosen.repetitions = ["clear"], 1
    kept = Kept(table.machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        _measure(chosen, kept, Path(scratch))
    verdicts_report.show(kept.parts, kept.where)


def _measure(chosen: argparse.Namespace, kept: Kept, scratch: Path) -> None:
    folder, runs = scratch / "files", chosen.keep or scratch / "runs"

    def these(faults: Sequence[Fault]) -> list[Fault]:
        return [fault for fault in faults if not chosen.only or fault.id in chosen.only]

    for part, name, case in _planned(chosen, these, folder):
        if chosen.missing and kept.has(part, name):
            continue
        directory = runs / part / name.replace("/", "-")
        try:
            if part == "gains":
                result: Judged | Gain | None = gain(case, directory, kept.where)
            else:
                result = judged(case, directory, kept.where, recorded=chosen.recorded)
        except RecordingError as error:
            print(f"{name}: {error}", flush=True)
            continue
        if result is not None:
            kept.add(part, name, result)
            print(verdicts_report.line(asdict(result)), flush=True)
        if chosen.keep is None:
            shutil.rmtree(directory, ignore_errors=True)


def _planned(chosen: argparse.Namespace, these: Any, folder: Path) -> Iterator[tuple[str, str, Case]]:
    for part, faults in (("faults", FAULTS), ("thin", THIN_WINDOWS)):
        if part in chosen.parts:
            for case in cases(these(faults), chosen.strengths, chosen.engines, folder):
                yield part, str(case), case
    if "healthy" in chosen.parts:
        for number in range(chosen.repetitions):
            for case in cases(these(HEALTHY), STRENGTHS, chosen.engines, folder):
                yield "healthy", f"{case}/{number}", case
    if "gains" in chosen.parts:
        for case in cases(these([fault_of(name) for name in GAINS]), ["clear"], chosen.engines, folder):
            yield "gains", str(case), case


if __name__ == "__main__":
    main()
