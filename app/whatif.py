"""What-if: predictions of other settings from a recorded run, and the score that the predictor keeps of itself."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from app.api import PROBLEMS, RunId, Store
from app.problems import ConflictError, NotFoundError, RequestError
from app.proof import measured, predictor, run_before
from app.runs import RunStore
from app.scores import Measured, Score, Scores
from app.wire import Asked
from loader_core.diagnose.predict import Predictor
from loader_core.diagnose.service import TooFewBatches
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.whatif import WhatIf, stages_of, what_if

MAX_KEPT = 4
"""Predictors kept: one holds some thousand service times. The one unused for longest is dropped."""


class Forecaster:
    """Predictors of runs, and their score. Any worker thread may ask; one at a time makes new ones."""

    def __init__(self, scores: Scores) -> None:
        self._scores = scores
        self._lock = threading.Lock()
        self._made: OrderedDict[str, tuple[tuple[int, int], Predictor]] = OrderedDict()

    def what_if(self, store: RunStore, run_id: str, asked: Asked) -> WhatIf:
        """What another setting would give. Raises NotFoundError, ConflictError, RequestError, TraceError."""
        predictor = self._predictor(store, run_id)
        return what_if(predictor, _setting(predictor, asked))

    def measured(self, store: RunStore, run_id: str, of: str, *, counts: bool = True) -> Measured:
        """What run `run_id` was predicted to give from the run `of`, and gave. A pair `counts` in the score once."""
        predictor = self._predictor(store, of)
        with store.reading(run_id) as trace:
            trace.refresh()
            try:
                return measured(predictor, trace, of=of, scores=self._scores, counts=counts)
            except TooFewBatches as error:
                raise ConflictError(str(error), code="not_predictable") from error

    def proof(self, store: RunStore, run_id: str) -> Measured | None:
        """What the run of the same script before this one promised for its arguments; None where there is none."""
        with store.reading(run_id) as trace:
            header, home = trace.run, trace.directory.parent
        before = None if header.live else run_before(header, home)
        if before is None:
            return None
        with contextlib.suppress(ConflictError, NotFoundError):
            return self.measured(store, run_id, before.name, counts=False)
        return None

    def score(self) -> Score:
        """How good predictions have been on this host."""
        return self._scores.score()

    def _predictor(self, store: RunStore, run_id: str) -> Predictor:
        with self._lock:
            with store.reading(run_id) as trace:
                trace.refresh()
                seen = trace.batches, trace.duration_ns
                made = self._made.get(run_id)
                if made is None or made[0] != seen:
                    try:
                        made = seen, predictor(trace, self._scores.error())
                    except TooFewBatches as error:
                        raise ConflictError(str(error), code="not_predictable") from error
            self._made[run_id] = made
            self._made.move_to_end(run_id)
            if len(self._made) > MAX_KEPT:
                self._made.popitem(last=False)
            return made[1]


def _setting(predictor: Predictor, asked: Asked) -> Setting:
    """The setting that is meant. Raises RequestError for a part that is not in the run, or a factor out of bounds."""
    changed: dict[str, Any] = asked.model_dump(exclude_none=True, exclude={"faster"})
    known = stages_of(predictor)
    return replace(predictor.setting, **changed, faster=tuple(_factor(part, known) for part in asked.faster))


def _factor(part: str, known: Sequence[str]) -> tuple[str, float]:
    name, _, times = part.rpartition(":")
    factor = float(times)
    wrong = ""
    if name not in known:
        wrong = f"{name} is not in this run, which has {', '.join(known)}"
    elif not 0.01 <= factor <= 1000:
        wrong = f"{name} cannot be made {factor:g} times faster: the factor is from 0.01 to 1000"
    if wrong:
        raise RequestError(f"faster: {wrong}", status=422, code="invalid", field="faster")
    return name, factor


router = APIRouter(prefix="/api", responses=PROBLEMS)


def _forecaster(request: Request) -> Forecaster:
    forecaster: Forecaster = request.app.state.forecaster
    return forecaster


TheForecaster = Annotated[Forecaster, Depends(_forecaster)]


@router.get("/runs/{run_id}/whatif", operation_id="getWhatIf")
def get_what_if(run_id: RunId, asked: Annotated[Asked, Query()], store: Store, forecaster: TheForecaster) -> WhatIf:
    """What another setting would give, as predicted from this run: with an interval, and a map around it."""
    return forecaster.what_if(store, run_id, asked)


@router.post("/runs/{run_id}/whatif/measured", operation_id="scorePrediction")
def score_prediction(
    run_id: RunId,
    store: Store,
    forecaster: TheForecaster,
    run: Annotated[str, Query(max_length=64, description="the run that measured what was predicted from this one")],
) -> Measured:
    """A predicted setting beside what it gave when it was measured; the pair counts in the predictor's score."""
    return forecaster.measured(store, run, run_id)


@router.get("/runs/{run_id}/proof", operation_id="getProof")
def get_proof(run_id: RunId, store: Store, forecaster: TheForecaster) -> Measured | None:
    """Of a run of your script: what the run before it, with other arguments, promised for these; null: none did."""
    return forecaster.proof(store, run_id)


@router.get("/predictions/score", operation_id="getScore")
def get_score(forecaster: TheForecaster) -> Score:
    """How good predictions have been on this host."""
    return forecaster.score()
