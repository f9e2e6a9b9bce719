"""Sweeps: two parameters of a run tried in all their combinations, one short run after the other.

A sweep is its runs: each is named after the sweep and its cell, so that the list of runs shows it, a server that was
restarted finds it again, and deleting its runs deletes it. In memory is only the job of the one that goes on.

The cells are tried in a shuffled order: a host that gets warmer or busier meanwhile then makes all of them less sure,
and does not look like an effect of a parameter. No cell begins while another run of this server goes on.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from app.host import Host
from app.problems import ConflictError, NotFoundError, RequestError
from app.runs import RunStore
from app.sweep_wire import MAX_CELLS, PARAMETERS, Sweep, SweepAxis, SweepCell, SweepRequest, SweepValue
from app.wire import Dials, RunSettings, RunSummary
from loader_core.diagnose.rates import RATE_KINDS, Rate, steady_rate, told_apart
from loader_core.errors import TraceError

log = logging.getLogger(__name__)

RUN_NAME = re.compile(r"sweep ([0-9a-f]{4}): ([\w.]+)=[^,]*, ([\w.]+)=[^,]*")

NAME_LENGTH = 80

START_S = 5.0
"""What a run takes before its first batch, until the first cell has told."""
LIMIT_S = 120.0
"""How long a cell may take beyond its seconds; then it is stopped."""
LOOK_S = 0.5
"""How often it is looked whether another run has ended."""

_Place = tuple[SweepValue, SweepValue]


@dataclass
class _Job:
    """The sweep that goes on, or the last one that did."""

    id: str
    request: SweepRequest
    order: list[_Place]
    started_unix_ns: int = field(default_factory=time.time_ns)
    began_s: float = field(default_factory=time.monotonic)
    done: int = 0
    refused: dict[_Place, str] = field(default_factory=dict)
    """Why cells could not even begin."""
    waits_for: str = ""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self.task is not None and not self.task.done()


class Sweeps:
    """All sweeps, one of which may go on. Belongs to the event loop."""

    def __init__(self, store: RunStore, host: Host) -> None:
        self._store = store
        self._host = host
        self._job: _Job | None = None
        self._rates: dict[str, Rate | None] = {}
        """Of runs that have ended."""

    # --- doing --------------------------------------------------------------------------------------------------------

    async def start(self, request: SweepRequest) -> Sweep:
        """Begins a sweep. Raises RequestError for what cannot be followed, ConflictError while one goes on."""
        places = check(request)
        for place in places:
            await self._host.check(cell_settings(request, place, ""))
        if self._job is not None and self._job.running:
            raise ConflictError(
                f"the sweep {self._job.id} is going on: cancel it first, or wait for its end", code="sweep_running"
            )
        known = set(self._by_sweep())
        sweep_id = secrets.token_hex(2)
        while sweep_id in known:
            sweep_id = secrets.token_hex(2)
        random.Random(sweep_id).shuffle(places)
        job = self._job = _Job(sweep_id, request, places)
        job.task = asyncio.create_task(self._work(job))
        return await self.sweep(sweep_id)

    async def cancel(self, sweep_id: str) -> Sweep:
        """Ends a sweep; what it has measured stays. Raises NotFoundError, ConflictError when it has ended."""
        job = self._job
        if job is None or job.id != sweep_id or not job.running:
            await self.sweep(sweep_id)  # there is one at all
            raise ConflictError(f"the sweep {sweep_id} has ended", code="sweep_ended")
        job.cancelled.set()
        for run in self._by_sweep().get(sweep_id, []):
            if run.live:
                await self._stop(run.id)
        assert job.task is not None
        await asyncio.wait([job.task])
        return await self.sweep(sweep_id)

    async def delete(self, sweep_id: str) -> None:
        """Deletes the runs of a sweep that has ended. Raises NotFoundError, ConflictError."""
        if self._job is not None and self._job.id == sweep_id:
            if self._job.running:
                raise ConflictError(f"the sweep {sweep_id} is going on: cancel it first", code="sweep_running")
            self._job = None
        elif sweep_id not in self._by_sweep():
            raise _unknown(sweep_id)
        for run in self._by_sweep().get(sweep_id, []):
            await self._store.delete(run.id)
            self._rates.pop(run.id, None)

    async def close(self) -> None:
        """Ends the job; its run is ended by the store. Idempotent."""
        if self._job is not None and self._job.task is not None:
            self._job.task.cancel()
            await asyncio.wait([self._job.task])

    # --- looking ------------------------------------------------------------------------------------------------------

    async def all(self) -> list[Sweep]:
        """All sweeps, newest first."""
        ids = list(self._by_sweep())
        if self._job is not None and self._job.running and self._job.id not in ids:
            ids.insert(0, self._job.id)
        return [await self.sweep(sweep_id) for sweep_id in ids]

    async def sweep(self, sweep_id: str) -> Sweep:
        """One sweep as it is now. Raises NotFoundError."""
        runs = self._by_sweep().get(sweep_id, [])
        job = self._job if self._job is not None and self._job.id == sweep_id else None
        if job is None and not runs:
            raise _unknown(sweep_id)
        for run in runs:
            if run.state == "finished" and not run.live and run.id not in self._rates:
                self._rates[run.id] = await asyncio.to_thread(self._read_rate, run.id)
        x, y = (job.request.x, job.request.y) if job else _axes_of(runs)
        return self._put_together(sweep_id, job, runs, x, y)

    def _put_together(
        self, sweep_id: str, job: _Job | None, runs: list[RunSummary], x: SweepAxis, y: SweepAxis
    ) -> Sweep:
        newest = {_place_of(run, x, y): run for run in reversed(runs)}
        others = self._store.summaries()
        cells = [
            self._cell(job, newest.get((across, down)), column, row, (across, down), others)
            for row, down in enumerate(y.values)
            for column, across in enumerate(x.values)
        ]
        running = job is not None and job.running
        whole = all(cell.state in ("done", "failed") for cell in cells)
        best = _best(cells)
        if best is not None:
            cells = [cell.model_copy(update={"ties_best": _ties(cells[best], cell)}) for cell in cells]
        return Sweep(
            id=sweep_id,
            state="running" if running else "finished" if whole else "stopped",
            x=x,
            y=y,
            settings=(runs[0].settings if runs else None) or (job.request.settings if job else RunSettings()),
            cells=cells,
            best=best,
            started_unix_ns=job.started_unix_ns if job else min(run.started_unix_ns for run in runs),
            remaining_s=_remaining_s(job) if job is not None and running else None,
            waits_for=job.waits_for if job is not None and running else "",
        )

    def _cell(
        self, job: _Job | None, run: RunSummary | None, x: int, y: int, place: _Place, others: list[RunSummary]
    ) -> SweepCell:
        rate, reason = None, job.refused.get(place, "") if job else ""
        state: Any = "failed" if reason else "waiting"
        if run is not None:
            rate = self._rates.get(run.id)
            reason = run.reason
            if run.live or run.state in ("starting", "running", "paused"):
                state = "running"
            elif run.state == "stopped":
                state = "stopped"
            elif run.state == "finished" and rate is not None:
                state = "done"
            else:
                state, reason = "failed", reason or "too few batches for a rate: give each cell more seconds"
        return SweepCell(
            x=x,
            y=y,
            state=state,
            run=run.id if run else "",
            rate=rate,
            reason=reason,
            disturbed=run is not None and any(_overlap(run, other) for other in others),
            ties_best=False,
        )

    def _by_sweep(self) -> dict[str, list[RunSummary]]:
        """Runs by the sweep that they belong to, newest first."""
        found: dict[str, list[RunSummary]] = {}
        for run in self._store.summaries():
            named = RUN_NAME.fullmatch(run.name)
            if named and run.settings and {named[2], named[3]} <= set(PARAMETERS):
                found.setdefault(named[1], []).append(run)
        return found

    def _read_rate(self, run_id: str) -> Rate | None:
        try:
            with self._store.reading(run_id) as trace:
                trace.refresh()
                return steady_rate(trace.window(0, trace.duration_ns, RATE_KINDS))
        except (TraceError, NotFoundError):
            return None

    # --- the job ------------------------------------------------------------------------------------------------------

    async def _work(self, job: _Job) -> None:
        for place in job.order:
            await self._wait_for_others(job)
            if job.cancelled.is_set():
                return
            try:
                await self._run(job, place)
            except RequestError as error:
                job.refused[place] = str(error)
            except Exception:  # one cell that fails in an unknown way must not lose the others
                log.exception("a cell of sweep %s failed", job.id)
                job.refused[place] = "the server failed while doing this; its terminal shows why"
            job.done += 1
            if job.cancelled.is_set():
                return

    async def _run(self, job: _Job, place: _Place) -> None:
        run = await self._store.start(cell_settings(job.request, place, job.id))
        if job.cancelled.is_set():  # while it was being started
            await self._stop(run.id)
        try:
            await asyncio.wait_for(self._store.ended(run.id), job.request.seconds + LIMIT_S)
        except TimeoutError:
            await self._stop(run.id)

    async def _stop(self, run_id: str) -> None:
        try:
            await self._store.stop(run_id)
        except ConflictError:  # it has just ended by itself
            return

    async def _wait_for_others(self, job: _Job) -> None:
        """Until no run goes on that a server started; a script of the user's own may go on for days."""
        while not job.cancelled.is_set():
            job.waits_for = next((run.id for run in self._store.summaries() if run.live and run.settings), "")
            if not job.waits_for:
                return
            await asyncio.sleep(LOOK_S)
        job.waits_for = ""


# --- what was asked for -----------------------------------------------------------------------------------------------


def check(request: SweepRequest) -> list[_Place]:
    """The places of the cells, row by row. Raises RequestError, which names the field and what it may be."""
    for axis, label in ((request.x, "x"), (request.y, "y")):
        if axis.name not in PARAMETERS:
            raise _wrong(f"{axis.name!r} cannot be swept: one of {', '.join(PARAMETERS)} can", f"{label}.name")
        if len(set(axis.values)) < len(axis.values):
            raise _wrong(f"{axis.name} has a value twice: {axis.values}", f"{label}.values")
    if request.x.name == request.y.name:
        raise _wrong(f"both parameters are {request.x.name}: choose two", "y.name")
    cells = len(request.x.values) * len(request.y.values)
    if not 2 <= cells <= MAX_CELLS:
        raise _wrong(
            f"{len(request.x.values)} x {len(request.y.values)} values are {cells} cells: 2 to {MAX_CELLS} are allowed",
            "x.values",
        )
    places = [(across, down) for down in request.y.values for across in request.x.values]
    for place in places:
        cell_settings(request, place, "")
    return places


def cell_settings(request: SweepRequest, place: _Place, sweep_id: str) -> RunSettings:
    """The settings of a cell's run. Raises RequestError."""
    fields = request.settings.model_dump()
    for axis, value in zip((request.x, request.y), place, strict=True):
        group, _, name = axis.name.rpartition(".")
        (fields[group] if group else fields)[name] = value
    said = [f"{axis.name}={_said(value)}" for axis, value in zip((request.x, request.y), place, strict=True)]
    fields |= {"name": f"sweep {sweep_id}: {', '.join(said)}"[:NAME_LENGTH], "seconds": request.seconds, "epochs": 0}
    try:
        return RunSettings.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = ".".join(str(part) for part in wrong["loc"])
        raise _wrong(f"{name}: {wrong['input']!r} will not do; {allowed(name)}", name) from error


def allowed(name: str) -> str:
    """The allowed range of a parameter in a few words."""
    group, _, field_name = name.rpartition(".")
    info = (Dials if group else RunSettings).model_fields[field_name]
    limits = {key: getattr(limit, key) for limit in info.metadata for key in ("ge", "gt", "le") if hasattr(limit, key)}
    if "le" in limits:
        low = f"{limits['ge']:g} to" if "ge" in limits else f"above {limits['gt']:g}, up to"
        return f"allowed: {low} {limits['le']:g}" + (", whole numbers" if info.annotation is int else "")
    if info.annotation is bool:
        return "allowed: true or false"
    return f"allowed: {', '.join(map(str, getattr(info.annotation, '__args__', ())))}"


def _said(value: SweepValue) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wrong(message: str, name: str) -> RequestError:
    return RequestError(message, status=422, code="invalid", field=name)


def _unknown(sweep_id: str) -> NotFoundError:
    return NotFoundError(f"there is no sweep {sweep_id!r}; its runs may have been deleted", code="sweep_unknown")


# --- what was measured ------------------------------------------------------------------------------------------------


def _value_of(run: RunSummary, name: str) -> SweepValue:
    group, _, field_name = name.rpartition(".")
    assert run.settings is not None
    value: SweepValue = getattr(run.settings.dials if group else run.settings, field_name)
    return value


def _place_of(run: RunSummary, x: SweepAxis, y: SweepAxis) -> _Place:
    return _value_of(run, x.name), _value_of(run, y.name)


def _axes_of(runs: list[RunSummary]) -> tuple[SweepAxis, SweepAxis]:
    """The axes of a sweep whose job nobody remembers: the values that its runs have."""
    named = RUN_NAME.fullmatch(runs[0].name)
    assert named is not None
    axes = []
    for name in (named[2], named[3]):
        values = {_value_of(run, name) for run in runs}
        axes.append(SweepAxis(name=name, values=sorted(values, key=lambda value: (isinstance(value, str), value))))
    return axes[0], axes[1]


def _overlap(run: RunSummary, other: RunSummary) -> bool:
    """Whether two runs went on at the same time, at least in part."""
    if run.id == other.id:
        return False
    ends = [time.time_ns() if each.live else each.started_unix_ns + each.duration_ns for each in (run, other)]
    return run.started_unix_ns < ends[1] and other.started_unix_ns < ends[0]


def _best(cells: list[SweepCell]) -> int | None:
    """The fastest cell; one that was disturbed only where none was not."""
    rated = [(not cell.disturbed, cell.rate.samples_per_s, place) for place, cell in enumerate(cells) if cell.rate]
    return max(rated)[2] if rated else None


def _ties(best: SweepCell, cell: SweepCell) -> bool:
    return (
        cell is not best
        and cell.state == "done"
        and best.rate is not None
        and cell.rate is not None
        and None not in (best.rate.low, best.rate.high, cell.rate.low, cell.rate.high)  # else nothing can be said
        and not told_apart(best.rate, cell.rate)
    )


def _remaining_s(job: _Job) -> float:
    each_s = job.request.seconds + START_S
    elapsed_s = time.monotonic() - job.began_s
    if job.done:
        each_s = elapsed_s / job.done
    return max(0.0, each_s * len(job.order) - elapsed_s)
