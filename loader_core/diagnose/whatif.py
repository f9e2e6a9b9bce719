"""What another setting would give, from one recorded run: a number for each count of workers, and a map of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.predict import ModelError, Predictor
from loader_core.diagnose.service import TooFewBatches, service_of
from loader_core.diagnose.setting import ASSUMPTIONS, Prediction, Setting

WORKERS = tuple(range(17))
PREFETCH = tuple(range(1, 9))


@dataclass(frozen=True, slots=True)
class Assumption:
    """What was not seen in the run, but matters for what is predicted."""

    code: str
    es: str
    en: str


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What other settings would give. All rates are samples per second."""

    now: Setting
    """As it was recorded."""
    now_per_s: float
    """Measured, once the loader had warmed up."""
    asked: Prediction
    workers: tuple[int, ...]
    curve: tuple[Prediction, ...]
    """One for each of `workers`, all else as asked."""
    prefetch: tuple[int, ...]
    surface: tuple[tuple[float, ...], ...]
    """`[workers][prefetch]`, all else as asked."""
    stages: tuple[str, ...]
    """Names that may be made faster: parts of a batch, and the stages that were seen."""
    assumptions: tuple[Assumption, ...]
    """Of all that is predicted here."""


def predictor_of(excerpt: Excerpt, setting: Setting, *, error: ModelError | None = None) -> Predictor:
    """A predictor from the excerpt's window, which was recorded with `setting` throughout. Raises TooFewBatches."""
    ranks = {excerpt.rank(lane.lane) for lane in excerpt.lanes}
    if len(ranks) > 1:
        raise TooFewBatches(f"{len(ranks)} ranks were recorded into one run: predictions are made for one")
    rows = excerpt.rows
    service = service_of(
        rows[rows["start"] >= excerpt.start_ns],
        workers=setting.num_workers,
        worker_method=setting.worker_method,
        stages=excerpt.stages,
    )
    return Predictor(service, setting, error=error)


def stages_of(predictor: Predictor) -> tuple[str, ...]:
    """What `WhatIf.stages` lists."""
    return ("fetch", "collate", "send", "step", *sorted(predictor.service.stages))


def what_if(predictor: Predictor, asked: Setting) -> WhatIf:
    """What `asked`, and the settings around it, would give: well under a second."""
    settings = [replace(asked, num_workers=workers) for workers in WORKERS]
    here, *curve = predictor.predict([asked, *settings])
    surface = predictor.surface(WORKERS, PREFETCH, like=asked)
    codes = dict.fromkeys(code for prediction in (here, *curve) for code in prediction.assumptions)
    return WhatIf(
        now=predictor.setting,
        now_per_s=predictor.service.samples_per_s,
        asked=here,
        workers=WORKERS,
        curve=tuple(curve),
        prefetch=PREFETCH,
        surface=tuple(tuple(row) for row in surface.tolist()),
        stages=stages_of(predictor),
        assumptions=tuple(Assumption(code, ASSUMPTIONS[code].es, ASSUMPTIONS[code].en) for code in codes),
    )
