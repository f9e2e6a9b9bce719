"""run.json: what a run is, said once when it begins and amended until it ends."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader_core.errors import NewerSchema, TraceError
from loader_core.trace.event import SCHEMA_VERSION
from loader_core.trace.segment import newer_schema

RUN_FILE = "run.json"
LIVE_STATES = frozenset({"starting", "running"})
"""States of a run that goes on, as far as it could say itself."""


@dataclass(frozen=True, slots=True)
class RunHeader:
    """run.json, typed. What an older or damaged file does not say is empty."""

    id: str
    name: str
    state: str
    """starting, running, finished, stopped, failed or interrupted. A pause is no state: the control page has it."""
    reason: str
    """Why it failed or was interrupted, in a sentence."""
    schema: int
    pid: int
    rank: int
    clock_perf_ns: int
    """`perf_counter_ns` of the run's host at run time 0."""
    clock_unix_ns: int
    """The same moment in nanoseconds since 1970."""
    started_unix_ns: int
    ended_unix_ns: int | None
    host: dict[str, Any]
    versions: dict[str, str]
    settings: dict[str, Any] | None
    classes: list[str]
    changes: list[dict[str, Any]]
    """Settings changed while the run went on: number, at_ns (run time), fields, restarted_loader."""
    script: dict[str, Any] | None
    """Of an observed script: group, argv, cwd, site, loader, rank. None for a run that no script made."""
    loader: dict[str, Any] | None
    """Of an observed loader: its arguments as plain values, such as batch_size and num_workers."""
    absent: dict[str, str]
    """Of an observed loader: kinds of events that could not be measured, each with the reason."""

    @property
    def live(self) -> bool:
        """The run goes on, as far as it could say itself. Whether its process lives is for the server to know."""
        return self.state in LIVE_STATES


def read_run_file(directory: Path) -> RunHeader:
    """The header of the run in `directory`. Raises TraceError (NewerSchema), with the reason in words."""
    path = directory / RUN_FILE
    try:
        said = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise TraceError(f"{directory} is not a run directory: it has no {RUN_FILE}") from error
    except (OSError, ValueError) as error:
        raise TraceError(f"{path} cannot be read: {error}") from error
    if not isinstance(said, dict):
        raise TraceError(f"{path} cannot be read: it holds a {type(said).__name__}, not an object")
    try:
        return _header(said, path)
    except (TypeError, ValueError, AttributeError) as error:
        raise TraceError(f"{path} cannot be read: {error}") from error


def _header(said: dict[str, Any], path: Path) -> RunHeader:
    schema = int(said.get("schema", 0))
    if schema > SCHEMA_VERSION:
        raise NewerSchema(newer_schema(str(path), schema))
    clock = said.get("clock") or {}
    ended = said.get("ended_unix_ns")
    return RunHeader(
        id=str(said.get("id", path.parent.name)),
        name=str(said.get("name", "")),
        state=str(said.get("state", "interrupted")),
        reason=str(said.get("reason", "")),
        schema=schema,
        pid=int(said.get("pid", 0)),
        rank=int(said.get("rank", 0)),
        clock_perf_ns=int(clock.get("perf_ns", 0)),
        clock_unix_ns=int(clock.get("unix_ns", 0)),
        started_unix_ns=int(said.get("started_unix_ns", 0)),
        ended_unix_ns=None if ended is None else int(ended),
        host=dict(said.get("host") or {}),
        versions=dict(said.get("versions") or {}),
        settings=said.get("settings"),
        classes=[str(name) for name in said.get("classes") or ()],
        changes=list(said.get("changes") or ()),
        script=_object(said.get("script")),
        loader=_object(said.get("loader")),
        absent=dict(said.get("absent") or {}),
    )


def _object(said: Any) -> dict[str, Any] | None:
    return said if isinstance(said, dict) else None


def write_run_file(directory: Path, said: dict[str, Any]) -> None:
    """Replace run.json at once: a reader sees the old one or the new one, never half of one. Raises OSError."""
    unfinished = directory / f"{RUN_FILE}.{os.getpid()}.new"
    try:
        unfinished.write_text(json.dumps(said, indent=1, default=str))
        os.replace(unfinished, directory / RUN_FILE)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
