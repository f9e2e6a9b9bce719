"""The Learn view's routes: what they record, refuse, keep and never run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from app import lessons
from app.lessons import LessonRecorder
from app.lessons_wire import RecordRequest
from app.main import create_app
from app.problems import ConflictError
from app.settings import Settings
from loader_core.lessons.catalogue import lessons as all_lessons
from loader_core.lessons.log import Log, from_json
from tests.app.conftest import ORIGIN, TOKEN, VIEW_TOKEN


def record(client: TestClient, lesson: str, **asked: Any) -> Any:
    return client.post(f"/api/lessons/{lesson}/record", json=asked)


def test_the_contents_name_every_lesson_and_what_may_be_chosen(client: TestClient) -> None:
    cards = client.get("/api/lessons").json()
    assert [card["id"] for card in cards] == [lesson.id for lesson in all_lessons()]
    (generator,) = (card for card in cards if card["id"] == "03-generator")
    assert generator["parameters"][0]["max"] == 40
    assert generator["variants"] == ["take", "take-until", "take-all"]


def test_a_log_comes_as_the_wire_says(client: TestClient) -> None:
    answer = record(client, "02-iterator", variant="two-classes", language="es", parameters={"word": "datos"})
    assert answer.status_code == 200
    TypeAdapter(Log).validate_json(answer.content, strict=False)
    log = from_json(answer.content)
    assert (log.lesson, log.variant, log.language, log.parameters) == (
        "02-iterator",
        "two-classes",
        "es",
        {"word": "datos"},
    )
    assert any("promete" in line for line in log.sources[0].lines)


def test_the_same_request_is_recorded_once(client: TestClient) -> None:
    first, again = (record(client, "02-iterator").content for _ in range(2))
    assert first == again, "the times in two recordings differ"
    assert record(client, "02-iterator", language="es").content != first


@pytest.mark.parametrize(
    ("asked", "field", "text"),
    [
        ({"parameters": {"word": "zzz"}}, "word", "word is 'zzz', but must be one of abc, python, datos"),
        ({"parameters": {"word": "__import__('os')"}}, "word", "must be one of"),
        ({"parameters": {"nothing": 1}}, "nothing", "has no parameter 'nothing'"),
        ({"variant": "print(1)"}, "variant", "has no variant 'print(1)'"),
        ({"language": "fr"}, "language", ""),
        ({"code": "print(1)"}, "code", "Extra inputs are not permitted"),
        ({"file": "/etc/passwd"}, "file", "Extra inputs are not permitted"),
        ({"variant": "x" * 41}, "variant", "at most 40"),
    ],
)
def test_only_names_and_bounded_values_are_taken(
    asked: dict[str, Any], field: str, text: str, client: TestClient
) -> None:
    answer = record(client, "02-iterator", **asked)
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert text in answer.json()["message"]


@pytest.mark.parametrize("name", ["nope", "..", "mine", "02-iterator.py", "record"])
def test_what_is_no_lesson_is_not_there(name: str, client: TestClient) -> None:
    assert record(client, name).status_code in (404, 405)
    assert client.get(f"/api/lessons/{name}/notebook").status_code in (404, 405)


def test_who_may_only_look_reads_the_contents_and_records_nothing(anyone: TestClient) -> None:
    assert record(anyone, "02-iterator").status_code in (401, 403)
    anyone.headers["authorization"] = f"Bearer {VIEW_TOKEN}"
    assert anyone.get("/api/lessons").status_code == 200
    assert anyone.get("/api/lessons/02-iterator/notebook").status_code == 200
    assert record(anyone, "02-iterator").json()["code"] == "view_only"


def test_a_notebook_is_a_file_to_keep(client: TestClient) -> None:
    answer = client.get("/api/lessons/02-iterator/notebook?language=es")
    assert answer.headers["content-type"] == "application/x-ipynb+json"
    assert 'filename="02-iterator.es.ipynb"' in answer.headers["content-disposition"]
    assert json.loads(answer.content)["nbformat"] == 4


# --- the user's own program -------------------------------------------------------------------------------------------


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Iterator[tuple[TestClient, Path]]:
    file = tmp_path / "own.py"
    file.write_text("def twice():\n    yield 1\n    yield 2\n")
    with TestClient(create_app(settings, mine=file, call="twice()"), base_url=ORIGIN) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        yield client, file


def test_a_program_of_ones_own_is_stepped_through_as_it_is_now(own: tuple[TestClient, Path]) -> None:
    client, file = own
    assert client.get("/api/lessons").json()[-1]["id"] == "mine"
    assert from_json(record(client, "mine").content).sources[0].lines[-1] == "    yield 2"
    file.write_text(file.read_text() + "    yield 3\n")
    assert from_json(record(client, "mine").content).sources[0].lines[-1] == "    yield 3"


def test_what_went_wrong_with_it_is_said(own: tuple[TestClient, Path]) -> None:
    client, file = own
    file.write_text("import os\nos._exit(4)\n")
    answer = record(client, "mine")
    assert (answer.status_code, answer.json()["code"]) == (409, "lesson_failed")
    assert "own.py: its process ended with exit code 4" in answer.json()["message"]


# --- how many at once -------------------------------------------------------------------------------------------------


class Held:
    """Stands in for the process of an execution, to see how many there are at once."""

    def __init__(self) -> None:
        self.running = self.most = self.made = 0
        self.go = asyncio.Event()
        self.begun = asyncio.Semaphore(0)

    async def carry_out(self, _: object) -> bytes:
        self.running += 1
        self.made += 1
        self.most = max(self.most, self.running)
        self.begun.release()
        try:
            await self.go.wait()
        finally:
            self.running -= 1
        return b"{}"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held()
    monkeypatch.setattr(lessons, "carry_out", held.carry_out)
    return held


def ask(recorder: LessonRecorder, count: int) -> asyncio.Task[bytes]:
    return asyncio.create_task(recorder.log("03-generator", RecordRequest(parameters={"count": count})))


def test_a_few_run_some_wait_and_one_more_is_refused(held: Held) -> None:
    async def busy() -> None:
        async with LessonRecorder() as recorder:
            tasks = [ask(recorder, count + 1) for count in range(lessons.AT_ONCE + lessons.MAX_WAITING)]
            same = ask(recorder, 1)
            for _ in range(lessons.AT_ONCE):
                await held.begun.acquire()
            with pytest.raises(ConflictError, match="10 lessons are being recorded or wait for it, the most"):
                await ask(recorder, 40)
            held.go.set()
            assert await asyncio.gather(*tasks, same) == [b"{}"] * 11
            assert (held.most, held.made) == (lessons.AT_ONCE, 10)

    asyncio.run(busy())


def test_a_client_that_goes_ends_nothing_and_the_server_ends_all(held: Held) -> None:
    async def leave() -> None:
        async with LessonRecorder() as recorder:
            gone, stays = ask(recorder, 1), ask(recorder, 1)
            await held.begun.acquire()
            gone.cancel()
            await asyncio.sleep(0)
            assert held.running == 1
        assert held.running == 0
        assert (await asyncio.gather(stays, return_exceptions=True))[0] is not None

    asyncio.run(leave())


def test_no_more_logs_are_kept_than_there_is_room_for(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lessons, "MAX_KEPT", 2)
    held.go.set()

    async def fill() -> None:
        async with LessonRecorder() as recorder:
            for count in (1, 2, 3, 3, 2, 1):
                await ask(recorder, count)
        assert held.made == 4, "3 and 2 were kept, and the first was forgotten"

    asyncio.run(fill())
