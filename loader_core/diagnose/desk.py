"""What rules write findings with: shares, evidence, places in code, predictions, all from the same grounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from loader_core.diagnose.bilingual import Bilingual
from loader_core.diagnose.causes import Causes, Waiting
from loader_core.diagnose.evidence import measured
from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.grounds import Grounds
from loader_core.diagnose.places import place_shares
from loader_core.diagnose.predict import ModelError, Predictor
from loader_core.diagnose.samples import stage_shares
from loader_core.diagnose.service import TooFewBatches
from loader_core.diagnose.setting import Prediction, Setting
from loader_core.diagnose.verdict_types import Change, Code, Confidence, Evidence, Finding, Measure
from loader_core.diagnose.whatif import predictor_of
from loader_core.trace.event import Kind

NOTABLE_SHARE = 0.1
"""A cause of less than this share of the waiting is no finding."""
PLACE_SHARE = 0.25
"""A line of code that holds less of FETCH than this is not named."""

SURE_STEPS, SURE_SHARE = 60, 0.5
"""From so many steps, and this share of the wait, on a finding is sure ..."""
LIKELY_STEPS, LIKELY_SHARE = 20, 0.25
"""... and likely; with less it is possible."""

MOST_WORKERS = 16
"""Workers that are advised at most: those that wait for storage pay far beyond the number of cores."""
MOST_PREFETCH = 8
"""The largest prefetch_factor that is advised."""
STAGE_PLACE = "stage "
"""What a place begins with that is a stage's name and no line of code."""
NEAR_BEST = 0.97
"""Of two settings whose rates differ by less, the one with fewer workers is advised."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A finding, and the waiting that it explains. None: it is not about waiting."""

    finding: Finding
    ns: int | None


class Desk:
    """One set of grounds, and what is written from them."""

    def __init__(self, grounds: Grounds, error: ModelError | None = None) -> None:
        self.grounds = grounds
        self.excerpt: Excerpt = grounds.excerpt
        self.causes = Causes(grounds)
        self._error = error

    @property
    def waiting(self) -> Waiting:
        """The waiting by cause."""
        return self.causes.waiting

    def share(self, ns: float) -> float:
        """Of the waiting, 0..1."""
        return min(1.0, max(0.0, ns / self.waiting.total_ns)) if self.waiting.total_ns else 0.0

    def notable(self, ns: float) -> bool:
        """Whether so much waiting is worth a finding."""
        return self.share(ns) >= NOTABLE_SHARE

    def confidence(self, ns: float) -> Confidence:
        """By how many steps were seen, and how much of the waiting is explained."""
        steps, part = len(self.grounds.warm_steps), self.share(ns)
        if steps >= SURE_STEPS and part >= SURE_SHARE:
            return "high"
        return "medium" if steps >= LIKELY_STEPS and part >= LIKELY_SHARE else "low"

    # --- evidence -----------------------------------------------------------------------------------------------------

    def evidence(
        self, name: Bilingual, measure: Measure, *kinds: Kind, lanes: Sequence[int] = (), unit: str = ""
    ) -> Evidence:
        """A number measured from the rows of these kinds after the warm-up."""
        units = {"share": "", "cpu_share": "", "count": "", "max": unit}
        asked = Evidence(
            name,
            0.0,
            unit or units.get(measure, "ns"),
            tuple(kind.name for kind in kinds),
            tuple(lanes),
            self.grounds.warm_ns,
            self.grounds.end_ns,
            measure,
        )
        return replace(asked, value=measured(asked, self.excerpt.rows))

    def derived(self, name: Bilingual, value: float, unit: str, *kinds: Kind) -> Evidence:
        """A number worked out from several measured ones."""
        names = tuple(kind.name for kind in kinds)
        return Evidence(name, float(value), unit, names, (), self.grounds.warm_ns, self.grounds.end_ns, "derived")

    # --- places -------------------------------------------------------------------------------------------------------

    @cached_property
    def place(self) -> str | None:
        """The line of the user's code, or else the stage, that holds most of FETCH."""
        places = place_shares(self.excerpt)
        if places is not None and places.seen and places.places and places.places[0].share >= PLACE_SHARE:
            first = places.places[0]
            if first.place:
                return f"{first.place} {first.function}".strip()
        stages = stage_shares(self.excerpt)
        if stages and stages[0].share >= PLACE_SHARE:
            return STAGE_PLACE + stages[0].name
        return None

    # --- predictions --------------------------------------------------------------------------------------------------

    @cached_property
    def predictor(self) -> Predictor | None:
        """None where the window, or its setting, says too little to predict from."""
        setting = self.grounds.setting
        if setting is None:
            return None
        try:
            return predictor_of(self.excerpt, setting, error=self._error)
        except TooFewBatches:
            return None

    def predict(self, setting: Setting | None) -> Prediction | None:
        """What a setting would give."""
        if self.predictor is None or setting is None:
            return None
        return self.predictor.predict([setting])[0]

    def best_workers(self, *, most: int = MOST_WORKERS, least: int = 1) -> Prediction | None:
        """The fewest workers that come near the best rate of all numbers of them."""
        setting = self.grounds.setting
        if self.predictor is None or setting is None:
            return None
        tried = [replace(setting, num_workers=w, persistent_workers=True) for w in range(max(1, least), most + 1)]
        found = self.predictor.predict(tried)
        best = max(one.samples_per_s for one in found)
        return next(one for one in found if one.samples_per_s >= NEAR_BEST * best)

    def with_fewer_workers(self) -> Prediction | None:
        """The best rate with fewer workers than there are."""
        setting = self.grounds.setting
        if self.predictor is None or setting is None or setting.num_workers < 2:
            return None
        tried = [replace(setting, num_workers=w) for w in range(1, setting.num_workers)]
        found = self.predictor.predict(tried)
        best = max(one.samples_per_s for one in found)
        return next(one for one in found if one.samples_per_s >= NEAR_BEST * best)

    # --- findings -----------------------------------------------------------------------------------------------------

    def finding(
        self,
        code: Code,
        ns: int | None,
        sentence: Bilingual,
        *,
        evidence: Sequence[Evidence],
        advice: Bilingual,
        refuted_by: Bilingual,
        experiment: Bilingual,
        changes: Sequence[Change] = (),
        setting: Setting | None = None,
        predicted: Prediction | None = None,
        predictable: bool = True,
        place: str | None = None,
        confidence: Confidence | None = None,
    ) -> Draft:
        """A draft with its share and its confidence.

        `setting` is what to predict where `predicted` is not given, unless it is not `predictable`. The finding has it
        only where `changes` lead to it by arguments of the loader: nobody can set a faster transform.
        """
        if not predictable:
            predicted = None
        elif predicted is None and setting is not None:
            predicted = self.predict(setting)
            now_per_s = self.grounds.samples_per_s
            if predicted is not None and now_per_s is not None and predicted.samples_per_s <= now_per_s:
                predicted = None  # a promise of less than there is would contradict the advice
        if not any(change.argument for change in changes):
            setting = None
        return Draft(
            Finding(
                code=code,
                sentence=sentence,
                share=None if ns is None else self.share(ns),
                confidence=confidence or ("medium" if ns is None else self.confidence(ns)),
                evidence=tuple(evidence),
                place=place,
                advice=advice,
                changes=tuple(changes),
                setting=setting,
                predicted=predicted,
                refuted_by=refuted_by,
                experiment=experiment,
            ),
            ns,
        )


def argument(name: str, value: int | float | bool | str | None) -> Change:
    """A changed argument of the loader."""
    return Change(name, value, Bilingual.same(f"{name}={value!r}"))


def code_change(es: str, en: str) -> Change:
    """A changed line of code."""
    return Change("", None, Bilingual(es, en))
