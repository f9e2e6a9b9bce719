"""Names of stages and of places in code. An event has room for a number only, so each name stands once, in a file.

The number is the name's CRC-32: processes agree on it without talking, and whoever first uses a name appends a line.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NameTable:
    """A kind of names, and the bounds on them."""

    filename: str
    most: int
    """Names that one writer makes known. Those beyond are recorded all the same, and shown by their number."""
    longest: int
    """Characters of a name that are kept."""


STAGES = NameTable("stages", most=256, longest=80)
"""Values of STAGE events."""

PLACES = NameTable("places", most=2_048, longest=300)
"""Values of STACK events: `file:line function | source line`."""


def name_number(name: str) -> int:
    """The value of the events of that name."""
    return zlib.crc32(name.encode())


class Names:
    """What a writer has made known of its names. Used by the thread that writes."""

    def __init__(self, directory: Path, table: NameTable) -> None:
        self._path = directory / table.filename
        self._table = table
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a name, made known to readers when it is new here. A full disk leaves it without a name."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = name_number(name)
            if len(self._numbers) <= self._table.most:
                self._make_known(name, number)
        return number

    def _make_known(self, name: str, number: int) -> None:
        line = f"{number:08x} {' '.join(name.split())[: self._table.longest]}\n".encode()
        with suppress(OSError):
            # One write of one line: appends of several processes do not mix.
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)


class NameFile:
    """The run's file of such names, read from where the last look ended."""

    def __init__(self, directory: Path, table: NameTable) -> None:
        self._path = directory / table.filename
        self._read = 0

    def take(self) -> dict[int, str]:
        """Names made known since the last call, by number. A line that is still being written waits."""
        try:
            with self._path.open("rb", buffering=0) as file:
                file.seek(self._read)
                appended = file.read()
        except FileNotFoundError:
            return {}
        whole = appended[: appended.rfind(b"\n") + 1]
        self._read += len(whole)
        names = {}
        for line in whole.decode(errors="replace").splitlines():
            number, _, name = line.partition(" ")
            with suppress(ValueError):
                names[int(number, 16)] = name
        return names
