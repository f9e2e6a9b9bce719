"""Rules about workers that keep one another from computing: too few cores, or one GIL (tiers 4 and 10)."""

from __future__ import annotations

import math
from dataclasses import replace

from loader_core.diagnose.bilingual import Bilingual, count, duration, number, share
from loader_core.diagnose.desk import Desk, Draft, argument
from loader_core.diagnose.grounds import Grounds, WorkerTimes
from loader_core.diagnose.rules_workers import evidence, full_cores
from loader_core.diagnose.verdict_types import Code

CROWDED = 2.0
"""Workers per core from which on they are too many, where they wait for cores."""
LOST_SHARE = 0.1
"""Of the loop's time: lost for want of a core."""
LOCKED_CORES, LOCKED_SHARE = (0.6, 1.35), 0.15
"""Cores that threads compute with together, and how much of its time each waits, where it is for the GIL."""


def crowding(desk: Desk) -> list[Draft]:
    """More workers than cores that compute: all that is late is late for want of a core (tier 10).

    Also where the loop hardly waits: the main process then has to wait for its own core between steps and in them.
    """
    grounds, waiting, times = desk.grounds, desk.waiting, desk.grounds.worker_times
    cores = grounds.cores
    if times is None or cores is None or grounds.threads or not full_cores(desk):
        return []
    if grounds.workers < CROWDED * cores or not grounds.loop_ns:
        return []
    late = waiting.fetch_ns + waiting.collate_ns + waiting.send_ns + waiting.receive_ns + waiting.delayed_ns
    late += waiting.slow_samples_ns + waiting.head_of_line_ns + waiting.unknown_ns
    lost = late + grounds.gap_ns + grounds.stretched_ns
    if lost < LOST_SHARE * grounds.loop_ns:
        return []
    return [too_many(desk, times, late, lost)]


def locking(desk: Desk) -> list[Draft]:
    """Threads that compute for about one core's worth of time together, and each of them waits: for the GIL."""
    grounds, waiting, times = desk.grounds, desk.waiting, desk.grounds.worker_times
    if times is None or not grounds.threads or grounds.workers < 2 or (grounds.cores or 2) <= 1:
        return []
    used = grounds.cores_used
    if used is None or not LOCKED_CORES[0] <= used <= LOCKED_CORES[1] or _waited(times, grounds, used) < LOCKED_SHARE:
        return []
    late = waiting.fetch_ns + waiting.collate_ns + waiting.send_ns + waiting.receive_ns + waiting.delayed_ns
    late += waiting.slow_samples_ns + waiting.head_of_line_ns + waiting.unknown_ns
    return [gil(desk, times, late)] if desk.notable(late) else []


def _waited(times: WorkerTimes, grounds: Grounds, used: float) -> float:
    """How much of their busy time threads wait, neither computing nor for a core: in fetching, or wherever it was.

    A thread that has computed for a while hands the lock on in the next function that lets go of it, and waits there to
    get it back: that may well be collating.
    """
    busy = grounds.workers * (times.busy_share or 0.0)
    anywhere = 1 - used / busy - (times.core_wait_share or 0.0) if busy else 0.0
    return max(times.reading_share or 0.0, anywhere)


def too_many(desk: Desk, times: WorkerTimes, ns: int, lost_ns: int) -> Draft:
    """More workers than cores, which wait for one another, and for which the loop waits."""
    grounds = desk.grounds
    cores = max(1, math.floor(grounds.cores or 1))
    found = desk.with_fewer_workers()
    workers = min(found.setting.num_workers, cores) if found is not None else cores
    setting = None if grounds.setting is None else replace(grounds.setting, num_workers=workers)
    predicted = desk.predict(setting)  # from workers that crowd each other: of no use where it contradicts the advice
    parts = {
        "workers": count(grounds.workers),
        "cores": number(grounds.cores or 0.0),
        "cpu": share(times.cpu_share or 0.0),
        "made": duration(times.made_ns),
        "lost": share(lost_ns / grounds.loop_ns),
        "wanted": count(workers),
    }
    return desk.finding(
        Code.TOO_MANY_WORKERS,
        ns,
        Bilingual(
            "{workers} workers se reparten {cores} núcleos: al hacer un lote solo calculan el {cpu} del tiempo, y el "
            "resto esperan su turno, así que cada lote tarda {made}. El bucle, que también necesita un núcleo, pierde "
            "así el {lost} de su tiempo.",
            "{workers} workers share {cores} cores: making a batch they compute for only {cpu} of the time and wait "
            "for a core for the rest, so each batch takes {made}. The loop, which needs a core as well, loses "
            "{lost} of its time in this way.",
        ).format(**parts),
        evidence=evidence(desk, times),
        advice=Bilingual(
            "Usa num_workers={wanted}: la misma velocidad o más, con menos memoria y el bucle con su núcleo.",
            "Use num_workers={wanted}: as fast or faster, with less memory, and a core for the loop.",
        ).format(**parts),
        changes=[argument("num_workers", workers)],
        setting=setting,
        predictable=predicted is not None and predicted.samples_per_s >= (grounds.samples_per_s or 0.0),
        predicted=predicted,
        place=desk.place,
        refuted_by=Bilingual(
            "Si con num_workers={wanted} salen menos muestras por segundo, no sobraban workers.",
            "If num_workers={wanted} gives fewer samples per second, there were not too many.",
        ).format(**parts),
        experiment=Bilingual(
            "Mide con num_workers={wanted} y compara.", "Measure with num_workers={wanted}, and compare."
        ).format(**parts),
    )


def gil(desk: Desk, times: WorkerTimes, ns: int) -> Draft:
    """Threads that take turns at Python's lock."""
    grounds, used = desk.grounds, desk.grounds.cores_used or 0.0
    setting = None if grounds.setting is None else replace(grounds.setting, worker_method="process")
    parts = {
        "workers": count(grounds.workers),
        "cpu": share(max(0.0, 1 - _waited(times, grounds, used) - (times.core_wait_share or 0.0))),
        "used": number(used, 2),
        "cores": Bilingual.same("?") if grounds.cores is None else number(grounds.cores),
        "share": share(desk.share(ns)),
    }
    return desk.finding(
        Code.GIL_BOUND,
        ns,
        Bilingual(
            "{workers} hilos usan entre todos {used} de {cores} núcleos: cada uno calcula solo el {cpu} de su tiempo, "
            "y el resto espera el candado de Python (GIL). Es el {share} de la espera.",
            "{workers} threads use {used} of {cores} cores together: each of them computes for only {cpu} of its time, "
            "and waits for Python's lock (GIL) for the rest. That is {share} of the wait.",
        ).format(**parts),
        evidence=evidence(desk, times),
        advice=Bilingual(
            'Usa procesos: worker_method="process". O deja el trabajo a funciones que sueltan el GIL (Pillow, numpy, '
            "torch).",
            'Use processes: worker_method="process". Or leave the work to functions that let go of the GIL (Pillow, '
            "numpy, torch).",
        ),
        changes=[argument("worker_method", "process")],
        setting=setting,
        place=desk.place,
        refuted_by=Bilingual(
            "Si con procesos no salen más muestras por segundo, no era el GIL.",
            "If processes give no more samples per second, it was not the GIL.",
        ),
        experiment=Bilingual(
            "Mide unos segundos con procesos y compara.", "Measure a few seconds with processes, and compare."
        ),
    )
