"""What a fault is: a loader that is slow, or in danger, for a reason that is known because we put it there.

A `Fault` makes a `Load` (a dataset, the arguments of a loader, a training step) at a strength, for an engine. A `Case`
names one of them, so that it can be made again in a process of its own (`loader_core.scenarios.faults.running`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from loader_core.diagnose.bilingual import Bilingual

Strength = Literal["mild", "clear", "severe"]
Engine = Literal["torch", "ours"]

STRENGTHS: tuple[Strength, ...] = ("mild", "clear", "severe")
ENGINES: tuple[Engine, ...] = ("torch", "ours")
"""torch's DataLoader seen by `observe`, and `loader_core`'s own."""

WAIT_SHARES: Mapping[Strength, float] = {"mild": 0.35, "clear": 0.55, "severe": 0.8}
"""Of the loop's time that it is meant to wait, where a fault makes it wait."""

Step = Callable[[Any], object]
"""Works on a batch."""


@dataclass(frozen=True)
class Load:
    """A loader to be made and a loop to be run, in the process that calls `Fault.make`."""

    dataset: Any
    arguments: Mapping[str, Any]
    """Of the DataLoader, by torch's names."""
    step: Step
    ours: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that torch's loader lacks."""
    seconds: float = 2.5
    """The loop ends after the first step that ends later."""
    epochs: int | None = None
    """It ends after so many, if that is sooner."""
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Entered before the loader is made, left after it is gone: limits, servers, threads beside the loop."""
    look_every_ns: int | None = None
    """How often memory and descriptors are looked at; None: as usual, which suits runs of minutes."""


@dataclass(frozen=True)
class Fault:
    """A known truth about a loader.

    `make` is called in a process of its own, and may write files into the folder that it is given. Where an engine
    cannot have this fault, `impossible` says why.
    """

    id: str
    code: str
    """What a verdict should find first: a value of `loader_core.diagnose.verdict_types.Code`."""
    about: Bilingual
    make: Callable[[Strength, Engine, Path], Load]
    impossible: Mapping[Engine, Bilingual] = field(default_factory=dict)
    also_right: tuple[str, ...] = ()
    """Codes that say the same truth in other words. An answer with one of them is counted, and told apart."""
    strengths: tuple[Strength, ...] = STRENGTHS
    ranks: int = 1
    """Processes that train together, each with a loader of its own."""
    heavy: bool = False
    """Takes more than some ten seconds to record, or much of the machine."""

    def engines(self) -> tuple[Engine, ...]:
        """Those that can have it."""
        return tuple(engine for engine in ENGINES if engine not in self.impossible)

    def case(self, strength: Strength, engine: Engine, folder: Path) -> Case:
        """One of its cases; `folder` is for its files. Raises ValueError where the engine cannot have it."""
        if engine in self.impossible:
            raise ValueError(f"{self.id} cannot be had with {engine}: {self.impossible[engine].en}")
        return Case(self.id, strength, engine, folder)


@dataclass(frozen=True, slots=True)
class Case:
    """A fault at a strength on an engine."""

    fault: str
    """Its id."""
    strength: Strength
    engine: Engine
    folder: Path
    """For its files: large ones are made once and used again."""

    def __str__(self) -> str:
        return f"{self.fault}/{self.strength}/{self.engine}"
