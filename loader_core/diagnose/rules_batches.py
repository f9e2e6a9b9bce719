"""Rules about batches: how samples differ, how they are put together, and in which order they are handed over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loader_core.diagnose.bilingual import NOTHING, Bilingual, count, duration, share
from loader_core.diagnose.desk import MOST_PREFETCH, Desk, Draft, argument, code_change
from loader_core.diagnose.order import head_of_line_cost
from loader_core.diagnose.samples import sample_times
from loader_core.diagnose.setting import Prediction, Setting
from loader_core.diagnose.verdict_types import Change, Code
from loader_core.trace.event import Kind

WAIT_NAME = Bilingual("espera del bucle", "waiting of the loop")


def collating(desk: Desk) -> list[Draft]:
    """Making one batch out of samples takes most of a worker's time."""
    ns, times = desk.waiting.collate_ns, desk.grounds.worker_times
    if times is None or not desk.notable(ns):
        return []
    setting = desk.grounds.setting
    parts = {
        "collate": duration(times.collate_ns),
        "of": share(times.collate_ns / times.made_ns),
        "share": share(desk.share(ns)),
    }
    return [
        desk.finding(
            Code.COLLATE_BOUND,
            ns,
            Bilingual(
                "Componer un lote a partir de sus muestras lleva {collate}, el {of} de lo que tarda en hacerse. Es el "
                "{share} de la espera.",
                "Putting one batch together from its samples takes {collate}, {of} of what making it takes. That is "
                "{share} of the wait.",
            ).format(**parts),
            evidence=[
                desk.evidence(WAIT_NAME, "total_ns", Kind.WAIT_BATCH),
                desk.evidence(
                    Bilingual("componer un lote, de media", "collating a batch, in the mean"), "mean_ns", Kind.COLLATE
                ),
                desk.evidence(
                    Bilingual("parte de hacer un lote", "share of making a batch"),
                    "share",
                    Kind.COLLATE,
                    Kind.FETCH,
                    Kind.SEND,
                ),
            ],
            advice=Bilingual(
                "Deja al collate solo juntar unos pocos tensores: el trabajo por muestra va en __getitem__, sin bucles "
                "de Python; muestras del mismo tamaño, contiguas y de tipos pequeños (uint8 en vez de float32) se "
                "juntan más deprisa.",
                "Leave collate nothing but joining a few tensors: per-sample work goes to __getitem__, without Python "
                "loops; samples of one size, contiguous and of small types (uint8 instead of float32) are joined "
                "faster.",
            ),
            changes=[code_change("una collate_fn que solo junte", "a collate_fn that only joins")],
            setting=None if setting is None else replace(setting, faster=(("collate", 4.0),)),
            place="collate_fn",
            refuted_by=Bilingual(
                "Si con collate_fn=lambda muestras: muestras la espera es la misma, no era la composición.",
                "If the wait is the same with collate_fn=lambda samples: samples, it was not collating.",
            ),
            experiment=Bilingual(
                "Mide unos segundos con una collate_fn que devuelva siempre el mismo lote.",
                "Measure a few seconds with a collate_fn that always returns the same batch.",
            ),
        )
    ]


def head_of_line(desk: Desk) -> list[Draft]:
    """Later batches are ready and wait for their turn, while workers have nothing to do."""
    ns, setting = desk.waiting.head_of_line_ns, desk.grounds.setting
    cost = head_of_line_cost(replace(desk.excerpt, start_ns=desk.grounds.warm_ns))
    if cost is None or not desk.notable(ns):
        return []
    changed, predicted, changes = _out_of_order(desk, setting)
    parts = {
        "waits": count(cost.waits),
        "hol": duration(cost.hol_ns),
        "gain": duration(ns),
        "share": share(desk.share(ns)),
        "slowest": _slowest(desk),
    }
    return [
        desk.finding(
            Code.HEAD_OF_LINE,
            ns,
            Bilingual(
                "En {waits} esperas ({hol} en total) había lotes posteriores ya listos, y los workers no tenían qué "
                "hacer: entregar en orden cuesta hasta {gain}, el {share} de la espera.{slowest}",
                "During {waits} waits ({hol} in all) later batches were ready, and workers had nothing to do: "
                "delivering in order costs up to {gain}, {share} of the wait.{slowest}",
            ).format(**parts),
            evidence=[
                desk.evidence(WAIT_NAME, "total_ns", Kind.WAIT_BATCH),
                desk.derived(
                    Bilingual("espera con un lote posterior listo", "waiting with a later batch ready"),
                    cost.hol_ns,
                    "ns",
                    Kind.WAIT_BATCH,
                    Kind.SEND,
                ),
                desk.derived(
                    Bilingual("workers sin tarea en esas esperas", "workers idle in these waits"),
                    cost.idle_ns,
                    "ns",
                    Kind.WAIT_TASK,
                    Kind.WAIT_BATCH,
                ),
            ],
            advice=Bilingual(
                "Usa in_order=False si el orden de los lotes no importa; si importa, un prefetch_factor mayor deja que "
                "los demás workers sigan mientras uno se retrasa.",
                "Use in_order=False if the order of batches does not matter; if it does, a larger prefetch_factor lets "
                "the other workers go on while one is late.",
            ),
            changes=changes,
            setting=changed,
            predicted=predicted,
            place=desk.place,
            refuted_by=Bilingual(
                "Si con in_order=False la espera es la misma, el orden no la causaba.",
                "If the wait is the same with in_order=False, the order did not cause it.",
            ),
            experiment=Bilingual(
                "Mide unos segundos con in_order=False y compara.",
                "Measure a few seconds with in_order=False, and compare.",
            ),
        )
    ]


def _out_of_order(desk: Desk, setting: Setting | None) -> tuple[Setting | None, Prediction | None, list[Change]]:
    """`in_order=False`; where that is so already, a larger prefetch factor."""
    if setting is None:
        return None, None, [argument("in_order", False)]
    if setting.in_order:
        changed = replace(setting, in_order=False)
        return changed, desk.predict(changed), [argument("in_order", False)]
    factor = min(MOST_PREFETCH, 2 * setting.prefetch_factor)
    changed = replace(setting, prefetch_factor=factor)
    return changed, desk.predict(changed), [argument("prefetch_factor", factor)]


def _slowest(desk: Desk) -> Bilingual:
    """The slowest sample, as a sentence."""
    times = sample_times(desk.excerpt)
    if times is None or not times.slowest:
        return NOTHING
    worst = times.slowest[0]
    return Bilingual(
        " La muestra más lenta, la {sample}, tarda {worst}, y la mediana es {median}.",
        " The slowest sample, {sample}, takes {worst}, and the median is {median}.",
    ).format(sample=count(worst.sample), worst=duration(worst.worst_ns), median=duration(times.p50_ns))


def slow_samples(desk: Desk) -> list[Draft]:
    """A few samples take much longer than the others."""
    ns, setting = desk.waiting.slow_samples_ns, desk.grounds.setting
    if not desk.notable(ns):
        return []
    items = desk.excerpt.ended(Kind.ITEM)
    lengths = items["end"] - items["start"]
    parts = {"share": share(desk.share(ns)), "slowest": _slowest(desk)}
    evidence = [desk.evidence(WAIT_NAME, "total_ns", Kind.WAIT_BATCH)]
    if len(items):
        p50, p99 = np.quantile(lengths, (0.5, 0.99), method="inverted_cdf")
        evidence += [
            desk.evidence(Bilingual("una muestra, mediana", "a sample, median"), "median_ns", Kind.ITEM),
            desk.derived(Bilingual("una muestra, p99", "a sample, p99"), float(p99), "ns", Kind.ITEM),
            desk.derived(
                Bilingual("p99 entre la mediana", "p99 over the median"), float(p99 / max(p50, 1)), "", Kind.ITEM
            ),
        ]
    return [
        desk.finding(
            Code.SKEWED_SAMPLES,
            ns,
            Bilingual(
                "Unas pocas muestras tardan mucho más que las demás, y lo que tardan de más es el {share} de la "
                "espera.{slowest}",
                "A few samples take much longer than the others, and what they take beyond the usual is {share} of the "
                "wait.{slowest}",
            ).format(**parts),
            evidence=evidence,
            advice=Bilingual(
                "Haz esas muestras más baratas de antemano (redimensiona, recorta, parte), o agrupa las de tamaño "
                "parecido con un batch_sampler.",
                "Make these samples cheaper beforehand (resize, crop, split them), or group those of like size with a "
                "batch_sampler.",
            ),
            changes=[code_change("preparar de antemano las muestras lentas", "prepared slow samples")],
            setting=None
            if setting is None
            else replace(setting, faster=(("fetch", 1 / max(0.1, 1 - desk.share(ns))),)),
            place=desk.place,
            refuted_by=Bilingual(
                "Si sin esas muestras la espera es la misma, no eran ellas.",
                "If the wait is the same without these samples, it was not they.",
            ),
            experiment=Bilingual(
                "Deja fuera las diez muestras más lentas y mide unos segundos.",
                "Leave out the ten slowest samples, and measure a few seconds.",
            ),
        )
    ]
