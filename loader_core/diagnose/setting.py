"""What may be asked of a predictor, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loader_core.diagnose.bilingual import Bilingual


@dataclass(frozen=True, slots=True)
class Setting:
    """A loader's arguments, as torch names them, and what else may be asked."""

    num_workers: int
    prefetch_factor: int = 2
    batch_size: int = 1
    worker_method: Literal["process", "thread"] = "process"
    in_order: bool = True
    persistent_workers: bool = True
    pin_memory: bool = False
    cores: float = 1.0
    """Of the affinity mask."""
    ranks: int = 1
    """Processes that train beside each other on these cores, each with a loader like this one."""
    faster: tuple[tuple[str, float], ...] = ()
    """Parts made k times faster: stages by their names, or "fetch", "collate", "send", "step"."""
    cached: bool = False
    """Samples are in memory after the first epoch: nothing is read any more."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a setting would give. `low_per_s` to `high_per_s` holds the samples per second with 90 %."""

    setting: Setting
    batches_per_s: float
    samples_per_s: float
    low_per_s: float
    high_per_s: float
    wait_share: float
    """Of the loop's time that is spent waiting, 0..1."""
    assumptions: tuple[str, ...]
    """Codes of what was not seen in the observed run, but matters here; `ASSUMPTIONS` says each in a sentence."""


ASSUMPTIONS: dict[str, Bilingual] = {
    "fetch_all_cpu": Bilingual(
        "No se midió el tiempo de CPU de las lecturas: se toman como cálculo de principio a fin.",
        "The CPU time of fetching was not measured: it is taken as computing throughout.",
    ),
    "step_all_cpu": Bilingual(
        "No se midió el tiempo de CPU de los pasos: pueden ser cálculo o espera, y el intervalo abarca ambos.",
        "The CPU time of steps was not measured: they may compute or wait, and the interval holds both.",
    ),
    "no_workers_seen": Bilingual(
        "La ejecución observada no tenía workers: crearlos y enviar un lote cuesta lo habitual, no lo medido, y en "
        "un worker la misma muestra puede costar hasta la mitad más.",
        "The observed run had no workers: starting them and sending a batch cost what is usual, not what was measured, "
        "and in a worker the same sample may take up to half as much again.",
    ),
    "gil_unknown": Bilingual(
        "No se vieron hilos: no se sabe cuánto tiempo retienen el GIL, y el intervalo abarca desde poco hasta siempre.",
        "No threads were seen: how long they hold the GIL is not known, and the interval holds little to always.",
    ),
    "batch_scaled": Bilingual(
        "El coste de otro tamaño de lote se ajusta con los tamaños que se vieron.",
        "What another batch size costs is fitted to the sizes that were seen.",
    ),
    "step_scaled": Bilingual(
        "Solo se vio un tamaño de lote: el paso crece con él o no crece, y el intervalo abarca ambos.",
        "One batch size alone was seen: the step grows with it or does not, and the interval holds both.",
    ),
    "ranks_share_cores": Bilingual(
        "Los procesos que entrenan se reparten los núcleos por igual y no se esperan entre sí.",
        "Processes that train share the cores evenly and do not wait for each other.",
    ),
    "pinning_free": Bilingual(
        "Fijar memoria, o dejar de hacerlo, se toma como gratuito.",
        "Pinning memory, or to stop pinning it, is taken to cost nothing.",
    ),
    "reads_are_waits": Bilingual(
        "No hay etapas con nombre de lectura: una caché quita toda la espera, y nada del cálculo.",
        "No stage is named as reading: a cache takes away all waiting, and no computing.",
    ),
}
"""What each code of `Prediction.assumptions` means."""
