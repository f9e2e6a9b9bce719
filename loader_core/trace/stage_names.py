"""Names of stages. An event has room for a number only, so the names stand once, in the run's `stages` file.

The number is the name's CRC-32: processes agree on it without talking, and whoever first uses a name appends a line.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path

FILENAME = "stages"

MAX_STAGE_NAMES = 256
"""Names that one recorder makes known. Stages beyond are recorded all the same, and shown by their number."""

_MAX_NAME = 80


def stage_number(name: str) -> int:
    """The value of the STAGE events of that name."""
    return zlib.crc32(name.encode())


class StageNames:
    """What a recorder has made known of its stages. Used by the recorder's thread."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILENAME
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a stage, made known to readers when it is new here. A full disk leaves it without a name."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = stage_number(name)
            if len(self._numbers) <= MAX_STAGE_NAMES:
                self._make_known(name, number)
        return number

    def _make_known(self, name: str, number: int) -> None:
        line = f"{number:08x} {' '.join(name.split())[:_MAX_NAME]}\n".encode()
        with suppress(OSError):
            # One write of one line: appends of several processes do not mix.
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)


class StageFile:
    """The run's `stages` file, read from where the last look ended."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILENAME
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
