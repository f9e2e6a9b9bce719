"""The lessons' executions: made in processes of their own, a few at once, and kept until the server ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from app.lessons_wire import RecordRequest
from app.problems import ConflictError, NotFoundError
from loader_core.lessons import catalogue, recording
from loader_core.lessons.lesson import Lesson, LessonCard
from loader_core.lessons.recording import Order

AT_ONCE = 2
"""Executions at the same time: more would disturb what each measures."""

MAX_WAITING = 8
"""Executions that wait for their turn. One more is refused with 409."""

MAX_KEPT = 64
"""Logs that are kept, of 2 MB at most each. Past it the one that was asked for longest ago is forgotten."""

MINE = "mine"
"""The id of the user's own program, which only the command line can name."""

_Key = tuple[str, str, str, str]


class LessonRecorder:
    """Belongs to the event loop; used as a context manager, whose end ends every execution."""

    def __init__(self, *, mine: Path | None = None, call: str = "") -> None:
        """`mine`: a file of the user's own, from the command line; `call`: what of it is walked through."""
        self._mine = mine
        self._call = call
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._made: dict[_Key, asyncio.Task[bytes]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = list(self._made.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cards(self) -> list[LessonCard]:
        """The contents: the lessons in their order, and the user's own program where there is one."""
        cards = [lesson.card() for lesson in catalogue.lessons()]
        if self._mine is not None:
            cards.append(LessonCard(MINE, None, (), ("",), None, None, None))
        return cards

    async def log(self, name: str, asked: RecordRequest) -> bytes:
        """The log of that execution as JSON; made once for the same request, except of the user's own file, which may
        have changed.

        Raises NotFoundError, ParameterError, ConflictError when too many wait, LessonError when it came to no log.
        """
        if name == MINE:
            return await self._log_of_mine()
        lesson = find(name)
        parameters = lesson.checked(asked.parameters)
        key = (name, lesson.checked_variant(asked.variant), asked.language, repr(sorted(parameters.items())))
        task = self._made.pop(key, None)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            self._refuse_too_many()
            task = asyncio.create_task(self._record(lesson, asked))
        self._made[key] = task  # behind all others: the first is the one to forget
        self._forget_oldest()
        return await asyncio.shield(task)

    async def _log_of_mine(self) -> bytes:
        if self._mine is None:
            raise NotFoundError("no file of yours is open here: start with `loaderscope learn --mine FILE`")
        self._refuse_too_many()
        order = await asyncio.to_thread(recording.file_order, self._mine, self._call)
        key = (MINE, "", "", "")
        if key not in self._made or self._made[key].done():
            self._made[key] = asyncio.create_task(self._carry_out(order))
        return await asyncio.shield(self._made[key])

    async def _record(self, lesson: Lesson, asked: RecordRequest) -> bytes:
        with recording.lesson_order(
            lesson.id, variant=asked.variant, language=asked.language, parameters=asked.parameters
        ) as order:
            return await self._carry_out(order)

    async def _carry_out(self, order: Order) -> bytes:
        async with self._turns:
            return await carry_out(order)

    def _refuse_too_many(self) -> None:
        unfinished = sum(not task.done() for task in self._made.values())
        if unfinished >= AT_ONCE + MAX_WAITING:
            raise ConflictError(
                f"{unfinished} lessons are being recorded or wait for it, the most that this server takes: try again "
                "in a moment",
                code="lessons_busy",
            )

    def _forget_oldest(self) -> None:
        done = [key for key, task in self._made.items() if task.done()]
        for key in done[: max(0, len(self._made) - MAX_KEPT)]:
            del self._made[key]


def find(name: str) -> Lesson:
    """The lesson of that id. Raises NotFoundError."""
    if name not in catalogue.LESSONS:
        raise NotFoundError(f"there is no lesson {name!r}: GET /api/lessons has them")
    return catalogue.find(name)


async def carry_out(order: Order) -> bytes:
    """Runs an order and waits for its log, as JSON; its process ends with this call. Raises LessonError."""
    process = await asyncio.create_subprocess_exec(
        *order.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=recording.environment(),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(order.seconds):
            answer, said = await process.communicate(order.request.encode())
    except TimeoutError as error:
        raise recording.took_too_long(order) from error
    finally:
        recording.end_group(process.pid)
        await process.wait()
    assert process.returncode is not None
    return recording.checked_answer(order, process.returncode, answer, said)
