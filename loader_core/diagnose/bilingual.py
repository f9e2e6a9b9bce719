"""Texts in both languages of the page, and the numbers in them.

A finding is said once, where it is made, in whole sentences: a translation of parts put together elsewhere reads like
one. Numbers are written as each language writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bilingual:
    """A text in both languages of the page."""

    es: str
    en: str

    @classmethod
    def same(cls, text: str) -> Bilingual:
        """A text that is the same in both: a name, a path, a line of code."""
        return cls(text, text)

    @property
    def is_code(self) -> bool:
        """Whether it is the same in both languages, as code is."""
        return self.es == self.en

    def __add__(self, other: Bilingual) -> Bilingual:
        return Bilingual(self.es + other.es, self.en + other.en)

    def format(self, **parts: object) -> Bilingual:
        """The text with `{name}` replaced by each part; a part that is Bilingual by its own language."""
        return Bilingual(
            self.es.format(**{name: _in(part, "es") for name, part in parts.items()}),
            self.en.format(**{name: _in(part, "en") for name, part in parts.items()}),
        )


def _in(part: object, lang: str) -> str:
    return str(getattr(part, lang)) if isinstance(part, Bilingual) else str(part)


NOTHING = Bilingual("", "")


def number(value: float, digits: int = 3) -> Bilingual:
    """A number of so many significant digits, without an exponent: 12,345 in English is 12.345 in Spanish."""
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 10 ** (digits - 1) or rounded == int(rounded):
        text = f"{rounded:,.0f}"
    else:
        text = f"{rounded:.{digits + 3}f}".rstrip("0").rstrip(".")
    return Bilingual(text.translate(str.maketrans(",.", ".,")), text)


def count(value: int) -> Bilingual:
    """A whole number, all of its digits."""
    text = f"{value:,}"
    return Bilingual(text.replace(",", "."), text)


def duration(ns: float) -> Bilingual:
    """A duration of three digits in the unit that suits it: 1.23 ms, 4.5 s, 2 h 5 min."""
    if ns >= 3_600e9:
        hours, minutes = divmod(round(ns / 60e9), 60)
        return Bilingual.same(f"{hours} h {minutes} min")
    for unit, factor in (("min", 60e9), ("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= (2 if unit == "min" else 1) * factor or unit == "µs":
            return number(ns / factor) + Bilingual.same(f" {unit}")
    raise AssertionError("unreachable: the last unit takes all")


def size(nbytes: float) -> Bilingual:
    """A number of bytes of three digits: 1.5 MB. Decimal units, as on the page, and as storage and buses are sold."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(nbytes) >= factor:
            return number(nbytes / factor) + Bilingual.same(f" {unit}")
    return number(nbytes) + Bilingual.same(" B")


def share(part: float) -> Bilingual:
    """A share of 0..1 in percent: 61 %."""
    return number(100 * part, 2) + Bilingual.same(" %")


def listed(values: Sequence[int], *, most: int = 8) -> Bilingual:
    """Whole numbers in a sentence: 0, 1 and 3; of more than `most` the first ones and how many more."""
    names = [str(value) for value in values[:most]]
    if len(values) > most:
        more = len(values) - most
        return Bilingual(f"{', '.join(names)} y {more} más", f"{', '.join(names)} and {more} more")
    if len(names) < 2:
        return Bilingual.same("".join(names))
    head = ", ".join(names[:-1])
    return Bilingual(f"{head} y {names[-1]}", f"{head} and {names[-1]}")
