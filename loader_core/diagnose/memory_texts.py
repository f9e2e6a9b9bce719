"""What memory, descriptors and shared memory are doing, in sentences of both languages."""

from __future__ import annotations

from loader_core.diagnose.bilingual import NOTHING, Bilingual, count, duration, number

TOO_LITTLE = Bilingual(
    "Medido muy pocas veces o durante muy poco tiempo para saber si la memoria crece.",
    "Measured too rarely, or for too short a time, to tell whether memory grows.",
)
_STEADY = Bilingual(
    "La memoria no crece: {used} propios de {who}.", "Memory does not grow: {used} held by {who} alone."
)
_GROWS = Bilingual(
    "La memoria de {who} crece {rate} por segundo (al menos {low}).",
    "The memory of {who} grows by {rate} per second (at least {low}).",
)
_ONE_PROCESS = Bilingual("un proceso", "one process")
_PROCESSES = Bilingual("{count} procesos", "{count} processes")
_UNTIL = Bilingual(
    " Los {left} que quedan se agotarán en {expected}{interval} si sigue así.",
    " The {left} left will be used up in {expected}{interval} if it goes on like this.",
)
_BETWEEN = Bilingual(" (entre {soonest} y {latest})", " (between {soonest} and {latest})")
_NOT_BEFORE = Bilingual(" (no antes de {soonest})", " (not before {soonest})")
_FILES_OPEN = Bilingual(
    "{label} es quien más descriptores tiene abiertos: {open}", "{label} has the most descriptors open: {open}"
)
_OF_LIMIT = Bilingual(" de {limit} posibles", " of {limit} possible")
_FILES_GROW = Bilingual(
    "{label}: {open} descriptores abiertos, {rate} más por segundo.",
    "{label}: {open} descriptors open, {rate} more per second.",
)
SHARED = Bilingual(
    "{most} lotes en camino de hasta {batch} ocupan {needed} de memoria compartida.",
    "{most} batches on their way of up to {batch} take up {needed} of shared memory.",
)
SHARED_FREE = Bilingual(" Quedan libres {free}.", " {free} are free.")


def _processes(number: int) -> Bilingual:
    return _ONE_PROCESS if number == 1 else _PROCESSES.format(count=count(number))


def memory_steady(processes: int, used: Bilingual) -> Bilingual:
    """That memory stays as it is."""
    return _STEADY.format(who=_processes(processes), used=used)


def memory_grows(processes: int, rate: Bilingual, low: Bilingual) -> Bilingual:
    """That memory grows."""
    return _GROWS.format(who=_processes(processes), rate=rate, low=low)


def until(times: tuple[int | None, int | None, int | None], *, left: Bilingual | None) -> Bilingual:
    """When it will be used up: (expected, soonest, latest) in nanoseconds, None where nothing can be told."""
    expected, soonest, latest = times
    if expected is None or left is None:
        return NOTHING
    interval = NOTHING
    if soonest is not None and latest is not None:
        interval = _BETWEEN.format(soonest=duration(soonest), latest=duration(latest))
    elif soonest is not None:
        interval = _NOT_BEFORE.format(soonest=duration(soonest))
    return _UNTIL.format(left=left, expected=duration(expected), interval=interval)


def files_open(label: str, opened: int, limit: int | None) -> Bilingual:
    """How many descriptors the process with the most has open."""
    text = _FILES_OPEN.format(label=label, open=count(opened))
    if limit is not None:
        text += _OF_LIMIT.format(limit=count(limit))
    return text + Bilingual.same(".")


def files_grow(label: str, opened: int, per_s: float) -> Bilingual:
    """That a process opens more and more descriptors."""
    return _FILES_GROW.format(label=label, open=count(opened), rate=number(per_s))
