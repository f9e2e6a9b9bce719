"""The HTTP routes of the Learn view. Nothing that a page sends is ever run: it names lessons, variants and values."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Path as PathParameter

from app.api import PROBLEMS
from app.lessons import LessonRecorder, find
from app.lessons_prose import prose_of
from app.lessons_wire import RecordRequest
from loader_core.lessons.lesson import LessonCard
from loader_core.lessons.log import Log
from loader_core.lessons.notebook import notebook

router = APIRouter(prefix="/api/lessons", responses=PROBLEMS)


def _recorder(request: Request) -> LessonRecorder:
    recorder: LessonRecorder = request.app.state.lessons
    return recorder


Recorder = Annotated[LessonRecorder, Depends(_recorder)]
LessonId = Annotated[str, PathParameter(max_length=40, description="as GET /api/lessons gives it")]


@router.get("", operation_id="listLessons")
def list_lessons(recorder: Recorder) -> list[LessonCard]:
    """The contents, in their order."""
    return recorder.cards()


@router.post("/{lesson_id}/record", operation_id="recordLesson", response_model=Log)
async def record_lesson(lesson_id: LessonId, asked: RecordRequest, recorder: Recorder) -> Response:
    """The log of a lesson's execution on this host: made now, or by an earlier request for the same."""
    return Response(await recorder.log(lesson_id, asked), media_type="application/json")


@router.get(
    "/{lesson_id}/notebook",
    operation_id="getLessonNotebook",
    response_class=Response,
    responses={200: {"content": {"application/x-ipynb+json": {}}, "description": "a Jupyter notebook"}},
)
def get_notebook(lesson_id: LessonId, language: Literal["es", "en"] = "en") -> Response:
    """A lesson as a notebook that needs nothing but this package."""
    lesson = find(lesson_id)
    headers = {"content-disposition": f'attachment; filename="{lesson.id}.{language}.ipynb"'}
    text = notebook(lesson, language, prose_of(lesson.number, language))
    return Response(text, media_type="application/x-ipynb+json", headers=headers)
