"""The verdict as values that JSON can hold. Schema 1; docs/reports.md describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loader_core.diagnose.verdict_types import Verdict, as_plain
from loader_core.trace.run_file import read_run_file

SCHEMA = 1
"""Raised when a field changes its meaning or is taken away; new fields may come at any time."""


def verdict_report(directory: Path, verdict: Verdict) -> dict[str, Any]:
    """`{schema, run, verdict}`. Raises TraceError."""
    run = read_run_file(directory)
    return {
        "schema": SCHEMA,
        "run": {
            "id": directory.name,
            "name": run.name,
            "state": run.state,
            "reason": run.reason,
            "started_unix_ns": run.started_unix_ns,
            "versions": run.versions,
        },
        "verdict": as_plain(verdict),
    }
