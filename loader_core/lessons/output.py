"""What a program prints, kept up to a bound."""

from __future__ import annotations

import io

from loader_core.lessons.log import MAX_OUTPUT


class Output(io.TextIOBase):
    """Stands in for standard output and error. Past `MAX_OUTPUT` characters what is written is left out."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._room = MAX_OUTPUT
        self.is_full = False
        """Whether something was left out."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Keeps `text`, or what of it there is room for."""
        self.is_full = self.is_full or len(text) > self._room
        piece = text[: self._room]
        self._room -= len(piece)
        if piece:
            self._pieces.append(piece)
        return len(text)

    def take(self) -> str:
        """What was written since the last call."""
        text = "".join(self._pieces)
        self._pieces.clear()
        return text
