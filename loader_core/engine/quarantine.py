"""Samples that could not be had, with `on_error="skip"`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from loader_core.engine.task import BadSample
from loader_core.errors import QuarantineFull


@dataclass(slots=True)
class Quarantine:
    """Which samples raised, what, and how often. At most `budget` different samples; past that it raises.

    Iterating gives `(BadSample, count)`, in the order in which they were first seen.
    """

    budget: int
    _bad: dict[str, tuple[BadSample, int]] = field(default_factory=dict)

    def add(self, bad: BadSample) -> None:
        """Note that a sample raised. Raises QuarantineFull past the budget."""
        which = repr(bad.index)  # without automatic batches it may be a list
        _, count = self._bad.get(which, (bad, 0))
        self._bad[which] = (bad, count + 1)
        if len(self._bad) > self.budget:
            raise QuarantineFull(
                f"{len(self._bad)} samples could not be had, more than error_budget={self.budget}. The last is sample "
                f"{bad.index!r}: {bad.error}: {bad.message}. Mend the dataset, or allow more."
            )

    def __len__(self) -> int:
        return len(self._bad)

    def __iter__(self) -> Iterator[tuple[BadSample, int]]:
        return iter(self._bad.values())
