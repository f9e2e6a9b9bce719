"""The diagnosis of a window of a run: its stalls and their causes, its budget, samples, memory and faults."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from loader_core.diagnose.bilingual import Bilingual
from loader_core.diagnose.budget import StepBudget, step_budget
from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.facts import Facts, Headroom
from loader_core.diagnose.findings import LintFinding
from loader_core.diagnose.headroom import headroom_sentence
from loader_core.diagnose.linter import lint
from loader_core.diagnose.memory import Limits, MemoryUse, memory_use
from loader_core.diagnose.places import Places, place_shares
from loader_core.diagnose.predict import ModelError
from loader_core.diagnose.samples import SampleTimes, StageShare, sample_times, stage_shares
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.stalls import Stall, find_stalls
from loader_core.diagnose.verdict import judge
from loader_core.diagnose.verdict_types import Verdict
from loader_core.trace.event import Kind


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """Something that the recording does not tell, and why."""

    what: str
    """Name of the field of Diagnosis that is empty for it."""
    why: Bilingual


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a window of a run tells. None: not measured; `not_measured` says why."""

    start_ns: int
    """Later than asked for (`shortened`) where the window holds more events than are read at once."""
    end_ns: int
    shortened: bool
    rows: int
    """Events that it is made from."""
    details_from_ns: int
    """Samples, stages and stacks are counted from here on: `start_ns`, or later where the window holds too many."""
    lost: int
    """Events of the run that its recording no longer holds."""
    stall_threshold_ns: int | None
    """A wait longer than this is a stall."""
    stall_count: int
    stall_ns: int
    """Number and time of all stalls, also of those not listed."""
    stalls: list[Stall]
    """Longest first."""
    budget: StepBudget | None
    samples: SampleTimes | None
    stages: list[StageShare]
    """Most first."""
    places: Places | None
    memory: MemoryUse
    findings: list[LintFinding]
    """The worst first."""
    not_measured: list[NotMeasured]
    verdict: Verdict
    headroom: Headroom | None
    headroom_says: Bilingual | None


def examine(
    excerpt: Excerpt,
    facts: Facts,
    limits: Limits,
    *,
    setting: Setting | None = None,
    error: ModelError | None = None,
    judged_from_ns: int = 0,
) -> Diagnosis:
    """The diagnosis of the excerpt's window. Pure: the same rows, facts and limits give the same diagnosis.

    The verdict is about the part of the window that was recorded with `setting`, which is from `judged_from_ns` on;
    `error` is how far predictions missed on this host so far.
    """
    stalls = find_stalls(excerpt)
    memory = memory_use(excerpt, limits)
    diagnosis = Diagnosis(
        start_ns=excerpt.start_ns,
        end_ns=excerpt.end_ns,
        shortened=excerpt.shortened,
        rows=len(excerpt.rows),
        details_from_ns=max(excerpt.start_ns, excerpt.details_from_ns),
        lost=excerpt.lost,
        stall_threshold_ns=stalls.threshold_ns,
        stall_count=stalls.count,
        stall_ns=stalls.total_ns,
        stalls=stalls.longest,
        budget=step_budget(excerpt),
        samples=sample_times(excerpt),
        stages=stage_shares(excerpt),
        places=place_shares(excerpt),
        memory=memory,
        findings=lint(excerpt, facts, memory),
        not_measured=[],
        verdict=judge(_after(excerpt, judged_from_ns), facts, limits, setting=setting, error=error),
        headroom=facts.headroom,
        headroom_says=None if facts.headroom is None else headroom_sentence(facts.headroom),
    )
    return replace(diagnosis, not_measured=_not_measured(diagnosis, excerpt, facts))


def _after(excerpt: Excerpt, from_ns: int) -> Excerpt:
    return excerpt if from_ns <= excerpt.start_ns else replace(excerpt, start_ns=min(from_ns, excerpt.end_ns))


_WHY = {
    "findings": Bilingual(
        "Los índices y los estados aleatorios no se anotaron: solo se revisó lo que cuentan los eventos.",
        "Indices and random states were not noted: only what events tell was checked.",
    ),
    "budget": Bilingual("Ningún paso terminó en esta ventana.", "No step ended in this window."),
    "samples": Bilingual(
        "Las muestras no se registraron: pide detalle «sample» o «stage».",
        "Samples were not recorded: ask for detail “sample” or “stage”.",
    ),
    "stages": Bilingual(
        "Ninguna parte de una muestra tiene nombre: márcalas con stage(), o usa transformaciones Compose. Se registran "
        "con detalle «stage».",
        "No part of a sample has a name: mark parts with stage(), or use Compose transforms. They are recorded with "
        "detail “stage”.",
    ),
    "places": Bilingual(
        "No se miraron las pilas de los workers: pide detalle «stage».",
        "The workers' stacks were not looked at: ask for detail “stage”.",
    ),
    "places without workers": Bilingual(
        "Solo se miran las pilas de los workers, y aquí los lotes los hace el propio bucle.",
        "Only workers' stacks are looked at, and here the loop makes the batches itself.",
    ),
    "memory": Bilingual("La memoria no se midió en esta ventana.", "Memory was not measured in this window."),
    "files": Bilingual(
        "Los descriptores no se contaron en esta ventana.", "Descriptors were not counted in this window."
    ),
}


def _not_measured(diagnosis: Diagnosis, excerpt: Excerpt, facts: Facts) -> list[NotMeasured]:
    there: dict[str, object] = {
        "findings": facts.dataset,
        "budget": diagnosis.budget,
        "samples": diagnosis.samples,
        "stages": diagnosis.stages,
        "places": diagnosis.places,
        "memory": diagnosis.memory.memory,
        "files": diagnosis.memory.files,
    }
    fetched = np.unique(excerpt.of(Kind.FETCH)["lane"]).tolist()
    alone = bool(fetched) and all(excerpt.worker(lane) == -1 for lane in fetched)
    why = {**_WHY, "places": _WHY["places without workers"]} if alone else _WHY
    return [NotMeasured(what, why[what]) for what, measured in there.items() if not measured]
