"""Whether tuning finds what an exhaustive sweep finds, in a fifth of its time.

    python -m benchmarks.tuning [--seconds 2.5] [--pipelines decode storage ...]

The sweep measures each number of workers with each prefetch factor for `--seconds`; tuning has a fifth of the time that
the sweep took. Then the setting that tuning chose and the best of the sweep are measured in turn (A B A B ...): the
share of the best rate that the choice reaches is the result, since the sweep's own best is partly luck.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from app.scores import Scores
from app.trials import Trials
from app.tuner import CatalogueSubject, in_words, setting_of, tune, with_setting
from app.wire import RunSettings
from benchmarks import table
from benchmarks.predictions import PIPELINES, rate_of
from benchmarks.table import Spread
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.tune import Bounds

WORKERS = range(9)
PREFETCH = (1, 2, 4)
SHARE_OF_TIME = 0.2
GOAL = 0.95
PAIRS = 4
DEFAULT = ("decode", "storage", "gil")


@dataclass(frozen=True, slots=True)
class Result:
    """Tuning against the sweep, on one pipeline."""

    pipeline: str
    swept: int
    sweep_s: float
    best: str
    tune_s: float
    chosen: str
    reached: Spread
    """Of the best setting's rate."""
    gain: Spread
    """Of the choice, times the start."""


def compare(name: str, settings: RunSettings, runs: Path, *, seconds: float) -> Result:
    """Sweep, tune, and measure both winners and the start in turn. Tuning begins without workers."""
    start = settings.model_copy(update={"num_workers": 0})
    with Trials(runs) as trials:
        trials.run(with_setting(start, setting_of(start), 1.0))  # what a process does once is nobody's time

        def rate(setting: Setting) -> float:
            return rate_of(trials.run(with_setting(start, setting, seconds)))

        began = time.monotonic()
        rates = {}
        for workers in WORKERS:
            for prefetch in PREFETCH if workers else PREFETCH[:1]:
                setting = setting_of(start.model_copy(update={"num_workers": workers, "prefetch_factor": prefetch}))
                rates[setting] = rate(setting)
        sweep_s = time.monotonic() - began
        best = max(rates, key=rates.__getitem__)
        with CatalogueSubject(start, runs) as subject:
            subject.run(subject.start, 1.0)
            bounds = Bounds(max(WORKERS), max(PREFETCH))
            tuned = tune(subject, bounds, budget_s=sweep_s * SHARE_OF_TIME, scores=Scores(runs.parent))
        chosen = tuned.choice.setting if tuned.choice else tuned.start
        pairs = [(rate(chosen), rate(best), rate(setting_of(start))) for _ in range(PAIRS)]
    own, swept, before = zip(*pairs, strict=True)
    return Result(
        name,
        len(rates),
        sweep_s,
        in_words(best),
        tuned.seconds,
        in_words(chosen),
        table.ratios(own, swept),
        table.ratios(own, before),
    )


def main() -> None:
    """Measure, print, write benchmarks/results/tuning.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--pipelines", nargs="+", choices=PIPELINES, default=list(DEFAULT))
    chosen = parser.parse_args()

    where = table.machine()
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in chosen.pipelines:
            runs = Path(folder, "runs")
            results.append(compare(name, PIPELINES[name].settings, runs, seconds=chosen.seconds))
    rows = [
        [
            one.pipeline,
            f"{one.best} ({one.swept} in {one.sweep_s:.0f} s)",
            f"{one.chosen} (in {one.tune_s:.0f} s)",
            str(one.reached),
            str(one.gain),
        ]
        for one in results
    ]
    title = f"Tuning against a sweep (goal: {GOAL:.0%} of the best rate in {SHARE_OF_TIME:.0%} of the time)"
    table.show(title, ["pipeline", "best of the sweep", "chosen", "of the best rate", "times the start"], rows, where)
    print(table.write("tuning", {"machine": where, "seconds": chosen.seconds, "goal": GOAL, "results": results}))


if __name__ == "__main__":
    main()
