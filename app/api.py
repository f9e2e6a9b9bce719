"""The HTTP routes. Thin: each asks the store, the host or a trace, and says the answer on the wire.

Routes that read recordings are plain functions, which FastAPI runs in worker threads; the others run in the event
loop. What is wrong with a request is a RequestError, whose answer main.py writes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, StreamingResponse

from app.diagnosis import DiagnosisShelf
from app.figures import FigureShelf
from app.frames import longest, spans_frame
from app.host import Host
from app.problems import NotFoundError, RequestError
from app.process import export_chunks
from app.runs import RunStore
from app.security import Tokens, cookie_name
from app.wire import (
    AccessRole,
    Capabilities,
    DatasetInfo,
    Preview,
    Problem,
    RunSettings,
    RunSummary,
    Session,
    SessionRequest,
    Ticket,
)
from loader_core.diagnose.diagnosis import Diagnosis
from loader_core.diagnose.metrics import MEASURED_KINDS, Metrics, OpenWaits, measure
from loader_core.trace import export

MAX_SPANS = 131_072
"""Spans in one answer. Of more, the longest are sent, and the frame's header says how many were left out."""

MAX_TIME_NS = 2**53
"""Times beyond it are not exact in a browser."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "no valid token"},
    403: {"model": Problem, "description": "another site asked, or the token only lets its holder look"},
    404: {"model": Problem, "description": "there is no such thing"},
    409: {"model": Problem, "description": "not in the state that things are in now"},
    413: {"model": Problem, "description": "the request is too large"},
    421: {"model": Problem, "description": "the server is not called by that name"},
    422: {"model": Problem, "description": "a value that cannot be followed; `field` names it"},
}

router = APIRouter(prefix="/api", responses=PROBLEMS)


def _store(request: Request) -> RunStore:
    store: RunStore = request.app.state.store
    return store


def _host(request: Request) -> Host:
    host: Host = request.app.state.host
    return host


Store = Annotated[RunStore, Depends(_store)]
ThisHost = Annotated[Host, Depends(_host)]
RunId = Annotated[str, PathParameter(max_length=64, description="as GET /api/runs gives it")]
Start = Annotated[int, Query(ge=-MAX_TIME_NS, le=MAX_TIME_NS, description="ns of run time")]
End = Annotated[int | None, Query(ge=-MAX_TIME_NS, le=MAX_TIME_NS, description="ns of run time; none: to the end")]


# --- the session and the host -----------------------------------------------------------------------------------------


@router.post("/session", operation_id="startSession")
async def start_session(asked: SessionRequest, request: Request, response: Response) -> Session:
    """Exchanges the token of the page's URL for a cookie that no script can read."""
    tokens: Tokens = request.app.state.tokens
    role = tokens.redeem(asked.token)
    if role is None:
        raise RequestError(
            "this token is not valid, or was used up: open the address that `loaderscope serve` printed",
            status=401,
            code="token_refused",
        )
    name = cookie_name(request.headers["host"])
    response.set_cookie(name, tokens.cookie(role), httponly=True, samesite="strict", path="/")
    return Session(role=role)


@router.post("/tickets", operation_id="makeTicket")
async def make_ticket(request: Request) -> Ticket:
    """A stand-in for the operator's token that works once: for a browser, whose arguments others can read."""
    tokens: Tokens = request.app.state.tokens
    return Ticket(ticket=tokens.issue_ticket())


@router.get("/capabilities", operation_id="getCapabilities")
async def get_capabilities(request: Request, host: ThisHost) -> Capabilities:
    """What this machine can do, and what the caller may."""
    role: AccessRole = request.state.role
    return await host.capabilities(role)


@router.get("/datasets", operation_id="getDatasets")
async def get_datasets(host: ThisHost) -> list[DatasetInfo]:
    """What runs can load: ours, and what lies in the folders that the command line named."""
    return await host.datasets()


# --- runs -------------------------------------------------------------------------------------------------------------


@router.get("/runs", operation_id="listRuns")
async def list_runs(store: Store) -> list[RunSummary]:
    """All runs, newest first."""
    return store.summaries()


@router.post("/runs", status_code=201, operation_id="startRun")
async def start_run(settings: RunSettings, store: Store) -> RunSummary:
    """Starts a run in a process of its own. At the bound of live runs it is refused with 409."""
    return await store.start(settings)


@router.get("/runs/{run_id}", operation_id="getRun")
async def get_run(run_id: RunId, store: Store) -> RunSummary:
    """One run."""
    return store.summary(run_id)


@router.delete("/runs/{run_id}", status_code=204, operation_id="deleteRun")
async def delete_run(run_id: RunId, store: Store) -> None:
    """Deletes the recording of a run that has ended."""
    await store.delete(run_id)


@router.patch("/runs/{run_id}/settings", operation_id="changeRun")
async def change_run(run_id: RunId, changed: RunSettings, store: Store) -> RunSummary:
    """Changes settings of a live run: those that are sent, and no other."""
    return await store.change(run_id, changed)


@router.post("/runs/{run_id}/stop", operation_id="stopRun")
async def stop_run(run_id: RunId, store: Store) -> RunSummary:
    """Ends a run; the answer comes when it has ended, after five seconds at most."""
    return await store.stop(run_id)


@router.post("/runs/{run_id}/pause", operation_id="pauseRun")
async def pause_run(run_id: RunId, store: Store) -> RunSummary:
    """Lets a run rest before its next batch."""
    return store.pause(run_id, paused=True)


@router.post("/runs/{run_id}/resume", operation_id="resumeRun")
async def resume_run(run_id: RunId, store: Store) -> RunSummary:
    """Lets a paused run go on."""
    return store.pause(run_id, paused=False)


# --- recordings -------------------------------------------------------------------------------------------------------


@router.get(
    "/runs/{run_id}/spans",
    operation_id="getSpans",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "a binary SPANS frame"}},
)
def get_spans(
    run_id: RunId,
    store: Store,
    start_ns: Start = 0,
    end_ns: End = None,
    limit: Annotated[int, Query(ge=1, le=MAX_SPANS)] = MAX_SPANS,
) -> Response:
    """The spans that overlap a window of run time. Of more than `limit` the longest; the header counts the others."""
    with store.reading(run_id) as trace:
        trace.refresh()
        end_ns = _window_end(start_ns, end_ns, trace.duration_ns)
        rows, left_out = longest(trace.window(start_ns, end_ns), limit)
    return Response(spans_frame(rows, dropped=left_out), media_type="application/octet-stream")


@router.get("/runs/{run_id}/metrics", operation_id="getMetrics")
def get_metrics(run_id: RunId, store: Store, start_ns: Start = 0, end_ns: End = None) -> Metrics:
    """The numbers of a window of run time."""
    goes_on = end_ns is None and store.summary(run_id).live
    with store.reading(run_id) as trace:
        trace.refresh()
        end_ns = _window_end(start_ns, end_ns, trace.duration_ns)
        rows = trace.window(start_ns, end_ns, MEASURED_KINDS)
    waits = OpenWaits()
    if goes_on:
        waits.add(rows)
    open_wait_ns = waits.ns(start_ns=start_ns, end_ns=end_ns)
    return measure(rows, start_ns=start_ns, end_ns=end_ns, open_wait_ns=open_wait_ns)


@router.get("/runs/{run_id}/diagnosis", operation_id="getDiagnosis")
def get_diagnosis(run_id: RunId, request: Request, store: Store, start_ns: Start = 0, end_ns: End = None) -> Diagnosis:
    """Stalls and their causes, the budget of a step, samples, memory and faults in a window of run time.

    Of a window that holds too many events its newest part is diagnosed (`shortened`), and a live run at most once a
    second.
    """
    if end_ns is not None:
        _window_end(start_ns, end_ns, 0)
    shelf: DiagnosisShelf = request.app.state.diagnoses
    return shelf.diagnosis(store, run_id, start_ns=start_ns, end_ns=end_ns)


@router.get(
    "/runs/{run_id}/figures",
    operation_id="getFigures",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}, "description": "plotly figures by name"}},
)
def get_figures(
    run_id: RunId,
    request: Request,
    store: Store,
    lang: Literal["es", "en"] = "en",
    theme: Literal["light", "dark"] = "light",
) -> Response:
    """Throughput, queue and waits of the whole run as figures of plotly, made at most twice a second."""
    shelf: FigureShelf = request.app.state.figures
    return Response(shelf.figures(store, run_id, lang=lang, theme=theme), media_type="application/json")


@router.get("/runs/{run_id}/previews", operation_id="listPreviews")
def list_previews(run_id: RunId, store: Store) -> list[Preview]:
    """The previews that are kept of a run's batches, oldest first."""
    found = sorted((store.directory(run_id) / "previews").glob("[0-9]*.json"))
    return [Preview.model_validate_json(text) for text in _texts_of(found)]


@router.get(
    "/runs/{run_id}/previews/{number}.jpg",
    operation_id="getPreviewSheet",
    response_class=FileResponse,
    responses={200: {"content": {"image/jpeg": {}}, "description": "the thumbnails of one preview"}},
)
def get_preview_sheet(
    run_id: RunId, number: Annotated[int, PathParameter(ge=0, le=999_999)], store: Store
) -> FileResponse:
    """The thumbnails of a batch in one sheet."""
    sheet = store.directory(run_id) / "previews" / f"{number:06}.jpg"
    if not sheet.is_file():
        raise NotFoundError(f"run {run_id} has no picture of preview {number} (any more: the newest are kept)")
    return FileResponse(sheet, media_type="image/jpeg", headers={"cache-control": "private, max-age=86400, immutable"})


@router.get("/runs/{run_id}/export/summary", operation_id="exportSummary")
def export_summary(run_id: RunId, store: Store) -> dict[str, Any]:
    """The run in numbers."""
    with store.reading(run_id) as trace:
        trace.refresh()
        return export.summary(trace)


@router.get(
    "/runs/{run_id}/export/perfetto",
    operation_id="exportPerfetto",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {}}, "description": "a trace for ui.perfetto.dev"}},
)
async def export_perfetto(run_id: RunId, store: Store) -> StreamingResponse:
    """The recording as a Chrome trace, for Perfetto and other viewers. Written by a process of its own: a long
    recording takes minutes of Python, which would hold up everyone who watches."""
    chunks = export_chunks(store.directory(run_id), "--perfetto")
    first = await anext(chunks)
    headers = {"content-disposition": f'attachment; filename="{run_id}.perfetto.json"'}
    return StreamingResponse(_chain(first, chunks), media_type="application/json", headers=headers)


# --- parts ------------------------------------------------------------------------------------------------------------


def _window_end(start_ns: int, end_ns: int | None, duration_ns: int) -> int:
    """The end of a window. Raises RequestError for one that ends before it starts."""
    end_ns = max(start_ns, duration_ns) if end_ns is None else end_ns
    if end_ns < start_ns:
        raise RequestError(
            f"the window ends at {end_ns} ns, before its start at {start_ns} ns",
            status=422,
            code="invalid",
            field="end_ns",
        )
    return end_ns


async def _chain(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk


def _texts_of(paths: list[Path]) -> list[str]:
    texts = []
    for path in paths:
        try:
            texts.append(path.read_text("utf-8"))
        except FileNotFoundError:  # made room for newer ones
            continue
    return texts
