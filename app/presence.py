"""How the commands of a user find the server that he has running: a note in the folder of the recordings.

The note can be read by its owner alone. It holds the server's token only if that was made for this one start; a token
that was chosen stays where it was chosen.
"""

from __future__ import annotations

import contextlib
import json
import os
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from app.settings import Settings, is_loopback
from loader_core.trace.home import NOTE

ANSWER_S = 5.0
"""How long a server may take to answer; one that takes longer counts as gone."""


class Note(BaseModel):
    """Where a server is, and by what token it lets in."""

    model_config = ConfigDict(frozen=True)

    pid: int
    address: str
    token: str = ""
    embed: tuple[str, ...] = ()
    """Origins whose pages may show it in a frame."""


@contextlib.contextmanager
def announced(settings: Settings, address: str) -> Iterator[None]:
    """Leave the note while the block lasts. A server that others can reach leaves none, nor one whose disk is full."""
    path = settings.home / NOTE
    token = settings.token.get_secret_value() if settings.token_was_made else ""
    note = Note(pid=os.getpid(), address=address, token=token, embed=tuple(sorted(settings.embed)))
    if is_loopback(settings.host):
        with contextlib.suppress(OSError):
            _write(path, note)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if _read(path) == note:  # a server that was started later has written its own
                path.unlink()


def running_server(settings: Settings) -> tuple[str, str] | None:
    """The address and the token of a server that shows this folder's runs and lets us in; None where there is none."""
    note = _read(settings.home / NOTE)
    if note is None:
        return None
    for token in (note.token, "" if settings.token_was_made else settings.token.get_secret_value()):
        if token and ask(note.address, "/api/capabilities", token) is not None:
            return note.address, token
    return None


def ticket(address: str, token: str) -> str | None:
    """A stand-in for the token that works once: what a browser is started with. None when the server refuses."""
    answer = ask(address, "/api/tickets", token, method="POST")
    return None if answer is None else str(answer["ticket"])


def ask(address: str, path: str, token: str, *, method: str = "GET") -> dict[str, Any] | None:
    """What the server answers, as JSON; None for anything but an answer."""
    request = urllib.request.Request(  # noqa: S310 - the address is http, of this machine
        address + path, method=method, headers={"authorization": f"Bearer {token}"}
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=ANSWER_S) as answer:
            found = json.load(answer)
    except (OSError, HTTPException, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _read(path: Path) -> Note | None:
    try:
        note = Note.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return note if note.address.startswith("http://") else None


def _write(path: Path, note: Note) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f"{NOTE}.{os.getpid()}.new")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(handle, "w", encoding="utf-8") as file:
        file.write(note.model_dump_json())
    os.replace(unfinished, path)
