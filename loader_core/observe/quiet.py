"""Failures inside observation stay inside: said once on the log, and the training goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

from loader_core.start import swallow

P = ParamSpec("P")
T = TypeVar("T")


class Breakable(Protocol):
    """Something that observes, until it fails once."""

    broken: bool


B = TypeVar("B", bound=Breakable)


def or_else(default: T) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function that looks something up fail in silence: `default` then."""

    def guarding(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except Exception:  # noqa: BLE001 - as below
                swallow("observing a DataLoader")
                return default

        return guarded

    return guarding


def quietly(method: Callable[Concatenate[B, P], None]) -> Callable[Concatenate[B, P], None]:
    """Let a method fail in silence: its object is `broken` then, and all its quiet methods do nothing any more."""

    def guarded(self: B, *args: P.args, **kwargs: P.kwargs) -> None:
        if self.broken:
            return
        try:
            method(self, *args, **kwargs)
        except Exception:  # noqa: BLE001 - whatever it is, it is ours and not the training's
            self.broken = True
            swallow("observing a DataLoader")

    return cast("Callable[Concatenate[B, P], None]", wraps(method)(guarded))
