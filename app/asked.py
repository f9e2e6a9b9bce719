"""What commands have in common: options that several of them take, the settings that these come to, and a named run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.settings import Settings
from loader_core.trace.run_file import RUN_FILE


class UsageError(Exception):
    """The command cannot be followed. The text says why and what to do."""


def add_home(parser: argparse.ArgumentParser) -> None:
    """The option that says where recordings are."""
    parser.add_argument("--home", type=Path, help="folder of the recordings (LOADERSCOPE_HOME)")


def add_data(parser: argparse.ArgumentParser) -> None:
    """The option for the user's own samples."""
    parser.add_argument(
        "--data", type=Path, action="append", metavar="DIR", help="your own samples; may be given several times"
    )


def add_lang(parser: argparse.ArgumentParser) -> None:
    """The option for the language of what is printed."""
    parser.add_argument("--lang", choices=["es", "en"], help="language (that of the locale)")


def settings_of(options: argparse.Namespace) -> Settings:
    """The environment's settings with what the command line says. Raises ValidationError."""
    given: dict[str, Any] = {
        name: value for name in ("home", "host", "port") if (value := getattr(options, name, None)) is not None
    }
    if getattr(options, "data", None):
        given["data"] = tuple(options.data)
    if getattr(options, "embed", None):
        given["embed"] = frozenset(options.embed)
    return Settings(**given)


@contextmanager
def writing(target: str) -> Iterator[None]:
    """What is written inside goes to this file. Raises UsageError where that cannot be."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}") from error


def find_run(text: str, settings: Settings) -> Path:
    """The directory of a run, named by its id or by its path. Raises UsageError."""
    for directory in (settings.runs_home / text, Path(text)):
        if (directory / RUN_FILE).is_file():
            return directory.resolve()
    raise UsageError(f"there is no run {text!r}: neither in {settings.runs_home} nor as a directory with {RUN_FILE}")
