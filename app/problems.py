"""What the server answers when it cannot do what was asked: one exception, one shape on the wire."""

from __future__ import annotations

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from app.wire import Problem
from loader_core.errors import (
    DatasetError,
    LessonError,
    LoaderscopeError,
    NewerSchema,
    ParameterError,
    SettingsError,
    TraceError,
)

CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
LIBRARY_CODES: dict[type[LoaderscopeError], str] = {
    TraceError: "unreadable_run",
    NewerSchema: "unreadable_run",
    DatasetError: "unreadable_dataset",
    LessonError: "lesson_failed",
}
MESSAGES = {
    404: "there is nothing at this address",
    405: "this address does not know that method",
    413: "the request is larger than this server takes",
}


class RequestError(Exception):
    """The server will not or cannot do what was asked.

    `status` is the HTTP status, `code` a stable word for programs, `field` the dotted name of the setting that is
    wrong ("" where there is none); the exception's text is for people: what happened, the numbers, what to do.
    """

    def __init__(self, message: str, *, status: int, code: str, field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field


class NotFoundError(RequestError):
    """Something that was asked for by name is not there."""

    def __init__(self, message: str, *, code: str = "not_found") -> None:
        super().__init__(message, status=404, code=code)


class ConflictError(RequestError):
    """It cannot be done in the state that things are in now."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message, status=409, code=code)


class UnfitError(RequestError):
    """A setting that this host or data set cannot follow."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message, status=422, code="unfit_setting", field=field)


def to_problem(error: Exception) -> tuple[int, Problem]:
    """The HTTP status and the body that tell `error` to a client. An unexpected error tells nothing of itself."""
    match error:
        case RequestError():
            return error.status, Problem(code=error.code, message=str(error), field=error.field or None)
        case ParameterError():
            return 422, Problem(code="invalid", message=str(error), field=error.field)
        case SettingsError():
            return 422, Problem(code="unfit_setting", message=str(error))
        case LoaderscopeError():
            return 409, Problem(code=LIBRARY_CODES.get(type(error), "failed"), message=str(error))
        case RequestValidationError() | ValidationError():
            return 422, _first_invalid(error)
        case HTTPException():
            status = error.status_code
            message = MESSAGES.get(status, str(error.detail))
            return status, Problem(code=CODES.get(status, "http_error"), message=message)
        case _:
            message = "the server failed while doing this; its terminal shows why"
            return 500, Problem(code="internal", message=message)


def _first_invalid(error: RequestValidationError | ValidationError) -> Problem:
    """The first thing wrong with a request; `field` leaves out where in the request it stood (body, query ...)."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if isinstance(error, RequestValidationError):
        place = place[1:]
    field = ".".join(place)
    more = f" (and {len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
    return Problem(code="invalid", message=f"{field or 'request'}: {first['msg']}{more}", field=field or None)
