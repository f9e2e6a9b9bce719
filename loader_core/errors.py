"""Every exception that this project raises on its own account.

::

    LoaderscopeError
    ├── TraceError                     a run directory cannot be read: missing, foreign, or of a newer schema
    │   └── NewerSchema                 it was recorded by a newer version than this one
    ├── RecordingError                 a run directory cannot be written
    ├── WorkerDied      (RuntimeError) a worker ended before its work did
    ├── WorkerTimeout   (RuntimeError) a worker took longer than `timeout` allows
    ├── QuarantineFull  (RuntimeError) more samples could not be had than `error_budget` allows
    ├── SharedMemoryError (RuntimeError) shared memory could not be had
    ├── LessonError     (RuntimeError) a lesson's program could not be run to its log
    ├── SettingsError   (ValueError)   settings that contradict each other or this host
    │   └── ParameterError              a lesson's parameter or variant that is out of its bounds
    └── DatasetError    (ValueError)   a dataset that cannot be opened or does not say what it holds

The second base is the one that `torch.utils.data.DataLoader` raises in the same place, so that code written for torch
catches ours too. What a user's dataset raises is not in this tree: it keeps its own type.
"""

from __future__ import annotations

import traceback


class LoaderscopeError(Exception):
    """Base of all errors of this project."""


class TraceError(LoaderscopeError):
    """A run directory cannot be read: it is missing, foreign, or of a newer schema."""


class NewerSchema(TraceError):
    """A recording made by a newer version than this one. The text names both."""


class RecordingError(LoaderscopeError):
    """A run directory cannot be written."""


class WorkerDied(LoaderscopeError, RuntimeError):
    """A worker ended before its work did. The text says which, how, and at which batch."""


class WorkerTimeout(LoaderscopeError, RuntimeError):
    """A worker took longer than `timeout` allows."""


class QuarantineFull(LoaderscopeError, RuntimeError):
    """More samples raised than `error_budget` allows. The text names the last."""


class SharedMemoryError(LoaderscopeError, RuntimeError):
    """Shared memory could not be had. The text says how much was wanted and how much is free."""


class SettingsError(LoaderscopeError, ValueError):
    """Settings that contradict each other, or that this host cannot meet."""


class ParameterError(SettingsError):
    """A lesson's parameter or variant that is out of its bounds: `field` names it, the text has the range."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class LessonError(LoaderscopeError, RuntimeError):
    """A lesson's program could not be run to its log. The text says why: time, memory, how its process ended."""


class DatasetError(LoaderscopeError, ValueError):
    """A dataset that cannot be opened, or that does not say what it holds."""


def last_line(error: BaseException) -> str:
    """What an exception says, in a line: the last one of its text. For an error in a worker that is the error there."""
    lines = "".join(traceback.format_exception_only(error)).strip().splitlines()
    kind, colon, text = lines[-1].partition(": ")
    return kind.rpartition(".")[2] + colon + text if colon else lines[-1]
