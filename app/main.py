"""create_app: the server put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Mount, WebSocketRoute

from app.api import router
from app.api_lessons import router as lessons_router
from app.api_sweep import router as sweep_router
from app.comparing import ComparisonShelf
from app.diagnosis import DiagnosisShelf
from app.feed import FeedHub
from app.figures import FigureShelf
from app.host import Host, version
from app.lessons import LessonRecorder
from app.live import LIVE_PATH, Live
from app.problems import RequestError, to_problem
from app.runs import RunStore
from app.scores import Scores
from app.security import SECURITY_HEADERS, Guard, Tokens
from app.settings import Settings
from app.site import Site
from app.sweep import Sweeps
from app.whatif import Forecaster
from app.whatif import router as what_if_router
from loader_core.errors import LoaderscopeError


def create_app(
    settings: Settings, *, imported: Sequence[Path] = (), mine: Path | None = None, call: str = ""
) -> FastAPI:
    """The ASGI app. `imported`: run directories outside of the home folder, shown beside those in it. `mine` and
    `call`: a Python file of the user's own, and an expression in it, that the Learn view steps through."""
    tokens = Tokens.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        host = Host(settings.data)
        recorder = LessonRecorder(mine=mine, call=call)
        async with RunStore(settings, host, imported=imported) as store, recorder:
            app.state.lessons = recorder
            app.state.host = host
            app.state.store = store
            app.state.feed = FeedHub(store)
            app.state.sweeps = Sweeps(store, host)
            try:
                yield
            finally:
                await app.state.sweeps.close()
                await host.close()

    app = FastAPI(
        title="Loaderscope",
        version=version("loaderscope") or "0",
        description="An oscilloscope for PyTorch data loaders. Times are nanoseconds of run time.",
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its scripts come from elsewhere, which the page's CSP rightly refuses
        redoc_url=None,
    )
    app.state.tokens = tokens
    app.state.figures = FigureShelf()
    app.state.comparisons = ComparisonShelf()
    scores = Scores(settings.home)
    app.state.diagnoses = DiagnosisShelf(scores)
    app.state.forecaster = Forecaster(scores)
    app.include_router(router)
    app.include_router(what_if_router)
    app.include_router(lessons_router)
    app.include_router(sweep_router)
    app.router.routes.append(WebSocketRoute(LIVE_PATH, Live(settings)))
    app.router.routes.append(Mount("/", Site(settings.front_end)))
    for kind in (RequestError, LoaderscopeError, RequestValidationError, ValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer_problem)
    app.add_middleware(
        Guard,
        tokens=tokens,
        allowed_hosts=settings.allowed_hosts,
        embed=settings.embed,
        max_body_bytes=settings.max_body_bytes,
    )
    return app


async def answer_problem(request: Request, error: Exception) -> JSONResponse:
    """The one error handler: every answer that is an error has the shape of wire.Problem."""
    status, problem = to_problem(error)
    # An unexpected error is answered outside of the guard, which adds these headers to all other answers.
    headers = SECURITY_HEADERS if status == 500 else None
    return JSONResponse(problem.model_dump(exclude_none=True), status_code=status, headers=headers)
