"""`loaderscope tune`: its options, and what it prints."""

from __future__ import annotations

import argparse

from rich.console import Console

from app.run_options import add_run_options, run_settings
from app.scores import Scores
from app.script_subject import ScriptSubject
from app.settings import Settings
from app.tuner import (
    LONGEST_TRIAL_S,
    MOST_WORKERS,
    SHORTEST_TRIAL_S,
    TRIALS_WANTED,
    CatalogueSubject,
    Tuned,
    bounds_for,
    report,
    tune_on,
)
from loader_core.diagnose.tune import Bounds
from loader_core.trace.home import home

DEFAULT_SECONDS = 60.0
LEAST_SECONDS = 5.0


def add_tune_options(parser: argparse.ArgumentParser) -> None:
    """The options of `loaderscope tune`."""
    parser.add_argument(
        "--seconds", type=float, default=DEFAULT_SECONDS, help=f"budget for measuring ({DEFAULT_SECONDS:.0f})"
    )
    parser.add_argument("--max-workers", type=int, help=f"try no more workers ({MOST_WORKERS})")
    parser.add_argument("--max-prefetch", type=int, default=8, help="try no larger prefetch_factor (8)")
    parser.add_argument("--any-order", action="store_true", help="try in_order=False as well")
    parser.add_argument("--threads", action="store_true", help="try threads as well (our engine alone has them)")
    parser.add_argument("--loader", default="", metavar="FILE:LINE", help="the loader of the script to tune")
    add_run_options(parser, without=("seconds", "epochs", "detail", "name"))
    parser.add_argument(
        "script", nargs=argparse.REMAINDER, metavar="SCRIPT", help="your own script, then its own arguments"
    )


def run_tune(options: argparse.Namespace, settings: Settings, console: Console) -> Tuned:
    """Tune what the options name, and print what came of it. Raises LoaderscopeError, ValidationError, ValueError."""
    seconds = max(options.seconds, LEAST_SECONDS)
    scores = Scores(options.home or home())
    script = options.script[1:] if options.script[:1] == ["--"] else options.script
    if script:
        first_s = min(max(seconds / TRIALS_WANTED * 0.8, SHORTEST_TRIAL_S), LONGEST_TRIAL_S)
        with console.status("observe the script"):
            subject = ScriptSubject(script, options.home, place=options.loader, first_s=first_s)
        tuned = tune_on(console, subject, _bounds(options, subject, threads=False), budget_s=seconds, scores=scores)
        _print(console, report(tuned, subject))
        return tuned
    with CatalogueSubject(run_settings(options), settings.runs_home, data_roots=settings.data) as catalogue:
        threads = options.threads and run_settings(options).engine == "loaderscope"
        bounds = _bounds(options, catalogue, threads=threads)
        tuned = tune_on(console, catalogue, bounds, budget_s=seconds, scores=scores)
        _print(console, report(tuned, catalogue))
        return tuned


def _bounds(options: argparse.Namespace, subject: ScriptSubject | CatalogueSubject, *, threads: bool) -> Bounds:
    return bounds_for(
        subject.start,
        max_workers=options.max_workers,
        max_prefetch=options.max_prefetch,
        threads=threads,
        any_order=options.any_order,
    )


def _print(console: Console, lines: list[str]) -> None:
    for line in lines:
        console.print(line, markup=False)
