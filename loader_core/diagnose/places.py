"""Lines of the user's code that hold the time of FETCH, from samples of the workers' stacks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.rows import Rows
from loader_core.diagnose.trends import Z_95
from loader_core.trace.event import Kind


@dataclass(frozen=True, slots=True)
class PlaceShare:
    """One line of code, and how much of FETCH was spent at it (and in what it calls)."""

    place: str
    """file:line"""
    function: str
    source: str
    """The line itself."""
    seen: int
    """How often a worker was found there."""
    share: float
    """Of FETCH, 0..1."""
    low: float
    high: float
    """The interval that holds the share with 95 % (Wilson's, of a proportion)."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where in the user's code the time of FETCH goes, estimated by looking at the workers now and then."""

    seen: int
    """Looks at workers that were in FETCH."""
    outside: int
    """Looks at workers that were not: they count for nothing."""
    places: list[PlaceShare]
    """Most first."""


MAX_PLACES = 40
"""Lines that are listed: those that hold most."""
MIN_SHARE = 0.005
"""Of FETCH: a line that holds less is not listed."""


def place_shares(excerpt: Excerpt) -> Places | None:
    """Which lines hold the time of FETCH in the window; None if no stacks were looked at."""
    looks = excerpt.ended(Kind.STACK)
    if not len(looks):
        return None
    inside = _in_fetch(excerpt, looks)
    values, counts = np.unique(looks["value"][inside], return_counts=True)
    seen = int(inside.sum())
    most = np.argsort(-counts, kind="stable")[:MAX_PLACES]
    most = most[counts[most] >= MIN_SHARE * seen]
    shares = [_share(excerpt.places.get(int(values[number]), ""), int(counts[number]), seen) for number in most]
    return Places(seen, len(looks) - seen, shares)


def _in_fetch(excerpt: Excerpt, looks: Rows) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of `looks` came while their worker was in FETCH."""
    inside = np.zeros(len(looks), np.bool_)
    fetches = excerpt.of(Kind.FETCH)
    for lane in np.unique(looks["lane"]):
        of_lane = np.flatnonzero(looks["lane"] == lane)
        spans = fetches[fetches["lane"] == lane]
        if not len(spans):
            continue
        at = looks["start"][of_lane]
        place = np.searchsorted(spans["start"], at, "right") - 1
        inside[of_lane] = (place >= 0) & (at <= spans["end"][place])
    return inside


def _share(text: str, count: int, seen: int) -> PlaceShare:
    where, _, source = text.partition(" | ")
    place, _, function = where.partition(" ")
    low, high = wilson(count, seen)
    return PlaceShare(place, function, source, count, count / seen, low, high)


def wilson(count: int, of: int, *, z: float = Z_95) -> tuple[float, float]:
    """The interval that holds a proportion of which `count` of `of` looks were seen, with 95 %.

    E. B. Wilson (1927), J. Am. Stat. Assoc. 22, 209: unlike the textbook's interval it is right for few looks and for
    proportions near 0 and 1. It takes looks to be independent, as they are when they come at their own rhythm.
    """
    if of == 0:
        return 0.0, 1.0
    share, squared = count / of, z * z / of
    centre = (share + squared / 2) / (1 + squared)
    half = z / (1 + squared) * math.sqrt(share * (1 - share) / of + squared / (4 * of))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
