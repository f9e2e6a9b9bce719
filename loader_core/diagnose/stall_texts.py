"""The sentence of a stall, in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loader_core.diagnose.bilingual import NOTHING, Bilingual, count, duration, listed
from loader_core.diagnose.journeys import PhaseName

if TYPE_CHECKING:
    from loader_core.diagnose.stalls import Stall

_WAITED = Bilingual(
    "El bucle esperó {wait} al lote {batch} (época {epoch})", "The loop waited {wait} for batch {batch} (epoch {epoch})"
)
_START_UP = Bilingual(
    ", el primero de la época: no podía estar listo de antemano",
    ", the first of the epoch: it could not be ready beforehand",
)

_CAUSES: dict[PhaseName, Bilingual] = {
    "draw": Bilingual(
        "durante {ns} aún no se había dado a ningún worker", "for {ns} of that no worker had been given it yet"
    ),
    "queue": Bilingual(
        "durante {ns} {worker} aún no había empezado con él", "for {ns} of that {worker} had not begun with it"
    ),
    "fetch": Bilingual("durante {ns} {worker} leía sus muestras", "for {ns} of that {worker} read its samples"),
    "collate": Bilingual("durante {ns} {worker} lo componía", "for {ns} of that {worker} put it together"),
    "send": Bilingual("durante {ns} {worker} lo enviaba", "for {ns} of that {worker} sent it"),
    "receive": Bilingual(
        "durante {ns} lo recibía el proceso principal", "for {ns} of that the main process received it"
    ),
    "pin": Bilingual(
        "durante {ns} se copiaba a memoria fijada", "for {ns} of that it was copied to page-locked memory"
    ),
    "copy": Bilingual("durante {ns} se copiaba al dispositivo", "for {ns} of that it was copied to the device"),
    "end": Bilingual("durante {ns} la época terminaba", "for {ns} of that the epoch came to its end"),
    "other": Bilingual(
        "de {ns} no quedó registrado qué pasaba con él", "what happened to it for {ns} of that was not recorded"
    ),
}
_WORKER = Bilingual("el worker {number}", "worker {number}")
_MAIN = Bilingual("el proceso principal", "the main process")
_SOMEBODY = Bilingual("su worker", "its worker")

_ITEM = Bilingual(", la muestra {sample} sola {ns}", ", sample {sample} alone {ns}")
_STAGE = Bilingual("; la etapa «{name}» tardó {ns}", "; stage “{name}” took {ns}")
_LATER = Bilingual(" Mientras tanto ya estaba listo el lote {batches}.", " Batch {batches} was ready meanwhile.")
_LATER_MANY = Bilingual(
    " Mientras tanto ya estaban listos los lotes {batches}.", " Batches {batches} were ready meanwhile."
)

ITEM_SHARE = 0.25
"""A sample is named with its stall from this share of its batch's samples' time on ..."""
ITEM_FACTOR = 2
"""... if it also took this many times what each would have taken, were all alike."""


def sentence(stall: Stall) -> Bilingual:
    """What happened, with its numbers."""
    text = _WAITED.format(wait=duration(stall.wait_ns), batch=count(stall.batch), epoch=stall.epoch)
    if stall.start_up:
        text += _START_UP
    text += Bilingual(": ", ": ") + _CAUSES[stall.cause].format(
        ns=duration(stall.phases[0].ns), worker=_who(stall.worker)
    )
    if stall.cause == "fetch":
        text += _within(stall)
    return text + Bilingual.same(".") + _meanwhile(stall)


def _who(worker: int | None) -> Bilingual:
    if worker is None:
        return _SOMEBODY
    return _MAIN if worker < 0 else _WORKER.format(number=worker)


def _within(stall: Stall) -> Bilingual:
    text = NOTHING
    item = stall.item
    if item is not None and item.sample is not None and item.share >= max(ITEM_SHARE, ITEM_FACTOR / item.of):
        text += _ITEM.format(sample=count(item.sample), ns=duration(item.duration_ns))
    if stall.stage is not None:
        text += _STAGE.format(name=stall.stage.name, ns=duration(stall.stage.total_ns))
    return text


def _meanwhile(stall: Stall) -> Bilingual:
    if not stall.ready_later:
        return NOTHING
    batches = listed([later.batch for later in stall.ready_later])
    return (_LATER if len(stall.ready_later) == 1 else _LATER_MANY).format(batches=batches)
