"""How good the predictor has been on this host: each predicted setting that was later measured, a line each.

`predictions.jsonl` lies beside the runs. It is bounded: past `MOST_PAIRS` the older half is dropped.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loader_core.diagnose.predict import ModelError
from loader_core.diagnose.setting import Prediction

SCORES_FILE = "predictions.jsonl"
MOST_PAIRS = 2000


@dataclass(frozen=True, slots=True)
class Score:
    """How far predictions missed, in |measured / predicted - 1|; None where nothing was measured yet."""

    pairs: int
    median: float | None
    p90: float | None
    inside: float | None
    """Share of measurements that lay in the interval of their prediction."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A predicted setting that was then measured."""

    of: str
    """The run that it was predicted from, ..."""
    run: str
    """... and the one that measured it."""
    changes: list[str]
    """The arguments in which they differ, as `num_workers=4`."""
    before_per_s: float
    """Samples per second of the former."""
    predicted: Prediction
    samples_per_s: float
    score: Score
    """Of the predictor on this host, with this pair."""


class Scores:
    """The pairs of this host, in the folder `home`. Lines of other hosts, or that cannot be read, are left out."""

    def __init__(self, home: Path) -> None:
        self._path = home / SCORES_FILE
        self._host = socket.gethostname()

    def add(self, prediction: Prediction, measured_per_s: float, *, of: str = "", run: str = "") -> None:
        """Keep a pair: samples per second. One whose runs are told, and is there already, does not count again.

        What cannot be written is not kept, and nothing else happens.
        """
        if run and (of, run) in {(str(line.get("of")), str(line.get("run"))) for line in self._lines()}:
            return
        line = {
            "of": of,
            "run": run,
            "unix_s": int(time.time()),
            "host": self._host,
            "setting": asdict(prediction.setting),
            "predicted": prediction.samples_per_s,
            "low": prediction.low_per_s,
            "high": prediction.high_per_s,
            "measured": measured_per_s,
        }
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self._bound()
        except OSError:
            return

    def _bound(self) -> None:
        lines = self._path.read_text("utf-8").splitlines()
        if len(lines) > MOST_PAIRS:
            scratch = self._path.with_suffix(".new")
            scratch.write_text("\n".join(lines[-MOST_PAIRS // 2 :]) + "\n", "utf-8")
            scratch.replace(self._path)

    def error(self) -> ModelError:
        """How wide intervals must be on this host."""
        return ModelError.of([(predicted, measured) for predicted, measured, *_ in self._pairs()])

    def score(self) -> Score:
        """How good predictions were."""
        pairs = self._pairs()
        if not pairs:
            return Score(0, None, None, None)
        missed = [abs(measured / predicted - 1) for predicted, measured, _, _ in pairs]
        inside = [low <= measured <= high for _, measured, low, high in pairs]
        return Score(len(pairs), float(np.median(missed)), float(np.quantile(missed, 0.9)), sum(inside) / len(inside))

    def _pairs(self) -> list[tuple[float, float, float, float]]:
        return [pair for line in self._lines() if (pair := self._pair(line)) is not None]

    def _lines(self) -> list[dict[str, Any]]:
        try:
            lines = self._path.read_text("utf-8").splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict)]

    def _pair(self, fields: dict[str, Any]) -> tuple[float, float, float, float] | None:
        try:
            predicted, measured = float(fields["predicted"]), float(fields["measured"])
            if fields["host"] != self._host or predicted <= 0 or measured <= 0:
                return None
            return predicted, measured, float(fields["low"]), float(fields["high"])
        except (ValueError, KeyError, TypeError):
            return None
