"""How far predictions miss: one short observed run per pipeline, some fifty other settings predicted, then measured.

    python -m benchmarks.predictions [--seconds 2.5] [--pipelines decode storage ...] [--observed 2]

The predictor sees the observed run and nothing else: no setting that it is asked about was measured before. The
observed setting is measured again at the end; how much it changed (the drift) bounds what any prediction can reach on
this host. Errors are of samples per second, |measured / predicted - 1|.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.trials import Trials
from app.tuner import END_OF_TIME_NS, in_words, setting_of
from app.wire import RunSettings
from benchmarks import table
from loader_core.diagnose.predict import Predictor
from loader_core.diagnose.rates import RATE_KINDS, steady_rate
from loader_core.diagnose.service import SERVICE_KINDS, service_of
from loader_core.diagnose.setting import Setting
from loader_core.trace.trace import Trace

GOAL_MEDIAN, GOAL_P90 = 0.10, 0.25

Change = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Something to load, seen with `observed` workers, and the changes that are predicted."""

    title: str
    settings: RunSettings
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A setting, predicted and measured, in samples per second."""

    pipeline: str
    setting: Setting
    predicted: float
    low: float
    high: float
    measured: float

    @property
    def error(self) -> float:
        return abs(self.measured / self.predicted - 1)

    @property
    def inside(self) -> bool:
        return self.low <= self.measured <= self.high


def _workers(*numbers: int, **more: Any) -> list[Change]:
    return [{"num_workers": number, **more} for number in numbers]


_MANY = (
    *_workers(0, 1, 3, 4, 6),
    *_workers(2, prefetch_factor=1),
    *_workers(2, prefetch_factor=6),
    *_workers(4, prefetch_factor=4),
    *_workers(3, in_order=False),
    *_workers(2, batch_size=12),
    *_workers(2, persistent_workers=False),
)


def _settings(**fields: Any) -> RunSettings:
    return RunSettings(num_workers=2, detail="batch", multiprocessing_context="fork", **fields)


PIPELINES = {
    "decode": Pipeline("photographs, decoded; a small network is trained", _settings(consumer="train"), _MANY),
    "storage": Pipeline(
        "photographs from storage of 4 ms latency; a step of 10 ms",
        _settings(
            consumer="step", step_ms=10, image_size=64, augment=False, batch_size=16, dials={"storage_latency_ms": 4}
        ),
        (*_MANY, *_workers(8), *_workers(4, worker_method="thread")),
    ),
    "gil": Pipeline(
        "1.5 ms of pure Python per sample; a step of 8 ms",
        _settings(consumer="step", step_ms=8, dataset="gapminder", batch_size=16, dials={"cpu_ms": 1.5}),
        (*_MANY, *_workers(2, worker_method="thread")),
    ),
    "slow step": Pipeline(
        "photographs, decoded; a step of 45 ms", _settings(consumer="step", step_ms=45), _MANY[:-2]
    ),
    "tiny": Pipeline(
        "rows of a table; a step of 1 ms", _settings(consumer="step", step_ms=1, dataset="gapminder", batch_size=32),
        _MANY[:-2],
    ),
}  # fmt: skip


def measure(
    name: str, pipeline: Pipeline, trials: Trials, *, seconds: float, observed: int
) -> tuple[list[Pair], float]:
    """All pairs of a pipeline, and how much the observed setting had changed at the end."""
    base = pipeline.settings.model_copy(update={"seconds": seconds, "num_workers": observed})
    trials.run(base)  # the first run of a process also pays for what is done once
    trace = trials.run(base)
    rows = trace.window(0, END_OF_TIME_NS, SERVICE_KINDS)
    predictor = Predictor(service_of(rows, workers=observed, stages=trace.stages), setting_of(base))
    changes = [change for change in pipeline.changes if change != {"num_workers": observed}]
    settings = [base.model_copy(update=change) for change in changes]
    predictions = predictor.predict([setting_of(one) for one in settings])
    pairs = []
    for one, predicted in zip(settings, predictions, strict=True):
        per_s = rate_of(trials.run(one))
        pair = Pair(name, predicted.setting, predicted.samples_per_s, predicted.low_per_s, predicted.high_per_s, per_s)
        print(f"{name}: {_words(pair.setting)}: {pair.predicted:,.0f}, measured {per_s:,.0f}", flush=True)
        pairs.append(pair)
    return pairs, rate_of(trials.run(base)) / predictor.service.samples_per_s - 1


def rate_of(trace: Trace) -> float:
    """Samples per second of a recording once it was warm; 0 where there is no telling."""
    rate = steady_rate(trace.window(0, END_OF_TIME_NS, RATE_KINDS))
    return rate.samples_per_s if rate else 0.0


def _words(setting: Setting) -> str:
    restarts = "" if setting.persistent_workers or not setting.num_workers else ", persistent_workers=False"
    return f"batch_size={setting.batch_size}, {in_words(setting)}{restarts}"


def main() -> None:
    """Measure, print, write benchmarks/results/predictions.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--pipelines", nargs="+", choices=PIPELINES, default=list(PIPELINES))
    parser.add_argument("--observed", type=int, default=2, help="workers of the observed run")
    parser.add_argument("--no-json", action="store_true", help="print only")
    chosen = parser.parse_args()

    where = table.machine()
    pairs: list[Pair] = []
    drifts: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Trials(Path(folder)) as trials:
        for name in chosen.pipelines:
            found, drifts[name] = measure(
                name, PIPELINES[name], trials, seconds=chosen.seconds, observed=chosen.observed
            )
            pairs += found
    _show(pairs, drifts, where)
    if not chosen.no_json:
        results = {
            "machine": where,
            "seconds": chosen.seconds,
            "observed_workers": chosen.observed,
            **_summary(pairs),
            "goal": {"median": GOAL_MEDIAN, "p90": GOAL_P90},
            "drift": drifts,
            "pairs": [asdict(pair) for pair in pairs],
        }
        print(table.write("predictions", results))


def _summary(pairs: Sequence[Pair]) -> dict[str, float]:
    errors = [pair.error for pair in pairs]
    return {
        "settings": len(pairs),
        "median": float(np.median(errors)),
        "p90": float(np.quantile(errors, 0.9)),
        "inside": float(np.mean([pair.inside for pair in pairs])),
    }


def _show(pairs: Sequence[Pair], drifts: dict[str, float], where: dict[str, Any]) -> None:
    rows = [
        [
            f"{pair.pipeline}: {_words(pair.setting)}",
            f"{pair.predicted:,.0f}",
            f"{pair.low:,.0f} .. {pair.high:,.0f}",
            f"{pair.measured:,.0f}",
            f"{pair.measured / pair.predicted - 1:+.0%}",
        ]
        for pair in pairs
    ]
    table.show("Predicted and measured samples/s", ["setting", "predicted", "90 %", "measured", "error"], rows, where)
    summaries = [(name, [pair for pair in pairs if pair.pipeline == name]) for name in drifts]
    rows = [
        [
            name,
            str(len(own)),
            f"{_summary(own)['median']:.0%}",
            f"{_summary(own)['p90']:.0%}",
            f"{_summary(own)['inside']:.0%}",
            f"{drifts[name]:+.0%}" if name in drifts else "",
        ]
        for name, own in [*summaries, ("all", list(pairs))]
    ]
    title = f"Errors (goal: median {GOAL_MEDIAN:.0%}, 90th percentile {GOAL_P90:.0%})"
    table.show(title, ["pipeline", "settings", "median", "p90", "in interval", "drift"], rows, where)


if __name__ == "__main__":
    main()
