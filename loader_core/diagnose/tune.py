"""Tuning: which few settings to try, and which of them to take once they were measured.

A prediction proposes, a measurement decides. Each proposal is measured in turn with the setting that the user has now
(A B A B ...), so that what drifts slowly on a host, its clock or its other programs, touches both alike. A proposal is
taken only if it was faster in a way that chance does not explain; else the setting stays as it is.

Pure: it says what to measure next, and is told what came of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from loader_core.diagnose.predict import Predictor
from loader_core.diagnose.setting import Prediction, Setting

MOST_PROPOSALS = 4
"""Settings that are measured at most, beside the start."""
NEAR_BEST = 0.02
"""Settings predicted within this share of each other are as good; the one that takes less memory is proposed."""
WORTH_TRYING = 0.9
"""Of the best predicted rate: what promises less is not measured."""
BEHIND = 0.95
"""A proposal whose gain is below this share of the best one's is measured no more."""
LEAST_GAIN = 1.02
"""Below it a change is not worth the line."""

USUAL_SPREAD = 0.08
"""Standard deviation of ln(ratio) of two short measurements side by side, on a machine that does other things too."""
USUAL_PAIRS = 3
"""Pairs that this prior counts for: two that happen to agree are no certainty, and two that do not, no despair."""

_T_90 = (0.0, 6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83)
"""Student's t, 90 % on both sides together, by degrees of freedom (0: not known)."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Within what a setting may be looked for."""

    max_workers: int
    max_prefetch: int = 8
    methods: tuple[Literal["process", "thread"], ...] = ("process",)
    any_order: bool = False
    """Whether batches may come out of order."""


def candidates(start: Setting, bounds: Bounds) -> list[Setting]:
    """All settings within `bounds` that differ from `start` in what can be tuned without changing what is learnt."""
    found = []
    for method in bounds.methods:
        for workers in range(bounds.max_workers + 1):
            for prefetch in (1, 2, 4, 8, 16) if workers else (start.prefetch_factor,):
                for in_order in (True, False) if bounds.any_order and workers > 1 else (start.in_order,):
                    if workers and prefetch > bounds.max_prefetch:
                        continue
                    found.append(
                        replace(
                            start,
                            num_workers=workers,
                            prefetch_factor=prefetch,
                            worker_method=method if workers else "process",
                            in_order=in_order,
                            persistent_workers=workers > 0,
                        )
                    )
    return list(dict.fromkeys(setting for setting in found if setting != start))


def propose(predictor: Predictor, bounds: Bounds, *, most: int = MOST_PROPOSALS) -> list[Prediction]:
    """The settings that are worth a measurement, the most promising first: each has another number of workers.

    Of settings that are predicted to be about as fast, the one with fewer batches in flight is proposed.
    """
    asked = candidates(predictor.setting, bounds)
    best_of: dict[tuple[int, str], Prediction] = {}
    for prediction in sorted(predictor.predict(asked), key=lambda one: _in_flight(one.setting)):
        key = prediction.setting.num_workers, prediction.setting.worker_method
        known = best_of.get(key)
        if known is None or prediction.samples_per_s > known.samples_per_s * (1 + NEAR_BEST):
            best_of[key] = prediction
    ranked = sorted(best_of.values(), key=lambda one: -one.samples_per_s)
    if not ranked:
        return []
    bar = ranked[0].samples_per_s * WORTH_TRYING
    worth = [one for one in ranked if one.samples_per_s >= bar]
    frugal = min(worth, key=lambda one: (_in_flight(one.setting), -one.samples_per_s))
    chosen = [frugal, *(one for one in worth if one is not frugal)][:most]
    return sorted(chosen, key=lambda one: -one.samples_per_s)


def _in_flight(setting: Setting) -> tuple[int, int]:
    return setting.num_workers * setting.prefetch_factor, setting.num_workers


@dataclass(frozen=True, slots=True)
class Gain:
    """How much faster a setting was than the start, in pairs measured side by side."""

    setting: Setting
    pairs: int
    ratio: float
    """The mean of the pairs, on the logarithmic scale."""
    low: float
    high: float
    """Hold the ratio with 90 %: Student's t over the pairs, their spread estimated together with `USUAL_SPREAD`."""
    samples_per_s: float
    start_per_s: float
    """Medians over the pairs."""


@dataclass
class Duel:
    """Proposals against the start, measured in turn.

    Ask `next_trial`, measure it, `note` what came out; `choice` at any time.
    """

    start: Setting
    proposals: Sequence[Setting]
    _rates: dict[Setting, list[float]] = field(default_factory=dict)
    _round: int = 0
    _waiting: list[Setting] = field(default_factory=list)

    def next_trial(self) -> Setting:
        """What to measure next: rounds of the start and all that may still win, every other round backwards."""
        if not self._waiting:
            order = [self.start, *self.alive()]
            self._waiting = order if self._round % 2 == 0 else order[::-1]
            self._round += 1
        return self._waiting[0]

    def note(self, setting: Setting, samples_per_s: float) -> None:
        """What the trial came to; 0 for a setting that cannot be run, which is then out."""
        self._rates.setdefault(setting, []).append(samples_per_s)
        if self._waiting and self._waiting[0] == setting:
            self._waiting.pop(0)

    def alive(self) -> list[Setting]:
        """Proposals that may still win: all before they were measured, then those near the best."""
        gains = {setting: gain for setting in self.proposals if (gain := self.gain(setting)) is not None}
        best = max((gain.ratio for gain in gains.values()), default=0.0)
        failed = {setting for setting, rates in self._rates.items() if min(rates) <= 0}
        return [
            setting
            for setting in self.proposals
            if setting not in failed and (setting not in gains or gains[setting].ratio >= best * BEHIND)
        ]

    def gain(self, setting: Setting) -> Gain | None:
        """How much faster than the start it was; None before both were measured."""
        own, base = self._rates.get(setting, []), self._rates.get(self.start, [])
        pairs = min(len(own), len(base))
        if not pairs or min(own) <= 0 or min(base) <= 0:
            return None
        ratios = np.log(np.array(own[:pairs]) / np.array(base[:pairs]))
        mean = float(ratios.mean())
        freedom = USUAL_PAIRS + pairs - 1
        spread = math.sqrt((USUAL_PAIRS * USUAL_SPREAD**2 + float(((ratios - mean) ** 2).sum())) / freedom)
        missed = spread / math.sqrt(pairs) * _T_90[min(freedom, len(_T_90) - 1)]
        return Gain(
            setting,
            pairs,
            math.exp(mean),
            math.exp(mean - missed),
            math.exp(mean + missed),
            float(np.median(own[:pairs])),
            float(np.median(base[:pairs])),
        )

    def choice(self) -> Gain | None:
        """The proposal to take; None: the start is as good as any, as far as could be measured."""
        gains = [gain for setting in self.alive() if (gain := self.gain(setting)) is not None]
        sure = [gain for gain in gains if gain.ratio >= LEAST_GAIN and gain.low > 1.0]
        if not sure:
            return None
        best = max(gain.ratio for gain in sure)
        return min((gain for gain in sure if gain.ratio >= best * (1 - NEAR_BEST)), key=lambda g: _in_flight(g.setting))
