"""Named parts of a sample: `with stage("decode"):` inside a dataset, or `@stage("decode")` on a function.

Where nothing is recorded in such detail it costs next to nothing, so it may stay in a dataset for good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import ParamSpec, TypeVar

from loader_core.trace.recorder import NULL_RECORDER, Detail, Recorder, now

P = ParamSpec("P")
T = TypeVar("T")
_STAGE = Detail.STAGE


class _Current(threading.local):
    recorder: Recorder = NULL_RECORDER


_current = _Current()


def set_current(recorder: Recorder) -> None:
    """Make `recorder` the one that this thread's stages are recorded by. The worker loop calls it."""
    _current.recorder = recorder


class stage:  # noqa: N801 - reads as the statement it is used as
    """Record the time that a block or a function takes as a STAGE of the sample being fetched.

    Works in any thread that has a current recorder: workers, and the main thread when it fetches by itself. Elsewhere
    it does nothing. Stages may nest; the sum of nested stages then counts time twice.
    """

    __slots__ = ("_recorder", "_start", "name")

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        recorder = _current.recorder
        self._recorder: Recorder | None = None
        if recorder.enabled and recorder.detail is _STAGE:
            self._recorder = recorder
            self._start = now()

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._recorder is not None:
            self._recorder.add_stage(self.name, self._start)

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """As a decorator: each call is a stage."""
        name = self.name

        @wraps(function)
        def staged(*args: P.args, **kwargs: P.kwargs) -> T:
            with stage(name):
                return function(*args, **kwargs)

        return staged
