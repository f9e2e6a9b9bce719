"""What the tests of the run store share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from app.host import Host
from app.runs import RunStore
from app.settings import Settings
from app.wire import RunSettings, RunSummary

ENDLESS = RunSettings(dataset="gapminder", consumer="step", step_ms=5, seconds=0)
DEADLINE_S = 30.0


@asynccontextmanager
async def opened(settings: Settings, **options: Any) -> AsyncIterator[RunStore]:
    async with RunStore(settings, Host(settings.data), **options) as store:
        yield store


async def until(store: RunStore, run_id: str, holds: Callable[[RunSummary], bool]) -> RunSummary:
    """The run's summary as soon as `holds` of it."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds(summary := store.summary(run_id)):
        assert time.monotonic() < deadline, f"after {DEADLINE_S:g} s it is {summary}"
        assert summary.state != "failed", summary.reason
        await asyncio.sleep(0.05)  # a poll with a deadline: what the run writes is read once a second
    return summary


async def end_of(store: RunStore, run_id: str) -> RunSummary:
    return await asyncio.wait_for(store.ended(run_id), DEADLINE_S)
