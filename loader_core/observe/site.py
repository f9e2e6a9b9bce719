"""Where in the user's code a loader was made: the name by which he knows it."""

from __future__ import annotations

import linecache
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_LIBRARIES = ("site-packages", "dist-packages")
"""Folders of installed packages, on every system."""

_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - frames have strings, and there are many
_OURS = str(Path(__file__).resolve().parents[1]) + os.sep

_ASSIGNED = re.compile(r"\s*(?:[\w.]+\.)?(\w+)\s*(?::[^=]+)?=[^=]")
_PURPOSE = re.compile(r"train|val|eval|test|predict")
_TYPED = ("<stdin>", "<string>")
"""What a program that was given as text is called: the user's code all the same."""


@dataclass(frozen=True, slots=True)
class Site:
    """The line that made a loader."""

    file: str
    line: int
    what: str
    """What the user calls it: the variable that it is assigned to, or the function that returns it; or which of its
    loaders a library made, such as "eval"; "" where nothing tells."""
    direct: bool
    """The user's own code made it, and no library on his behalf."""

    @property
    def place(self) -> str:
        """`train.py:41`: below the working directory with its folders, elsewhere without."""
        path = Path(self.file)
        if path.is_absolute():
            here = Path.cwd()
            path = path.relative_to(here) if path.is_relative_to(here) else Path(path.name)
        return f"{path}:{self.line}"

    def __str__(self) -> str:
        return f"{self.place} {self.what}".rstrip()


def site_of_caller() -> Site:
    """The first line outside of installed packages, torch and the standard library among the callers of the caller;
    if there is none, the first outside of torch.
    """
    library: FrameType | None = None
    purpose = ""
    for frame in _callers(sys._getframe(1)):
        name = frame.f_code.co_filename
        if _is_users(name):
            return _site(frame, purpose, direct=library is None)
        if not name.startswith((_OURS, "<")) and not _is_torchs(name):
            library = library or frame
            purpose = purpose or _purpose(frame)
    return _site(library or sys._getframe(1), purpose, direct=False)


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_users(name: str) -> bool:
    if name.startswith("<"):
        return name in _TYPED
    if name.startswith((_OURS, _STANDARD_LIBRARY)):
        return False
    return not any(folder in name for folder in _LIBRARIES) and not _is_torchs(name)


def _is_torchs(name: str) -> bool:
    torch = sys.modules.get("torch")
    home = os.path.dirname(getattr(torch, "__file__", None) or "")  # noqa: PTH120
    return bool(home) and name.startswith(home + os.sep)


def _site(frame: FrameType, purpose: str, *, direct: bool) -> Site:
    code, line = frame.f_code, frame.f_lineno
    what = purpose
    if direct:
        assigned = _ASSIGNED.match(linecache.getline(code.co_filename, line, frame.f_globals))
        what = assigned[1] if assigned else ("" if code.co_name.startswith("<") else code.co_name)
    return Site(code.co_filename, line, what, direct)


def _purpose(frame: FrameType) -> str:
    found = _PURPOSE.search(frame.f_code.co_name)
    return found[0] if found else ""
