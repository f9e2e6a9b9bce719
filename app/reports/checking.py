"""Limits that a run is held to: what `loaderscope check` and the pytest marker ask."""

from __future__ import annotations

from dataclasses import dataclass

from loader_core.diagnose.bilingual import Bilingual, number, share
from loader_core.diagnose.verdict_types import Code, Verdict


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run must keep. None: not asked. Raises ValueError for a code that there is none of."""

    max_wait_share: float | None = None
    min_samples_per_s: float | None = None
    forbid: tuple[str, ...] = ()
    """Codes of findings, in either case."""

    def __post_init__(self) -> None:
        if self.max_wait_share is not None and not 0 <= self.max_wait_share <= 1:
            raise ValueError(f"a share of waiting lies between 0 and 1, or 0% and 100%: {self.max_wait_share}")
        for code in self.forbid:
            if code.lower() not in {known.value for known in Code}:
                raise ValueError(f"there is no finding {code!r}: {', '.join(known.name for known in Code)}")


def share_of(text: str) -> float:
    """A share as people write it: 10% or 0.1. Raises ValueError."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no share: write 10% or 0.1") from None


_NO_WAIT = Bilingual("No se sabe cuánto esperó el bucle: ", "How long the loop waited is not known: ")
_WAITS = Bilingual(
    "El bucle espera el {share} de su tiempo, más que el {limit} permitido. ",
    "The loop waits for {share} of its time, more than the {limit} allowed. ",
)
_NO_RATE = Bilingual("Las muestras por segundo no se midieron.", "Samples per second were not measured.")
_SLOW = Bilingual(
    "Da {rate} muestras por segundo, menos que las {limit} pedidas. ",
    "It gives {rate} samples per second, fewer than the {limit} asked for. ",
)
_FORBIDDEN = Bilingual("{code}: {sentence}", "{code}: {sentence}")


def failures(verdict: Verdict, limits: Limits) -> list[Bilingual]:
    """Which limits a run does not keep, a sentence each. What cannot be told is not kept."""
    failed, top = [], verdict.top()
    if limits.max_wait_share is not None:
        if top.code is Code.HANG:  # how long it would have waited nobody knows
            failed.append(top.sentence)
        elif verdict.wait_share is None or (top.code is Code.UNDETERMINED and not verdict.steps):
            failed.append(_NO_WAIT + top.sentence)
        elif verdict.wait_share > limits.max_wait_share:
            parts = {"share": share(verdict.wait_share), "limit": share(limits.max_wait_share)}
            failed.append(_WAITS.format(**parts) + top.sentence)
    if limits.min_samples_per_s is not None:
        if verdict.samples_per_s is None:
            failed.append(_NO_RATE)
        elif verdict.samples_per_s < limits.min_samples_per_s:
            parts = {"rate": number(verdict.samples_per_s), "limit": number(limits.min_samples_per_s)}
            failed.append(_SLOW.format(**parts) + top.sentence)
    forbidden = {code.lower() for code in limits.forbid}
    failed += [
        _FORBIDDEN.format(code=finding.code.name, sentence=finding.sentence)
        for finding in verdict.findings
        if finding.code.value in forbidden
    ]
    return failed
