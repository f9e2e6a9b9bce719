"""Named parts of a sample or of a step: `with stage("decode"):` in a dataset, `with stage("forward"):` in a training
loop, or `@stage("decode")` on a function.

Where nothing is recorded in such detail it costs next to nothing, so it may stay in a dataset for good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from loader_core.trace.recorder import NULL_RECORDER, Recorder, now

P = ParamSpec("P")
T = TypeVar("T")


class _Current(threading.local):
    recorder: Recorder = NULL_RECORDER


_current = _Current()


def set_current(recorder: Recorder) -> None:
    """Make `recorder` the one that this thread's stages are recorded by. The worker loop calls it, and whoever hands
    batches over to a training loop.
    """
    _current.recorder = recorder


def current_recorder() -> Recorder:
    """The one that this thread's stages are recorded by; NULL_RECORDER where there is none."""
    return _current.recorder


class stage:  # noqa: N801 - reads as the statement it is used as
    """Record the time that a block or a function takes as a STAGE of what goes on: of the sample being fetched, in most
    detail only; or, between two batches of an observed loader, of the training step, in any detail.

    Works in any thread that has a current recorder: workers, and the thread that takes batches from a loader. Elsewhere
    it does nothing. Stages may nest; the sum of nested stages then counts time twice. Where a block does not fit, as
    between two hooks of a framework: `forward = stage("forward").begin()` and `forward.end()`.
    """

    __slots__ = ("_recorder", "_start", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._recorder: Recorder | None = None

    def begin(self) -> Self:
        """It begins now."""
        recorder = _current.recorder
        self._recorder = None
        if recorder.takes_stages:
            self._recorder = recorder
            self._start = now()
        return self

    def end(self) -> None:
        """It ends now. Nothing if it has not begun."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.add_stage(self.name, self._start)

    def __enter__(self) -> None:
        self.begin()

    def __exit__(
        self, error: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """As a decorator: each call is a stage."""
        name = self.name

        @wraps(function)
        def staged(*args: P.args, **kwargs: P.kwargs) -> T:
            with stage(name):
                return function(*args, **kwargs)

        return staged
