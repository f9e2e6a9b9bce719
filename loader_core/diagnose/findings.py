"""A finding of the linter: something wrong with what a loader delivers, whatever its speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loader_core.diagnose.bilingual import Bilingual

LintCode = Literal[
    "DUPLICATED_INDEX",
    "MISSING_INDEX",
    "SAME_RANDOM_STREAM",
    "NO_SET_EPOCH",
    "REPEATED_STREAM",
    "IDLE_WORKER",
    "MANY_TENSORS",
    "PAGE_FAULTS",
    "MEMORY_GROWTH",
    "FILES_NEAR_LIMIT",
]

LintLevel = Literal["error", "warning", "note"]
"""error: what the model learns from is not what it should be. warning: it probably is not, or the run will fail.
note: something is wasted."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number that a finding rests on."""

    name: Bilingual
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class LintFinding:
    """Something wrong with what the loader delivers."""

    code: LintCode
    level: LintLevel
    sentence: Bilingual
    """The whole finding, with its numbers."""
    seen: Bilingual
    """How it was seen."""
    advice: Bilingual
    """What to change."""
    evidence: list[Amount]
    workers: list[int]
    """The workers that it is about; empty: all, or none in particular."""
    epoch: int | None
    """The epoch in which it was first seen."""
