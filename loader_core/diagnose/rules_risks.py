"""Rules about dangers: memory that grows, descriptors and shared memory that run out. They are not about waiting."""

from __future__ import annotations

from loader_core.diagnose.bilingual import Bilingual, count, size
from loader_core.diagnose.desk import Desk, Draft, argument, code_change
from loader_core.diagnose.resource_rules import files_near_limit, memory_growth
from loader_core.diagnose.verdict_types import Code, Confidence, Evidence
from loader_core.trace.event import Kind

SOON_NS = 3_600 * 1_000_000_000
"""What will be used up within an hour comes before anything else."""
MOST_OF_SHARED = 0.5
"""Of the shared memory: batches on their way that take up more are a danger."""
GROWTH_SHARE_PER_HOUR = 0.2
"""Of all memory: growth that would take more of it in an hour comes first, where nobody knows how much is left."""


def memory(desk: Desk) -> list[Draft]:
    """Memory grows and does not stop."""
    use = desk.grounds.memory
    found = memory_growth(use)
    if found is None or use.memory_forecast is None:
        return []
    growing = [trend for trend in use.memory if trend.trend == "growing"]
    sure: Confidence = (
        "high" if all((trend.low_per_s or 0) > 0.5 * (trend.per_s or 0) for trend in growing) else "medium"
    )
    return [
        desk.finding(
            Code.MEMORY_GROWTH,
            None,
            found.sentence,
            evidence=[
                Evidence(
                    Bilingual("crecimiento", "growth"),
                    float(use.memory_forecast.per_s or 0.0),
                    "bytes/s",
                    (Kind.MEMORY.name,),
                    tuple(trend.lane for trend in growing),
                    desk.excerpt.start_ns,
                    desk.grounds.end_ns,
                )
            ],
            advice=found.advice,
            changes=[
                code_change(
                    "datos del dataset en arrays de numpy o tensores, y nada que se guarde por muestra",
                    "the dataset's data in numpy arrays or tensors, and nothing kept per sample",
                )
            ],
            confidence=sure,
            refuted_by=Bilingual(
                "Si en una ejecución más larga la memoria deja de crecer, era calentamiento.",
                "If memory stops growing in a longer run, it was warming up.",
            ),
            experiment=Bilingual(
                "Mide dos épocas seguidas y mira si la segunda crece igual.",
                "Record two epochs, and look whether the second grows as much.",
            ),
        )
    ]


def memory_is_urgent(desk: Desk) -> bool:
    """Whether memory will be used up within the hour, as far as that can be told."""
    use, limits = desk.grounds.memory, desk.grounds.limits
    forecast = use.memory_forecast
    if forecast is None or not forecast.per_s:
        return False
    if forecast.exhausted_in_ns is not None:
        return forecast.exhausted_in_ns < SOON_NS
    return limits.memory_bytes is not None and forecast.per_s * 3600 > GROWTH_SHARE_PER_HOUR * limits.memory_bytes


def shared_and_files(desk: Desk) -> list[Draft]:
    """Shared memory or file descriptors are nearly used up."""
    return [*_files(desk), *_shared(desk)][:1]


def _files(desk: Desk) -> list[Draft]:
    use = desk.grounds.memory
    found = files_near_limit(use)
    if found is None:
        return []
    most = max(use.files, key=lambda trend: trend.latest)
    return [
        desk.finding(
            Code.SHM_OR_FD_RISK,
            None,
            found.sentence,
            evidence=[
                Evidence(
                    Bilingual("descriptores abiertos", "open descriptors"),
                    float(most.highest),
                    "descriptors",
                    (Kind.FILES.name,),
                    (most.lane,),
                    desk.excerpt.start_ns,
                    desk.grounds.end_ns,
                    "max",
                )
            ],
            advice=found.advice,
            changes=[
                code_change(
                    'torch.multiprocessing.set_sharing_strategy("file_system")',
                    'torch.multiprocessing.set_sharing_strategy("file_system")',
                )
            ],
            confidence="high" if found.level == "warning" else "medium",
            refuted_by=Bilingual(
                "Si el número de descriptores deja de subir antes del límite, no hay peligro.",
                "If the number of descriptors stops rising before the limit, there is no danger.",
            ),
            experiment=Bilingual(
                "Mira ls /proc/PID/fd mientras entrena: qué se queda abierto.",
                "Look at ls /proc/PID/fd while it trains: what stays open.",
            ),
        )
    ]


def _shared(desk: Desk) -> list[Draft]:
    use, setting = desk.grounds.memory.shared, desk.grounds.setting
    if use is None:
        return []
    room = use.free_bytes if use.free_bytes is not None else use.limit_bytes
    if room is None or use.needed_bytes < MOST_OF_SHARED * room:
        return []
    parts = {"needed": size(use.needed_bytes), "room": size(room), "flight": count(use.in_flight)}
    return [
        desk.finding(
            Code.SHM_OR_FD_RISK,
            None,
            Bilingual(
                "Los {flight} lotes en camino ocupan hasta {needed} de memoria compartida, y hay {room}.",
                "The {flight} batches on their way take up to {needed} of shared memory, and there are {room}.",
            ).format(**parts),
            evidence=[
                desk.evidence(Bilingual("el lote mayor", "the largest batch"), "max", Kind.SEND, unit="bytes"),
                desk.evidence(Bilingual("lotes en camino", "batches in flight"), "max", Kind.DISPATCH, unit="batches"),
            ],
            advice=Bilingual(
                "Agranda /dev/shm (docker run --shm-size), o baja prefetch_factor o batch_size.",
                "Enlarge /dev/shm (docker run --shm-size), or use a smaller prefetch_factor or batch_size.",
            ),
            changes=[argument("prefetch_factor", max(1, (setting.prefetch_factor if setting else 2) // 2))],
            confidence="high" if use.needed_bytes > room else "medium",
            refuted_by=Bilingual(
                "Si df /dev/shm no pasa de la mitad mientras entrena, no hay peligro.",
                "If df /dev/shm stays below a half while it trains, there is no danger.",
            ),
            experiment=Bilingual("Mira df /dev/shm mientras entrena.", "Look at df /dev/shm while it trains."),
        )
    ]


def files_are_urgent(draft: Draft) -> bool:
    """Whether a danger comes before all waiting."""
    return draft.finding.confidence == "high"
