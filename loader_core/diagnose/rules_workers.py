"""Rules about what workers do: computing, reading, collating, and how many of them there are (tiers 3 to 6)."""

from __future__ import annotations

import math
from dataclasses import replace

from loader_core.diagnose.bilingual import Bilingual, count, duration, number, share
from loader_core.diagnose.causes import BUSY_SHARE
from loader_core.diagnose.desk import MOST_WORKERS, STAGE_PLACE, Desk, Draft, argument, code_change
from loader_core.diagnose.grounds import WorkerTimes
from loader_core.diagnose.setting import Prediction, Setting
from loader_core.diagnose.verdict_types import Code, Evidence
from loader_core.trace.event import Kind

COMPUTES = 0.7
"""A fetch of which this share is CPU time computes ..."""
WAITS = 0.5
"""... and one of which more than this share is reading, waits."""
SOME_READING = 0.2
"""Of fetching: where there is room for another worker, from this share on it is of use though it would find no core of
its own."""
CORES_FULL = 0.8
"""Of the cores' time: used up."""
ROOM_CORES = 0.4
"""Cores that must be free for another worker to be of use."""
FEW_READERS = 4
"""Workers that wait for what they read, of which fewer cannot tell latency from a full disk: more of them wait at the
same time, and that is the cheaper thing to try."""
MARGIN = 0.1
"""Workers are advised for steps that are this much shorter than seen."""

WORK_KINDS = (Kind.FETCH, Kind.COLLATE, Kind.SEND)

WAIT_NAME = Bilingual("espera del bucle", "waiting of the loop")
FETCH_MEAN = Bilingual("leer un lote, de media", "fetching a batch, in the mean")
FETCH_CPU = Bilingual("parte de la lectura que es cálculo", "share of fetching that is CPU time")
CORE_WAIT = Bilingual("parte de la lectura sin núcleo libre", "share of fetching without a free core")
COLLATE_MEAN = Bilingual("componer un lote, de media", "collating a batch, in the mean")
STEP_MEDIAN = Bilingual("paso, mediana", "step, median")
CORES_USED = Bilingual("núcleos en uso", "cores in use")
BUSY = Bilingual("ocupación de los workers", "workers' occupancy")


def making(desk: Desk) -> list[Draft]:
    """What the time of fetching is due to: computing, storage, cores or the GIL."""
    times, waiting = desk.grounds.worker_times, desk.waiting
    if times is None or not waiting.fetch_ns or fast_enough(desk, times):
        return []
    if times.reading_share is None:
        return _by_count(desk, times, waiting.fetch_ns)
    reading = min(times.reading_share, _most_reading(desk))
    few = desk.grounds.workers < FEW_READERS
    if few and (reading > WAITS or (reading > SOME_READING and not _used_up(desk))):
        return [too_few(desk, times, waiting.fetch_ns)] if desk.notable(waiting.fetch_ns) else []
    idle = 0.0 if full_cores(desk) else waiting.fetch_ns * reading
    drafts = _by_count(desk, times, int(waiting.fetch_ns - idle))
    if desk.notable(idle):
        drafts.append(storage(desk, times, int(idle)))
    return drafts


def fast_enough(desk: Desk, times: WorkerTimes) -> bool:
    """Whether there are workers enough in the mean: what is late then is late now and then, and more would not help."""
    wanted, workers, busy = wanted_workers(desk, times), desk.grounds.workers, desk.grounds.busy_share
    return workers > 0 and wanted is not None and wanted <= workers and busy is not None and busy < BUSY_SHARE


def _most_reading(desk: Desk) -> float:
    """Which share of fetching may be reading at most: by the names of its stages, or none where the host was busy and
    nobody told of cores."""
    grounds, times = desk.grounds, desk.grounds.worker_times
    if grounds.computing_share is not None:
        return 1.0 - grounds.computing_share
    told = times is not None and times.core_wait_share is not None
    return 0.0 if grounds.host_busy and not told else 1.0


def _used_up(desk: Desk) -> bool:
    """Another worker that computes would find no core."""
    used, cores = desk.grounds.cores_used, desk.grounds.cores
    return used is not None and cores is not None and used >= cores - ROOM_CORES


def full_cores(desk: Desk) -> bool:
    """Workers wait for cores: those are used up, or what should compute does not (other processes have them)."""
    grounds, times = desk.grounds, desk.grounds.worker_times
    used, cores = grounds.cores_used, grounds.cores
    if used is None or cores is None or grounds.workers < cores:
        return False
    return used >= CORES_FULL * cores or (times is not None and _kept_from_computing(times, grounds.computing_share))


def _kept_from_computing(times: WorkerTimes, computing: float | None) -> bool:
    """Others had the cores: as the scheduler tells, or as stages let think that should compute and do not."""
    if times.core_wait_share is not None:
        return times.core_wait_share > 1 - COMPUTES
    return (times.cpu_share or 1.0) < COMPUTES <= (computing or 0.0)


def _by_count(desk: Desk, times: WorkerTimes, ns: int) -> list[Draft]:
    """Computing takes too long: with the cores full, or for want of workers."""
    if not desk.notable(ns):
        return []
    grounds = desk.grounds
    cores = grounds.cores
    if cores is None:
        return [too_few(desk, times, ns)] if grounds.workers == 0 else [cpu_bound(desk, times, ns)]
    full = _used_up(desk)
    if grounds.workers == 0 or (not full and grounds.workers < cores):
        return [too_few(desk, times, ns)]
    return [cpu_bound(desk, times, ns)]


# --- numbers that several rules say -----------------------------------------------------------------------------------


def evidence(desk: Desk, times: WorkerTimes) -> list[Evidence]:
    """The numbers that verdicts about workers rest on."""
    found = [
        desk.evidence(WAIT_NAME, "total_ns", Kind.WAIT_BATCH),
        desk.evidence(FETCH_MEAN, "mean_ns", Kind.FETCH),
        desk.evidence(STEP_MEDIAN, "median_ns", Kind.STEP),
    ]
    if times.cpu_share is not None:
        found.append(desk.evidence(FETCH_CPU, "cpu_share", Kind.FETCH))
    if times.core_wait_share is not None:
        found.append(desk.derived(CORE_WAIT, times.core_wait_share, "share", Kind.FETCH, Kind.CORE_WAIT))
    used = desk.grounds.cores_used
    if used is not None:
        found.append(desk.derived(CORES_USED, used, "cores", *WORK_KINDS, Kind.CPU, Kind.WAIT_BATCH, Kind.STEP))
    if times.busy_share is not None:
        found.append(desk.derived(BUSY, times.busy_share, "share", *WORK_KINDS, Kind.WAIT_TASK))
    return found


def _in_place(desk: Desk) -> Bilingual:
    place = desk.place
    if place is None:
        return Bilingual("", "")
    if place.startswith(STAGE_PLACE):
        name = place.removeprefix(STAGE_PLACE)
        return Bilingual(f", sobre todo en la etapa «{name}»", f", most of it in stage “{name}”")
    return Bilingual(f", sobre todo en {place}", f", most of it in {place}")


def wanted_workers(desk: Desk, times: WorkerTimes) -> int | None:
    """`W* = ceil(s_b * (1 + margin) / t_c)` (tier 5); None where steps were not measured."""
    step = desk.grounds.step_median_ns
    return math.ceil(times.made_ns * (1 + MARGIN) / step) if step else None


def _with_workers(desk: Desk, most: int, *, least: int = 1) -> tuple[Setting | None, Prediction | None]:
    setting = desk.grounds.setting
    if setting is None:
        return None, None
    best = desk.best_workers(most=max(1, most), least=least)
    if best is not None:
        return best.setting, best
    chosen = max(least, min(most, MOST_WORKERS))
    return replace(setting, num_workers=chosen, persistent_workers=True), None


# --- rules ------------------------------------------------------------------------------------------------------------


def too_few(desk: Desk, times: WorkerTimes, ns: int) -> Draft:
    """Workers compute throughout, and cores are free for more of them."""
    grounds = desk.grounds
    wanted = wanted_workers(desk, times) or MOST_WORKERS
    reads = times.reading_share if times.reading_share is not None else 0.0
    waits = min(reads, _most_reading(desk)) > WAITS
    fits = MOST_WORKERS if grounds.cores is None or waits else math.ceil(grounds.cores)
    most = max(grounds.workers + 1, fits)
    setting, predicted = _with_workers(desk, most, least=grounds.workers + 1)
    workers = setting.num_workers if setting is not None else min(most, max(wanted, grounds.workers + 1))
    parts = {
        "workers": count(grounds.workers),
        "made": duration(times.made_ns),
        "step": duration(grounds.step_median_ns),
        "share": share(desk.share(ns)),
        "place": _in_place(desk),
        "used": number(grounds.cores_used or 0.0, 2),
        "cores": number(grounds.cores or 0.0),
        "wanted": count(workers),
        "idle": share(reads),
    }
    free = grounds.cores_used is not None and grounds.cores is not None
    if grounds.workers == 0:
        sentence = Bilingual(
            "El propio bucle hace cada lote y tarda {made}{place}; mientras tanto no entrena: es el {share} de la "
            "espera.",
            "The training loop makes each batch itself, which takes {made}{place}, and does not train meanwhile: "
            "{share} of the wait.",
        )
    else:
        sentence = Bilingual(
            "Un worker tarda {made} en hacer un lote{place}, y el paso dura solo {step}: con num_workers={workers} no "
            "dan abasto, y eso es el {share} de la espera.",
            "A worker takes {made} to make a batch{place}, and a step only {step}: num_workers={workers} cannot keep "
            "up, which is {share} of the wait.",
        )
    if waits:
        sentence += Bilingual(
            " El {idle} de la lectura es espera y no cálculo: más workers esperan a la vez.",
            " {idle} of fetching is waiting and not computing: more workers wait at the same time.",
        )
    if free:
        sentence += Bilingual(" De {cores} núcleos se usan {used}.", " Of {cores} cores {used} are used.")
    changes = [argument("num_workers", workers)]
    if setting is not None and grounds.setting is not None and not grounds.setting.persistent_workers:
        changes.append(argument("persistent_workers", True))
    return desk.finding(
        Code.TOO_FEW_WORKERS,
        ns,
        sentence.format(**parts),
        evidence=evidence(desk, times),
        advice=Bilingual(
            "Usa num_workers={wanted}: con más, cada lote se hace mientras otros se consumen.",
            "Use num_workers={wanted}: each batch is then made while others are consumed.",
        ).format(**parts),
        changes=changes,
        setting=setting,
        predicted=predicted,
        place=desk.place,
        refuted_by=Bilingual(
            "Si con num_workers={wanted} la espera no baja, los workers no son el límite.",
            "If the wait does not shrink with num_workers={wanted}, workers are not the limit.",
        ).format(**parts),
        experiment=Bilingual(
            "Mide unos segundos con num_workers={wanted} y compara las muestras por segundo.",
            "Measure a few seconds with num_workers={wanted}, and compare the samples per second.",
        ).format(**parts),
    )


def cpu_bound(desk: Desk, times: WorkerTimes, ns: int) -> Draft:
    """Workers compute, and the cores are used up: only cheaper work helps."""
    grounds = desk.grounds
    setting = None if grounds.setting is None else replace(grounds.setting, faster=(("fetch", 2.0),))
    place, cores_known = desk.place, grounds.cores is not None
    parts = {
        "workers": count(grounds.workers),
        "made": duration(times.made_ns),
        "step": duration(grounds.step_median_ns),
        "share": share(desk.share(ns)),
        "place": _in_place(desk),
        "cpu": share(times.cpu_share if times.cpu_share is not None else 1.0),
        "used": number(grounds.cores_used or 0.0, 2),
        "cores": number(grounds.cores or 0.0),
        "what": Bilingual("la lectura", "fetching") if place is None else Bilingual.same(place),
    }
    if times.busy_share is None or times.busy_share >= BUSY_SHARE:
        sentence = Bilingual(
            "Los workers calculan sin parar: cada lote les lleva {made}{place}, y el paso {step}. Es el {share} de la "
            "espera.",
            "The workers compute without a break: a batch takes {made}{place}, and a step {step}. That is {share} of "
            "the wait.",
        )
    else:
        sentence = Bilingual(
            "Un worker tarda {made} en hacer un lote{place}, y el paso dura {step}: no siempre llega a tiempo. Es el "
            "{share} de la espera.",
            "A worker takes {made} to make a batch{place}, and a step {step}: now and then it is late. That is {share} "
            "of the wait.",
        )
    if grounds.cores_used is not None and cores_known and not _used_up(desk):
        sentence += Bilingual(
            " De {cores} núcleos usan {used}: el resto lo tenían otros programas de la máquina.",
            " Of {cores} cores they use {used}: other programs of the machine had the rest.",
        )
    elif grounds.cores_used is not None and cores_known:
        sentence += Bilingual(
            " Ya se usan {used} de {cores} núcleos: más workers no caben.",
            " Of {cores} cores {used} are in use already: there is no room for more workers.",
        )
    return desk.finding(
        Code.WORKER_CPU_BOUND,
        ns,
        sentence.format(**parts),
        evidence=evidence(desk, times),
        advice=Bilingual(
            "Abarata {what}: hazlo una vez antes de entrenar y guarda el resultado, usa una biblioteca más rápida o "
            "muestras más pequeñas. Más workers no ayudarán en esta máquina.",
            "Make {what} cheaper: do it once before training and keep the result, use a faster library, or smaller "
            "samples. More workers will not help on this machine.",
        ).format(**parts),
        changes=[code_change("abaratar o preparar de antemano lo que hace __getitem__", "cheaper or prepared samples")],
        setting=setting,
        place=place,
        refuted_by=Bilingual(
            "Si en una máquina con más núcleos el mismo ajuste no va más deprisa, la CPU no es el límite.",
            "If the same setting is no faster on a machine with more cores, CPU is not the limit.",
        ),
        experiment=Bilingual(
            "Guarda en memoria unas pocas muestras ya hechas y sírvelas: lo que se gane así es lo que cuesta hacerlas.",
            "Keep a few finished samples in memory and serve those: what that wins is what making them costs.",
        ),
    )


def storage(desk: Desk, times: WorkerTimes, ns: int) -> Draft:
    """Workers wait for what they read, and there are many of them already: more would share the same storage."""
    grounds = desk.grounds
    parts = {
        "waited": share(times.reading_share if times.reading_share is not None else 1.0),
        "fetch": duration(times.fetch_ns),
        "share": share(desk.share(ns)),
        "place": _in_place(desk),
        "workers": count(grounds.workers),
    }
    return desk.finding(
        Code.STORAGE_BOUND,
        ns,
        Bilingual(
            "Leer un lote lleva {fetch}, y el {waited} de ese tiempo el worker no calcula: espera a lo que lee{place}, "
            "con {workers} workers a la vez. Es el {share} de la espera.",
            "Fetching a batch takes {fetch}, and for {waited} of that the worker does not compute: it waits for what "
            "it reads{place}, with {workers} workers at once. That is {share} of the wait.",
        ).format(**parts),
        evidence=evidence(desk, times),
        advice=Bilingual(
            "Acerca los datos: una caché en memoria, un disco local, archivos más grandes y menos lecturas. Más "
            "workers leerían del mismo sitio.",
            "Bring the data closer: a cache in memory, a local disk, larger files and fewer reads. More workers would "
            "read from the same place.",
        ),
        changes=[code_change("una copia en memoria o en un disco local", "a copy in memory or on a local disk")],
        setting=None if grounds.setting is None else replace(grounds.setting, cached=True),
        place=desk.place,
        refuted_by=Bilingual(
            "Si una segunda época, con los archivos ya en la memoria, tarda lo mismo, no era el disco.",
            "If a second epoch, with the files in memory already, takes as long, it was not the storage.",
        ),
        experiment=Bilingual(
            "Copia unas decenas de archivos a /dev/shm y lee de ahí.",
            "Copy a few dozen files to /dev/shm, and read from there.",
        ),
    )
