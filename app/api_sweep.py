"""The HTTP routes of sweeps, and of the comparison of two runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter

from app.api import PROBLEMS, Store
from app.comparing import ComparisonShelf
from app.sweep import Sweeps
from app.sweep_wire import RunComparison, Sweep, SweepRequest

router = APIRouter(prefix="/api", responses=PROBLEMS)


def _sweeps(request: Request) -> Sweeps:
    sweeps: Sweeps = request.app.state.sweeps
    return sweeps


AllSweeps = Annotated[Sweeps, Depends(_sweeps)]
SweepId = Annotated[str, PathParameter(max_length=16, description="as GET /api/sweeps gives it")]


@router.get("/sweeps", operation_id="listSweeps")
async def list_sweeps(sweeps: AllSweeps) -> list[Sweep]:
    """All sweeps, newest first."""
    return await sweeps.all()


@router.post("/sweeps", status_code=201, operation_id="startSweep")
async def start_sweep(asked: SweepRequest, sweeps: AllSweeps) -> Sweep:
    """Tries two parameters in all combinations, one run after the other. One sweep at a time: else 409."""
    return await sweeps.start(asked)


@router.get("/sweeps/{sweep_id}", operation_id="getSweep")
async def get_sweep(sweep_id: SweepId, sweeps: AllSweeps) -> Sweep:
    """One sweep as it is now."""
    return await sweeps.sweep(sweep_id)


@router.post("/sweeps/{sweep_id}/cancel", operation_id="cancelSweep")
async def cancel_sweep(sweep_id: SweepId, sweeps: AllSweeps) -> Sweep:
    """Ends a sweep with the run that goes on; what it has measured stays."""
    return await sweeps.cancel(sweep_id)


@router.delete("/sweeps/{sweep_id}", status_code=204, operation_id="deleteSweep")
async def delete_sweep(sweep_id: SweepId, sweeps: AllSweeps) -> None:
    """Deletes the runs of a sweep that has ended."""
    await sweeps.delete(sweep_id)


@router.get("/comparison", operation_id="compareRuns")
def compare_runs(
    before: Annotated[str, Query(max_length=64, description="a run's id")],
    after: Annotated[str, Query(max_length=64, description="another run's id")],
    request: Request,
    store: Store,
) -> RunComparison:
    """What is different between two runs that have ended, by how much their rates differ, and whether that is noise."""
    shelf: ComparisonShelf = request.app.state.comparisons
    return shelf.comparison(store, before, after)
