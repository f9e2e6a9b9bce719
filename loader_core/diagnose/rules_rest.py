"""Answers that are no fault: the loader is fine, or the recording does not tell (tiers 0 and 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from loader_core.diagnose.bilingual import Bilingual, count, duration, share
from loader_core.diagnose.budget import step_budget
from loader_core.diagnose.desk import MOST_PREFETCH, Desk, argument
from loader_core.diagnose.rules_main import MANY_TENSORS, held
from loader_core.diagnose.verdict_types import Code, Confidence, Evidence, Finding
from loader_core.trace.event import Kind

LEAST_STEPS = 12
"""Steps after the warm-up with fewer of which nothing is said."""
COVERED_SHARE = 0.8
"""Of the waiting, by time, whose batches were recorded: with less, causes are not told (TraceML, SPDL)."""

FINE_SHARE = 0.05
"""Waiting below this share of the loop's time is no problem (XProf's input-pipeline analyser)."""
HANDING_SHARE = 0.8
"""Of the waiting: handing batches over that are made."""

_WAITING = Bilingual("parte de la espera", "share of waiting")
_STEPS = Bilingual("pasos", "steps")


def missing(desk: Desk) -> Bilingual | None:
    """What a verdict lacks, as a sentence; None where nothing is missing. Tier 0, before anything else is asked."""
    grounds = desk.grounds
    steps = len(grounds.warm_steps)
    if steps < LEAST_STEPS:
        seen = len(grounds.steps)
        return Bilingual(
            "Hacen falta {least} pasos tras el calentamiento, y se vieron {steps} ({seen} en total).",
            "{least} steps after the warm-up are needed, and {steps} were seen ({seen} in all).",
        ).format(seen=count(seen), steps=count(steps), least=count(LEAST_STEPS))
    if not len(grounds.waits):
        return Bilingual("No se registró ninguna espera del bucle.", "No wait of the loop was recorded.")
    return None


def uncovered(desk: Desk) -> Bilingual | None:
    """What the recording lacks to tell causes; None where it tells them."""
    covered = desk.grounds.covered_share
    if covered >= COVERED_SHARE:
        return None
    return Bilingual(
        "Solo del {covered} de la espera se registró quién hizo el lote y cuándo.",
        "Who made the batch, and when, was recorded for {covered} of the wait only.",
    ).format(covered=share(covered))


def only_late_hand_overs(desk: Desk) -> bool:
    """Whether the loop waits for nothing but batches of few tensors to be handed over, which takes little as a rule.

    Where it takes longer now and then the host has other things to do, and no argument of the loader is to blame.
    """
    grounds, waiting = desk.grounds, desk.waiting
    handing = waiting.receive_ns + waiting.delayed_ns + waiting.unknown_ns + waiting.send_ns
    if not grounds.loop_ns or handing < HANDING_SHARE * waiting.total_ns or desk.causes.tensors >= MANY_TENSORS:
        return False
    waits = grounds.steady_waits
    quick = float(np.quantile(waits["end"] - waits["start"], 0.1)) if len(waits) else 0.0
    return not held(desk) and quick * len(waits) < FINE_SHARE * grounds.loop_ns


def undetermined(desk: Desk, lacking: Bilingual) -> Finding:
    """The recording does not tell, and what would make it tell."""
    grounds = desk.grounds
    evidence = [desk.evidence(_STEPS, "count", Kind.STEP)]
    return _rest(
        Code.UNDETERMINED,
        lacking,
        confidence="low",
        evidence=evidence,
        advice=Bilingual(
            "Graba más tiempo, con detalle «stage», sin cambiar nada más.",
            "Record for longer, with detail “stage”, and change nothing else.",
        ),
        refuted_by=Bilingual(
            "Una grabación más larga que sí dé un veredicto.", "A longer recording that does give a verdict."
        ),
        experiment=Bilingual(
            "Repite la ejecución hasta ver al menos {steps} pasos.",
            "Run it again until {steps} steps are seen at least.",
        ).format(steps=count(max(60, len(grounds.steps) * 2))),
    )


def unexplained(desk: Desk) -> Finding:
    """The loop waits, and no cause that is known explains a notable part of it."""
    grounds = desk.grounds
    times, setting = grounds.worker_times, grounds.setting
    if times is None or not grounds.workers or times.made_ns >= grounds.step_median_ns * grounds.workers:
        text = Bilingual(
            "El bucle espera el {share} de su tiempo, y ninguna causa conocida explica ni la décima parte.",
            "The loop waits for {share} of its time, and no known cause explains as much as a tenth of that.",
        )
        return undetermined(desk, text.format(share=share(grounds.wait_share or 0.0)))
    late = Bilingual(
        "El bucle espera el {share} de su tiempo, aunque sus {workers} workers dan abasto de media ({made} por lote, "
        "{step} por paso): algo los retrasa de vez en cuando.",
        "The loop waits for {share} of its time, though its {workers} workers are fast enough in the mean ({made} per "
        "batch, {step} per step): something delays them now and then.",
    ).format(
        share=share(grounds.wait_share or 0.0),
        workers=count(grounds.workers),
        made=duration(times.made_ns),
        step=duration(grounds.step_median_ns),
    )
    finding = undetermined(desk, late)
    factor = 2 if setting is None else min(MOST_PREFETCH, 2 * setting.prefetch_factor)
    if setting is None or factor <= setting.prefetch_factor:
        return finding
    changed = replace(setting, prefetch_factor=factor)
    predicted = desk.predict(changed)
    if predicted is not None and predicted.samples_per_s <= (grounds.samples_per_s or 0.0):
        return finding
    return replace(
        finding,
        advice=Bilingual(
            "Prueba prefetch_factor={factor}: los lotes hechos de antemano cubren lo que se retrasa.",
            "Try prefetch_factor={factor}: batches that are made ahead bridge what is late.",
        ).format(factor=count(factor)),
        changes=(argument("prefetch_factor", factor),),
        setting=changed,
        predicted=predicted,
    )


def loader_ok(desk: Desk) -> Finding:
    """Waiting is below 5 % of the loop's time (tier 1), and where the time goes instead."""
    grounds = desk.grounds
    wait = grounds.wait_share or 0.0
    budget = step_budget(grounds.excerpt)
    named = [part for part in budget.parts if part.kind == "stage"] if budget is not None else []
    parts = {
        "wait": share(wait),
        "step": duration(grounds.step_median_ns),
        "steps": count(len(grounds.warm_steps)),
        "name": named[0].name if named else "",
        "part": share(named[0].share) if named else "",
    }
    where = (
        Bilingual(
            "Mira en el paso: «{name}» es el {part} del tiempo.", "Look at the step: “{name}” is {part} of the time."
        )
        if named
        else Bilingual(
            "Mira en el paso ({step}): el modelo, el optimizador, las sincronizaciones con el dispositivo.",
            "Look at the step ({step}): the model, the optimizer, synchronisation with the device.",
        )
    )
    sentence = Bilingual(
        "El cargador va bien: el bucle espera a los datos el {wait} de su tiempo en {steps} pasos de {step}.",
        "The loader is fine: the loop waits for data for {wait} of its time, over {steps} steps of {step}.",
    )
    fine = wait < FINE_SHARE
    if not fine:
        sentence += Bilingual(
            " Los lotes estaban hechos: la máquina, ocupada en otras cosas, tardó a veces en entregarlos.",
            " Batches were made: the host, busy with other things, was late now and then to hand them over.",
        )
    return _rest(
        Code.LOADER_OK,
        sentence.format(**parts),
        confidence="high" if fine and len(grounds.warm_steps) >= 20 else "medium",
        evidence=[
            desk.evidence(_WAITING, "share", Kind.WAIT_BATCH, Kind.STEP),
            desk.evidence(_STEPS, "count", Kind.STEP),
        ],
        advice=where.format(**parts),
        refuted_by=Bilingual(
            "Si con los mismos lotes ya en memoria el paso va mucho más deprisa, la carga sí estorba.",
            "If steps are much faster with the same batches in memory already, loading does get in the way.",
        ),
        experiment=Bilingual(
            "Repite unos lotes guardados en vez de cargar y mide el paso.",
            "Replay a few kept batches instead of loading, and measure the step.",
        ),
    )


def _rest(
    code: Code,
    sentence: Bilingual,
    *,
    confidence: Confidence,
    evidence: Sequence[Evidence],
    advice: Bilingual,
    refuted_by: Bilingual,
    experiment: Bilingual,
) -> Finding:
    return Finding(
        code=code,
        sentence=sentence,
        share=None,
        confidence=confidence,
        evidence=tuple(evidence),
        place=None,
        advice=advice,
        changes=(),
        setting=None,
        predicted=None,
        refuted_by=refuted_by,
        experiment=experiment,
    )
