"""Every step of a program, written down while it runs: lines, calls, yields, and the frames that wait in between.

`sys.settrace` tells of each line and call. What it does not tell is worked out here: that a frame did not return but
*yielded* and stays, that a call is a generator going on, and that a return is an exception passing through. Only code
of the shown files is followed; all other code runs at its own speed, and so does every thread but the one that traces.
"""

from __future__ import annotations

import dis
import inspect
import itertools
import os
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from types import CodeType, FrameType, TracebackType
from typing import Any

from loader_core.lessons.log import MAX_LOG_BYTES, MAX_STEPS, Cut, Event, Fault, Frame, FrameState, Step, Thing, to_json
from loader_core.lessons.output import Output
from loader_core.lessons.things import Scene, fault_text, short_text

_YIELD = dis.opmap["YIELD_VALUE"]
_RETURNS = {dis.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in dis.opmap}
_MODULE = "<module>"
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>"}
"""Frames of their own in Python 3.11 only; what they call is followed all the same."""

MAX_FRAMES = 60
"""Frames on screen, so that an endless recursion stays readable; those within are left out."""


class _Call:
    """A call that is on screen. Holds its frame only while it is running or suspended."""

    def __init__(self, number: int, frame: FrameType, source: int) -> None:
        self.number = number
        self.frame = frame
        self.source = source
        self.state: FrameState = "running"
        self.raising = False
        """Whether the last that was heard of it is an exception."""


class Tracer:
    """Records the steps of code from certain files, in the thread that enters it. Used once.

    `files` maps the file name of a code object to its place in `Log.sources`. At a bound `full` is called, which must
    not return: it writes what is recorded so far and ends the process.
    """

    def __init__(
        self,
        files: Mapping[str, int],
        output: Output,
        *,
        full: Callable[[Cut], Any],
        memory: bool = False,
        ranges: Mapping[int, range] | None = None,
    ) -> None:
        """`ranges`: of a source that shows a part of a file, the lines that it shows; others are not followed."""
        self.steps: list[Step] = []
        self.fault: Fault | None = None
        self._files = files
        self._ranges = ranges or {}
        self._output = output
        self._full = full
        self._memory = memory
        self._tracing_bytes = 0
        self._calls: dict[FrameType, _Call] = {}
        self._running: list[_Call] = []
        self._suspended: list[_Call] = []
        self._frame_numbers = itertools.count(1)
        self._thing_numbers = itertools.count(1)
        self._shown_frames: dict[int, Frame] = {}
        self._shown_things: dict[int, Thing] = {}
        self._known: dict[int, int] = {}
        self._kept: list[object] = []
        self._bytes = 0
        self._start_ns = 0

    def __enter__(self) -> Tracer:
        if self._memory:
            tracemalloc.start()
        self._start_ns = time.perf_counter_ns()
        sys.settrace(self._enter)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        sys.settrace(None)
        if self._memory:
            tracemalloc.stop()
        if error is not None:
            self.fault = self._fault_of(error)

    # --- what Python calls --------------------------------------------------------------------------------------------

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        """Called for each call in this thread, also for a generator's going on."""
        source = self._files.get(frame.f_code.co_filename)
        if source is None or event != "call" or _is_unshown(frame.f_code):
            return None
        shown = self._ranges.get(source)
        if shown is not None and frame.f_code.co_firstlineno not in shown:
            return None
        frame.f_trace_opcodes = False
        call = self._calls.get(frame)
        if call is None:
            call = self._calls[frame] = _Call(next(self._frame_numbers), frame, source)
            self._running.append(call)
            if frame.f_code.co_name != _MODULE:  # a module is not called: its first line is its first step
                self._step("call", call)
        else:
            self._resume(call)
        return self._follow

    def _follow(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Called for each line, return and exception of a frame that is followed."""
        call = self._calls.get(frame)
        if call is None:
            return None
        if event == "line":
            call.raising = False
            self._step("line", call)
        elif event == "exception":
            if call.state == "suspended":
                self._resume(call)
            call.raising = True
            self._step("raise", call, fault_text(argument[1]) if argument[1] is not None else argument[0].__name__)
        elif event == "return":
            self._leave(call, argument)
        return self._follow

    def _resume(self, call: _Call) -> None:
        if call.state == "suspended":
            self._suspended.remove(call)
            self._running.append(call)
            call.state = "running"
            call.raising = False
            self._step("resume", call)

    def _leave(self, call: _Call, value: Any) -> None:
        last = _operation(call.frame)
        if last == _YIELD and not (call.raising and value is None):
            call.state = "suspended"
            self._running.remove(call)
            self._suspended.append(call)
            self._step("yield", call, value=value, has_value=True)
            return
        call.state = "finished"
        if call.raising and last not in _RETURNS:
            self._step("return", call)
        else:
            self._step("return", call, value=value, has_value=True)
        self._running.remove(call)
        del self._calls[call.frame]
        self._shown_frames.pop(call.number, None)

    # --- one step -----------------------------------------------------------------------------------------------------

    def _step(
        self, event: Event, call: _Call, text: str | None = None, *, value: Any = None, has_value: bool = False
    ) -> None:
        before = tracemalloc.get_traced_memory()[0] if self._memory else 0
        at_ns = time.perf_counter_ns() - self._start_ns
        output = self._output.take()
        held = before - self._tracing_bytes if self._memory else None
        on_screen = self._on_screen()
        things, frames, scene = self._look(on_screen)
        step = Step(
            at_ns=at_ns,
            event=event,
            source=call.source,
            line=call.frame.f_lineno,
            frame=call.number,
            value=short_text(value) if has_value else text,
            stack=tuple(one.number for one in on_screen),
            frames=tuple(frame for frame in frames if self._shown_frames.get(frame.id) != frame),
            things=tuple(thing for thing in things.values() if self._shown_things.get(thing.id) != thing),
            gone=tuple(number for number in self._shown_things if number not in things),
            output=output,
            memory_bytes=held,
        )
        self._shown_frames = {frame.id: frame for frame in frames}
        self._shown_things = things
        self._known = scene.numbers
        if not self._memory:  # there an object is to go when the program lets it go
            self._kept = scene.kept
        self._add(step)
        if self._memory:
            del scene, things, frames, on_screen, step
            self._tracing_bytes += tracemalloc.get_traced_memory()[0] - before

    def _on_screen(self) -> list[_Call]:
        running = self._running
        if len(running) > MAX_FRAMES:
            running = running[:1] + running[1 - MAX_FRAMES :]
        return [*running, *self._suspended[-MAX_FRAMES:]]

    def _look(self, calls: list[_Call]) -> tuple[dict[int, Thing], list[Frame], Scene]:
        frame_numbers = {id(call.frame): call.number for call in calls}
        scene = Scene(self._known, self._thing_numbers, frame_numbers)
        frames = [
            Frame(
                id=call.number,
                function=call.frame.f_code.co_name,
                source=call.source,
                line=call.frame.f_lineno,
                state=call.state,
                locals=scene.locals_of(call.frame.f_locals),
            )
            for call in calls
        ]
        return scene.things, frames, scene

    def _add(self, step: Step) -> None:
        self._bytes += len(to_json(step))
        if self._bytes > MAX_LOG_BYTES:
            self._stop("bytes")
        self.steps.append(step)
        if len(self.steps) >= MAX_STEPS:
            self._stop("steps")
        if self._output.is_full:
            self._stop("output")

    def _stop(self, cut: Cut) -> None:
        sys.settrace(None)
        self._full(cut)
        os._exit(1)  # a `full` that returned: the program must not go on unseen

    # --- the exception that ended the program -------------------------------------------------------------------------

    def _fault_of(self, error: BaseException) -> Fault:
        source, line = 0, 0
        traceback = error.__traceback__
        while traceback is not None:
            place = self._files.get(traceback.tb_frame.f_code.co_filename)
            if place is not None:
                source, line = place, traceback.tb_lineno
            traceback = traceback.tb_next
        return Fault(type(error).__name__, _message(error), source, line)


def _message(error: BaseException) -> str:
    text = fault_text(error)
    return text.removeprefix(type(error).__name__).removeprefix(": ")


def _is_unshown(code: CodeType) -> bool:
    """Whether code has no frame on screen: comprehensions, and the bodies of classes."""
    is_body = not code.co_flags & inspect.CO_OPTIMIZED and code.co_name != _MODULE
    return is_body or code.co_name in _COMPREHENSIONS


def _operation(frame: FrameType) -> int:
    """The operation that a frame stopped at."""
    return frame.f_code.co_code[frame.f_lasti]
