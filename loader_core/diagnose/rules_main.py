"""Rules about the way from a worker to the loop: sending, receiving, the main process, pinning, the device (tier 8)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from loader_core.diagnose.bilingual import NOTHING, Bilingual, count, duration, number, share, size
from loader_core.diagnose.desk import Desk, Draft, argument, code_change
from loader_core.diagnose.verdict_types import Code, Evidence
from loader_core.trace.event import Kind, Role

WAIT_NAME = Bilingual("espera del bucle", "waiting of the loop")
MANY_TENSORS = 16
"""Tensors of a batch from which on they are said to be the reason of slow sending."""
HOLDING_CORES = 0.6
"""Cores that the training process computes with in its steps, from which on it may hold the GIL against itself."""
LOCK_NS = 4_000_000
"""A thread that computes in Python gives the GIL away every 5 ms: who needs it for each batch is as late as that."""
STEP_SHARE = 0.1
"""Of the loop's time: steps that copy for longer are held up by it (XProf)."""
TRANSFER = "transfer"
"""The stage of a step that copies its batch to the device."""


_JOIN = Bilingual(
    "Junta los tensores de un lote en unos pocos (torch.stack en collate_fn), devuelve tensores y no objetos de "
    "Python, y manda solo lo que el bucle use.",
    "Join the tensors of a batch into a few (torch.stack in collate_fn), return tensors and no Python objects, and "
    "send only what the loop uses.",
)
_LARGER = Bilingual(
    "Cada lote que viaja cuesta lo suyo, por pequeño que sea: usa lotes mayores, manda solo lo que el bucle use, en "
    "tensores y no en objetos de Python; y si hacer un lote cuesta poco, num_workers=0 se ahorra el viaje.",
    "Each batch that travels has its cost, however small it is: use larger batches, send only what the loop uses, as "
    "tensors and not as Python objects; and where making a batch costs little, num_workers=0 saves the journey.",
)


def transport(desk: Desk) -> list[Draft]:
    """Sending batches and receiving them takes the time."""
    waiting, times = desk.waiting, desk.grounds.worker_times
    ns = waiting.send_ns + waiting.receive_ns
    if times is None or not desk.notable(ns) or held(desk):
        return []
    received = desk.evidence(
        Bilingual("recibir un lote, de media", "receiving a batch, in the mean"), "mean_ns", Kind.RECEIVE
    )
    sent = desk.evidence(Bilingual("enviar un lote, de media", "sending a batch, in the mean"), "mean_ns", Kind.SEND)
    largest = desk.evidence(Bilingual("el lote mayor", "the largest batch"), "max", Kind.SEND, unit="bytes")
    tensors = desk.causes.tensors
    what = NOTHING
    if tensors >= MANY_TENSORS:
        what = Bilingual(
            " Un lote son {tensors} tensores, y cada uno viaja por separado.",
            " A batch is {tensors} tensors, and each of them travels on its own.",
        ).format(tensors=count(tensors))
    elif largest.value > 0:
        what = Bilingual(" Un lote ocupa {size}.", " A batch takes up {size}.").format(size=size(largest.value))
    parts = {
        "send": duration(sent.value),
        "receive": duration(received.value),
        "fetch": duration(times.fetch_ns),
        "share": share(desk.share(ns)),
        "what": what,
    }
    return [
        desk.finding(
            Code.TRANSPORT_BOUND,
            ns,
            Bilingual(
                "Enviar un lote lleva {send} y recibirlo {receive}, frente a {fetch} de leerlo: el camino entre "
                "procesos es el {share} de la espera.{what}",
                "Sending a batch takes {send} and receiving it {receive}, against {fetch} of fetching it: the way "
                "between processes is {share} of the wait.{what}",
            ).format(**parts),
            evidence=[desk.evidence(WAIT_NAME, "total_ns", Kind.WAIT_BATCH), sent, received, largest],
            advice=_JOIN if tensors >= MANY_TENSORS else _LARGER,
            changes=[code_change("menos tensores por lote, y menos bytes", "fewer tensors per batch, and fewer bytes")],
            place="collate_fn" if tensors >= MANY_TENSORS else None,
            refuted_by=Bilingual(
                "Si con los mismos lotes en un solo tensor la espera no baja, no es el transporte.",
                "If the wait does not shrink with the same batches in a single tensor, it is not transport.",
            ),
            experiment=Bilingual(
                "Mide unos segundos con num_workers=0: sin procesos no hay transporte.",
                "Measure a few seconds with num_workers=0: without processes nothing is sent.",
            ),
        )
    ]


def delayed(desk: Desk) -> list[Draft]:
    """Batches had been sent, and the main process began to take them late."""
    ns = desk.waiting.delayed_ns
    return [_main_thread(desk, ns, ns)] if desk.notable(ns) and not held(desk) else []


def held(desk: Desk) -> list[Draft]:
    """Batches of few tensors were sent, and are taken later than a turn of Python's lock takes: a thread holds it."""
    cores, waiting = desk.grounds.step_cpu_cores, desk.waiting
    ns = waiting.delayed_ns + waiting.receive_ns
    if cores is None or cores < HOLDING_CORES or desk.causes.tensors >= MANY_TENSORS or not desk.notable(ns):
        return []
    received = desk.grounds.warm(desk.excerpt.of(Kind.RECEIVE))["value"]
    bytes_ns = float(np.median(received)) if len(received) else 0.0
    return [_gil_of_main(desk, ns)] if _late_per_batch(desk, ns) > LOCK_NS + bytes_ns else []


def _gil_of_main(desk: Desk, ns: int) -> Draft:
    cores = desk.grounds.step_cpu_cores or 0.0
    parts = {"cores": number(cores, 2), "late": duration(_late_per_batch(desk, ns)), "share": share(desk.share(ns))}
    return desk.finding(
        Code.GIL_BOUND,
        ns,
        Bilingual(
            "Los lotes ya estaban enviados y el proceso principal los tomó {late} tarde de media: algo en él retiene "
            "el candado de Python (GIL), pues calcula {cores} núcleos durante los pasos. Es el {share} de la espera.",
            "Batches had been sent, and the main process took them {late} late in the mean: something in it holds "
            "Python's lock (GIL), as it computes {cores} cores' worth during steps. That is {share} of the wait.",
        ).format(**parts),
        evidence=[
            *_lateness(desk, ns),
            desk.derived(
                Bilingual("núcleos del proceso principal", "cores of the main process"),
                cores,
                "cores",
                Kind.CPU,
                Kind.STEP,
            ),
        ],
        advice=Bilingual(
            "Saca del proceso de entrenamiento los hilos que ejecutan Python sin parar (registro, métricas, "
            "preprocesado): a otro proceso, o a funciones que sueltan el GIL.",
            "Take threads that run Python all the time (logging, metrics, preprocessing) out of the training process: "
            "into another process, or into functions that let go of the GIL.",
        ),
        changes=[
            code_change("el hilo que ocupa el GIL, a otro proceso", "the thread that holds the GIL, in a process")
        ],
        refuted_by=Bilingual(
            "Si sin ese hilo los lotes se toman igual de tarde, no era el GIL.",
            "If batches are taken as late without that thread, it was not the GIL.",
        ),
        experiment=Bilingual(
            "Para los demás hilos del proceso unos segundos y mide.",
            "Stop the other threads of the process for a few seconds, and measure.",
        ),
    )


def _late_per_batch(desk: Desk, ns: int) -> float:
    return ns / max(1, len(desk.causes.waits))


def _lateness(desk: Desk, ns: int) -> list[Evidence]:
    name = Bilingual("enviado y sin tomar, por lote", "sent and not taken, per batch")
    return [
        desk.evidence(WAIT_NAME, "total_ns", Kind.WAIT_BATCH),
        desk.derived(name, _late_per_batch(desk, ns), "ns", Kind.WAIT_BATCH, Kind.SEND, Kind.RECEIVE),
    ]


def drawing(desk: Desk) -> list[Draft]:
    """The sampler takes long to draw the indices of a batch."""
    ns = desk.waiting.draw_ns
    if not desk.notable(ns):
        return []
    drawn = desk.evidence(Bilingual("sortear un lote, de media", "drawing a batch, in the mean"), "mean_ns", Kind.DRAW)
    parts = {"draw": duration(drawn.value), "share": share(desk.share(ns))}
    sampler = desk.grounds.facts.dataset.sampler if desk.grounds.facts.dataset is not None else ""
    return [
        desk.finding(
            Code.MAIN_THREAD_BOUND,
            ns,
            Bilingual(
                "El hilo principal sortea los índices de cada lote mientras el bucle espera: {draw} por lote, el "
                "{share} de la espera.",
                "The main thread draws the indices of each batch while the loop waits: {draw} per batch, {share} of "
                "the wait.",
            ).format(**parts),
            evidence=[desk.evidence(WAIT_NAME, "total_ns", Kind.WAIT_BATCH), drawn],
            advice=Bilingual(
                "Calcula los índices de toda la época de una vez (numpy o torch.randperm) y que el sampler solo los "
                "entregue.",
                "Work out the indices of a whole epoch at once (numpy or torch.randperm), and let the sampler only "
                "hand them out.",
            ),
            changes=[
                code_change("un sampler que calcule la época de una vez", "a sampler that computes once per epoch")
            ],
            place=sampler or None,
            refuted_by=Bilingual(
                "Si con shuffle=True de torch la espera es la misma, no es el sampler.",
                "If the wait is the same with torch's own shuffle=True, it is not the sampler.",
            ),
            experiment=Bilingual(
                "Mide unos segundos con el sampler de torch en lugar del tuyo.",
                "Measure a few seconds with torch's sampler in place of yours.",
            ),
        )
    ]


def unrecorded(desk: Desk) -> list[Draft]:
    """Batches were there, and the main process did something else before it handed them over."""
    ns = desk.waiting.unknown_ns
    if not desk.notable(ns) or desk.grounds.workers == 0:
        return []
    return [_main_thread(desk, ns, ns)]


def _main_thread(desk: Desk, ns: int, late_ns: int) -> Draft:
    parts = {"late": duration(_late_per_batch(desk, late_ns)), "share": share(desk.share(ns))}
    return desk.finding(
        Code.MAIN_THREAD_BOUND,
        ns,
        Bilingual(
            "Los lotes ya estaban hechos y enviados, y el hilo principal los entregó {late} tarde de media: es él, y "
            "no los workers, quien no da abasto. Es el {share} de la espera.",
            "Batches were made and sent, and the main thread handed them over {late} late in the mean: it, and not the "
            "workers, cannot keep up. That is {share} of the wait.",
        ).format(**parts),
        evidence=_lateness(desk, late_ns),
        advice=Bilingual(
            "Quita trabajo al hilo principal: prepara en los workers (collate_fn) lo que hoy se hace al recibir, y haz "
            "lotes mayores si son muy pequeños.",
            "Take work off the main thread: do in workers (collate_fn) what is done on receiving now, and use larger "
            "batches if they are tiny.",
        ),
        changes=[code_change("menos trabajo por lote en el hilo principal", "less work per batch in the main thread")],
        refuted_by=Bilingual(
            "Si con lotes el doble de grandes la espera por muestra no baja, no es el hilo principal.",
            "If batches twice as large do not shrink the wait per sample, it is not the main thread.",
        ),
        experiment=Bilingual(
            "Mira qué hace el hilo principal con py-spy durante una espera.",
            "Look at what the main thread does during a wait, with py-spy.",
        ),
    )


def pinning(desk: Desk) -> list[Draft]:
    """Copying to page-locked memory holds batches up."""
    ns, setting = desk.waiting.pin_ns, desk.grounds.setting
    if not desk.notable(ns):
        return []
    pinned = desk.evidence(Bilingual("fijar un lote, de media", "pinning a batch, in the mean"), "mean_ns", Kind.PIN)
    largest = desk.evidence(Bilingual("el lote mayor", "the largest batch"), "max", Kind.PIN, unit="bytes")
    parts = {
        "pin": duration(pinned.value),
        "step": duration(desk.grounds.step_median_ns),
        "share": share(desk.share(ns)),
    }
    return [
        desk.finding(
            Code.PIN_BOUND,
            ns,
            Bilingual(
                "El hilo que copia a memoria fijada tarda {pin} por lote y el paso {step}: los lotes están hechos y "
                "esperan por él. Es el {share} de la espera.",
                "The thread that copies to page-locked memory takes {pin} per batch, and a step {step}: batches are "
                "made, and wait for it. That is {share} of the wait.",
            ).format(**parts),
            evidence=[desk.evidence(WAIT_NAME, "total_ns", Kind.WAIT_BATCH), pinned, largest],
            advice=Bilingual(
                "Prueba pin_memory=False, o manda lotes con menos tensores y menos bytes (uint8 en vez de float32).",
                "Try pin_memory=False, or send batches of fewer tensors and fewer bytes (uint8 instead of float32).",
            ),
            changes=[argument("pin_memory", False)],
            setting=None if setting is None else replace(setting, pin_memory=False),
            refuted_by=Bilingual(
                "Si con pin_memory=False la espera es la misma, no era fijar la memoria.",
                "If the wait is the same with pin_memory=False, it was not pinning.",
            ),
            experiment=Bilingual(
                "Mide unos segundos con pin_memory=False.", "Measure a few seconds with pin_memory=False."
            ),
        )
    ]


def device(desk: Desk) -> list[Draft]:
    """Copying to the device holds batches up: on the device's own clock."""
    ns = desk.waiting.copy_ns
    if not desk.notable(ns):
        return []
    why = Bilingual(
        "los lotes están hechos y esperan la copia. Es el {share} de la espera.",
        "batches are made, and wait for the copy. That is {share} of the wait.",
    ).format(share=share(desk.share(ns)))
    return [_copying(desk, ns, why)]


def in_step_ns(desk: Desk) -> int:
    """How long steps did nothing but copy their batch to the device, on the host's clock: their stage "transfer"."""
    excerpt = desk.excerpt
    marks = desk.grounds.warm(excerpt.on(excerpt.ended(Kind.STAGE), Role.CONSUMER))
    named = [number for number, name in excerpt.stages.items() if name == TRANSFER]
    marks = marks[np.isin(marks["value"], named)]
    return int((marks["end"] - marks["start"]).sum())


def device_in_step(desk: Desk) -> list[Draft]:
    """Steps copy their batch to the device themselves, and wait for it: no wait of the loop, but lost time."""
    ns, loop_ns = in_step_ns(desk), desk.grounds.loop_ns
    if not loop_ns or ns < STEP_SHARE * loop_ns or not len(desk.excerpt.of(Kind.COPY)):
        return []
    why = Bilingual(
        "la copia va dentro del paso y lo detiene el {share} del tiempo del bucle.",
        "the copy goes on within the step, and holds it up for {share} of the loop's time.",
    ).format(share=share(ns / loop_ns))
    return [_copying(desk, None, why)]


def _copying(desk: Desk, ns: int | None, why: Bilingual) -> Draft:
    copies = desk.excerpt.on(desk.excerpt.ended(Kind.COPY), Role.DEVICE)
    copied = desk.evidence(
        Bilingual("copiar un lote al dispositivo (su reloj)", "copying a batch to the device (its clock)"),
        "mean_ns",
        Kind.COPY,
    )
    largest = desk.evidence(Bilingual("el lote mayor", "the largest batch"), "max", Kind.COPY, unit="bytes")
    total = float((copies["end"] - copies["start"]).sum())
    speed = float(copies["value"].sum()) / total if total else 0.0
    parts = {
        "copy": duration(copied.value),
        "step": duration(desk.grounds.step_median_ns),
        "speed": number(speed),
        "size": size(largest.value),
        "why": why,
    }
    return desk.finding(
        Code.H2D_BOUND,
        ns,
        Bilingual(
            "Copiar un lote ({size}) al dispositivo lleva {copy}, a {speed} GB/s, y el paso {step}: {why}",
            "Copying a batch ({size}) to the device takes {copy}, at {speed} GB/s, and a step {step}: {why}",
        ).format(**parts),
        evidence=[desk.evidence(WAIT_NAME, "total_ns", Kind.WAIT_BATCH), copied, largest],
        advice=Bilingual(
            "Manda menos bytes: uint8 y convertir en el dispositivo, imágenes más pequeñas; con pin_memory=True y "
            "non_blocking=True la copia va junto al paso.",
            "Send fewer bytes: uint8, converted on the device, or smaller images; with pin_memory=True and "
            "non_blocking=True the copy goes on beside the step.",
        ),
        changes=[code_change("batch.to(device, non_blocking=True)", "batch.to(device, non_blocking=True)")],
        confidence=None if ns is not None else "high",
        refuted_by=Bilingual(
            "Si con lotes de la mitad de bytes no se gana nada, no es la copia.",
            "If half the bytes per batch win nothing, it is not the copy.",
        ),
        experiment=Bilingual(
            "Mide unos segundos con los mismos lotes ya en el dispositivo.",
            "Measure a few seconds with the same batches on the device already.",
        ),
    )
