"""`loaderscope tune`: one short observed run, a few proposals, and their measurement against the start, in turn."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from app.scores import Scores
from app.trials import TrialFailed, Trials
from app.wire import RunSettings
from loader_core.diagnose.predict import Predictor
from loader_core.diagnose.rates import steady_rate
from loader_core.diagnose.rows import Rows
from loader_core.diagnose.service import SERVICE_KINDS, TooFewBatches, service_of
from loader_core.diagnose.setting import Prediction, Setting
from loader_core.diagnose.tune import Bounds, Duel, Gain, propose
from loader_core.trace.trace import Trace

END_OF_TIME_NS = 1 << 62
SHORTEST_TRIAL_S = 1.0
LONGEST_TRIAL_S = 6.0
MOST_WORKERS = 16
"""Tried at most where nobody says otherwise: workers that wait for storage pay far beyond the number of cores."""
TRIALS_WANTED = 9
"""That fit into the budget: the observed run, and rounds of the start and the proposals."""


class Subject(Protocol):
    """What is tuned: something that can be run under a setting for a while."""

    @property
    def start(self) -> Setting:
        """Its setting as it is."""

    def run(self, setting: Setting, seconds: float) -> Trace:
        """Run it for about `seconds` of steps. Raises TrialFailed."""

    def change(self, setting: Setting) -> str:
        """The line to write for this setting."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of it."""

    start: Setting
    start_per_s: float
    proposals: list[Prediction]
    gains: list[Gain]
    choice: Gain | None
    trials: int
    seconds: float


def tune(
    subject: Subject,
    bounds: Bounds,
    *,
    budget_s: float,
    scores: Scores,
    tell: Callable[[str, float], None] = lambda what, share: None,
) -> Tuned:
    """Look for a faster setting within `budget_s` seconds. `tell` is called with what is done and the budget's share.

    Raises TrialFailed when the start itself cannot be run, TooFewBatches when it says too little.
    """
    began = time.monotonic()
    trial_s = min(max(budget_s / TRIALS_WANTED * 0.8, SHORTEST_TRIAL_S), LONGEST_TRIAL_S)

    def spent() -> float:
        return time.monotonic() - began

    def measured(setting: Setting, what: str) -> tuple[Rows, Trace]:
        tell(f"{what}: {in_words(setting)}", min(1.0, spent() / budget_s))
        trace = subject.run(setting, trial_s)
        return trace.window(0, END_OF_TIME_NS, SERVICE_KINDS), trace

    start = subject.start
    while True:
        rows, trace = measured(start, "observe")
        workers, method = start.num_workers, start.worker_method
        try:
            service = service_of(rows, workers=workers, worker_method=method, stages=trace.stages)
            break
        except TooFewBatches:
            trial_s *= 2
            if spent() + trial_s > budget_s:
                raise
    predictor = Predictor(service, start, error=scores.error())
    proposals = propose(predictor, bounds)
    duel = Duel(start, [one.setting for one in proposals])
    duel.note(start, service.samples_per_s)
    predicted = {one.setting: one for one in proposals}
    trials, longest = 1, 0.0
    while proposals and duel.alive() and spent() + longest < budget_s:
        setting = duel.next_trial()
        at = spent()
        try:
            found, _ = measured(setting, "measure")
            steady = steady_rate(found)
        except (TrialFailed, TooFewBatches):
            steady = None
        rate = steady.samples_per_s if steady else 0.0
        if rate and setting in predicted:
            scores.add(predicted.pop(setting), rate)
        if rate or setting != start:  # the start did run before: it has its turn again
            duel.note(setting, rate)
        trials += 1
        longest = max(longest, spent() - at)
    gains = [gain for one in proposals if (gain := duel.gain(one.setting)) is not None]
    return Tuned(start, service.samples_per_s, proposals, gains, duel.choice(), trials, spent())


def in_words(setting: Setting) -> str:
    """A setting in a few words."""
    if setting.num_workers == 0:
        return "num_workers=0"
    parts = [f"num_workers={setting.num_workers}", f"prefetch_factor={setting.prefetch_factor}"]
    if setting.worker_method == "thread":
        parts.append("worker_method='thread'")
    if not setting.in_order:
        parts.append("in_order=False")
    return ", ".join(parts)


# --- what can be tuned ------------------------------------------------------------------------------------------------


class CatalogueSubject:
    """A dataset of the catalogue, by our engine or torch's."""

    def __init__(self, settings: RunSettings, runs: Path, *, data_roots: tuple[Path, ...] = ()) -> None:
        self._settings = settings
        self._trials = Trials(runs, data_roots=data_roots)

    def __enter__(self) -> CatalogueSubject:
        return self

    def __exit__(self, *error: Any) -> None:
        self._trials.__exit__(*error)

    @property
    def start(self) -> Setting:
        return setting_of(self._settings)

    def run(self, setting: Setting, seconds: float) -> Trace:
        return self._trials.run(with_setting(self._settings, setting, seconds))

    def change(self, setting: Setting) -> str:
        engine = "" if self._settings.engine == "torch" else "loader_core."
        arguments = [f"batch_size={setting.batch_size}", *in_words(setting).split(", ")]
        if setting.num_workers:
            arguments.append("persistent_workers=True")
        return f"{engine}DataLoader(dataset, {', '.join(arguments)})"


def setting_of(settings: RunSettings) -> Setting:
    """A run's settings as the predictor takes them."""
    return Setting(
        num_workers=settings.num_workers,
        prefetch_factor=settings.prefetch_factor,
        batch_size=settings.batch_size,
        worker_method=settings.worker_method,
        in_order=settings.in_order,
        persistent_workers=settings.persistent_workers,
        pin_memory=settings.pin_memory,
        cores=float(cores()),
    )


def with_setting(settings: RunSettings, setting: Setting, seconds: float) -> RunSettings:
    """The run's settings changed to `setting`, for a trial of `seconds`."""
    fields = {
        "num_workers": setting.num_workers,
        "prefetch_factor": setting.prefetch_factor,
        "batch_size": setting.batch_size,
        "worker_method": setting.worker_method,
        "in_order": setting.in_order,
        "persistent_workers": setting.persistent_workers,
        "pin_memory": setting.pin_memory,
        "seconds": seconds,
        "epochs": 0,
        "detail": "batch",
        "name": f"tune: {in_words(setting)}",
    }
    return RunSettings.model_validate(settings.model_dump() | fields)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- on the terminal --------------------------------------------------------------------------------------------------


def tune_on(console: Console, subject: Subject, bounds: Bounds, *, budget_s: float, scores: Scores) -> Tuned:
    """`tune` with a progress bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    bar: AbstractContextManager[Progress] = Progress(*columns, console=console, transient=True)
    with bar as progress:
        task = progress.add_task("", total=1.0)
        return tune(
            subject,
            bounds,
            budget_s=budget_s,
            scores=scores,
            tell=lambda what, share: progress.update(task, description=what, completed=share),
        )


def report(tuned: Tuned, subject: Subject) -> list[str]:
    """What to print: one line per setting that was measured, and what to change."""
    lines = [f"{in_words(tuned.start)}: {tuned.start_per_s:,.0f} samples/s"]
    predicted = {one.setting: one for one in tuned.proposals}
    for gain in sorted(tuned.gains, key=lambda gain: -gain.ratio):
        one = predicted[gain.setting]
        lines.append(
            f"{in_words(gain.setting)}: {_percent(gain.ratio)} ({_percent(gain.low)} .. {_percent(gain.high)}, "
            f"{_pairs(gain)}); predicted {one.samples_per_s:,.0f}, measured {gain.samples_per_s:,.0f} samples/s"
        )
    if tuned.choice is None:
        return [*lines, "Nothing that was measured is surely faster: leave it as it is.", *_unmeasured(tuned)]
    best = tuned.choice
    return [
        *lines,
        f"Change it to  {subject.change(best.setting)}",
        (
            f"Gain: {_percent(best.ratio)} ({_percent(best.low)} .. {_percent(best.high)} with 90 %, "
            f"{_pairs(best)}), {best.start_per_s:,.0f} -> {best.samples_per_s:,.0f} samples/s"
        ),
    ]


def _unmeasured(tuned: Tuned) -> Sequence[str]:
    missing = len(tuned.proposals) - len(tuned.gains)
    return [f"The budget was over before {missing} proposals were measured: give it more --seconds."] if missing else []


def _pairs(gain: Gain) -> str:
    return f"{gain.pairs} pair{'' if gain.pairs == 1 else 's'}"


def _percent(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.0f} %"


def bounds_for(start: Setting, *, max_workers: int | None, max_prefetch: int, threads: bool, any_order: bool) -> Bounds:
    """The bounds that the command line asks for; by default up to `MOST_WORKERS` workers."""
    most = max_workers if max_workers is not None else max(MOST_WORKERS, start.num_workers)
    methods: tuple[Any, ...] = ("process", "thread") if threads else (start.worker_method,)
    return Bounds(most, max_prefetch, methods, any_order)
