"""What the Learn view says on the wire: the log of an execution, as it was recorded, and the request for it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.wire import Wire
from loader_core.lessons.lesson import LessonCard
from loader_core.lessons.log import Log

RECORDED = (LessonCard, Log)
"""Dataclasses that the wire sends as they are."""


class RecordRequest(Wire):
    """What a page asks for with POST /api/lessons/{id}/record: names and bounded values, never code."""

    parameters: dict[str, bool | int | float | str] = Field(default={}, max_length=16)
    variant: str = Field(default="", max_length=40, description="one of the lesson's variants; none: its first")
    language: Literal["es", "en"] = Field(default="en", description="of the comments in the program")
