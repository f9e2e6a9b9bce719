"""The diagnosis of runs: over HTTP, bounded and kept; and on the terminal, in both languages."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from starlette.testclient import TestClient

from app import diagnosis as diagnoses
from app.cli import main
from app.diagnosis import limits_of
from app.main import create_app
from app.settings import Settings
from app.summary import diagnose_run, print_summary, system_lang
from loader_core.diagnose import rules_hang, stored
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.stored import read_excerpt
from loader_core.trace.event import Kind, Role
from loader_core.trace.facts import append_fact
from loader_core.trace.names import name_number
from loader_core.trace.recorder import now
from loader_core.trace.recording import Recording
from loader_core.trace.trace import Trace
from tests.app.conftest import ORIGIN, TOKEN

RUN = "20261122-141503-ab12"
MS = 1_000_000
BATCHES = 12
SLOW = 7


@pytest.fixture
def directory(settings: Settings) -> Path:
    """Twelve batches, each read in 4 ms but one in 60, of which sample 4711 took 50; and a stream that repeats."""
    directory = settings.runs_home / RUN
    with Recording.create(directory, run_id=RUN, name="train.py:41") as recording:
        main_lane, consumer, worker = (
            recording.recorder(Role.MAIN),
            recording.consumer,
            recording.recorder(Role.WORKER, 0),
        )
        worker.add_stage("decode", now())  # makes the name known
        at = begin = now()
        for batch in range(BATCHES):
            read = at + (60 if batch == SLOW else 4) * MS
            main_lane.add(Kind.DISPATCH, batch, at, at, value=1)
            if batch == SLOW:
                stamps = [at, at + 50 * MS, read]
                worker.add_items(batch, [4711, 3], stamps)
                worker.add(Kind.STAGE, batch, at, at + 50 * MS, value=name_number("decode"), sample=4711)
            worker.add(Kind.FETCH, batch, at, read, value=MS)
            worker.add(Kind.SEND, batch, read, read, value=1000)
            consumer.add(Kind.WAIT_BATCH, batch, at, read, value=0)
            consumer.add(Kind.STEP, batch, read, read + 6 * MS, value=8)
            at = read + 6 * MS
        for number in range(2):
            append_fact(directory, {"kind": "stream", "worker": number, "epoch": 0, "first": ["a", "b"]})
        while now() < at:  # what was said to have happened happens before the recorders note their end
            time.sleep(0.001)
    assert begin
    return directory


@pytest.fixture
def reader(directory: Path, settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        yield client


# --- over HTTP --------------------------------------------------------------------------------------------------------


def test_a_stall_comes_with_its_cause(reader: TestClient) -> None:
    answer = reader.get(f"/api/runs/{RUN}/diagnosis").json()
    worst = answer["stalls"][0]
    assert (worst["batch"], worst["wait_ns"], worst["cause"], worst["worker"]) == (SLOW, 60 * MS, "fetch", 0)
    assert (worst["item"]["sample"], worst["item"]["duration_ns"]) == (4711, 50 * MS)
    assert worst["stage"]["name"] == "decode"
    assert worst["sentence"]["en"].startswith("The loop waited 60 ms for batch 7 (epoch 0): for 60 ms of that worker 0")
    assert worst["sentence"]["es"].startswith("El bucle esperó 60 ms al lote 7 (época 0)")
    assert answer["stall_count"] == BATCHES
    assert answer["budget"]["steps"] == BATCHES
    assert sum(part["total_ns"] for part in answer["budget"]["parts"]) == answer["budget"]["elapsed_ns"]
    assert [finding["code"] for finding in answer["findings"]] == ["REPEATED_STREAM"]
    assert {"memory", "files", "places"} <= {missing["what"] for missing in answer["not_measured"]}
    assert not answer["shortened"]


def test_a_window_is_diagnosed_by_itself(reader: TestClient) -> None:
    whole = reader.get(f"/api/runs/{RUN}/diagnosis").json()
    slow = whole["stalls"][0]
    window = {"start_ns": slow["start_ns"], "end_ns": slow["end_ns"]}
    part = reader.get(f"/api/runs/{RUN}/diagnosis", params=window).json()
    assert [stall["batch"] for stall in part["stalls"]] == [SLOW]
    assert part["stalls"][0] == slow
    assert (part["start_ns"], part["end_ns"], part["budget"]) == (slow["start_ns"], slow["end_ns"], None)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ({"start_ns": 5, "end_ns": 4}, "the window ends at 4 ns, before its start at 5 ns"),
        ({"start_ns": "soon"}, "start_ns: Input should be a valid integer"),
        ({"end_ns": 2**60}, "end_ns: Input should be less than or equal to"),
    ],
)
def test_a_bad_window_is_refused_in_words(reader: TestClient, window: dict[str, object], message: str) -> None:
    answer = reader.get(f"/api/runs/{RUN}/diagnosis", params=window)
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(message)


def test_a_run_that_is_not_there_has_no_diagnosis(reader: TestClient) -> None:
    answer = reader.get("/api/runs/nowhere/diagnosis")
    assert (answer.status_code, answer.json()["code"]) == (404, "run_unknown")


def test_a_diagnosis_is_made_once_while_nothing_changes(reader: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    examine = diagnoses.examine
    monkeypatch.setattr(diagnoses, "examine", lambda *args, **named: made.append(1) or examine(*args, **named))
    monkeypatch.setattr(diagnoses, "LIFE_S", 0.0)
    monkeypatch.setattr(diagnoses, "LIFE_FACTOR", 0.0)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(reader.get(f"/api/runs/{RUN}/diagnosis").text)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(answers)) == 1
    reader.get(f"/api/runs/{RUN}/diagnosis", params={"start_ns": 1})
    assert len(made) == 2


def test_only_so_many_diagnoses_are_kept(reader: TestClient) -> None:
    for start in range(diagnoses.MAX_KEPT + 5):
        reader.get(f"/api/runs/{RUN}/diagnosis", params={"start_ns": start})
    assert len(reader.app.state.diagnoses._made) == diagnoses.MAX_KEPT  # type: ignore[attr-defined]


def test_a_live_run_that_is_stuck_is_told_so_though_nothing_happens_any_more(
    reader: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LIFE_S", 0.0), ("LIFE_FACTOR", 0.0), ("QUIET_NS", 1)):
        monkeypatch.setattr(diagnoses, name, value)
    monkeypatch.setattr(rules_hang, "HANG_NS", 50 * MS)
    run_id = "20261122-150000-cd34"
    with Recording.create(settings.runs_home / run_id, run_id=run_id, name="train.py:41") as recording:
        main_lane, worker = recording.recorder(Role.MAIN), recording.recorder(Role.WORKER, 0)
        at = now()
        main_lane.add(Kind.DISPATCH, 0, at, at, value=1)
        recording.consumer.add(Kind.WAIT_BATCH, 0, at, at + MS, value=0)
        main_lane.add(Kind.DISPATCH, 1, at, at, value=1)
        worker.add(Kind.WAIT_TASK, 1, at, at + MS)
        recording.consumer.add(Kind.STEP, 0, at + MS, at + 2 * MS, value=8)
        deadline = time.monotonic() + 20
        while reader.get(f"/api/runs/{run_id}/diagnosis").status_code == 404:  # the server has not found it yet
            assert time.monotonic() < deadline
            time.sleep(0.05)
        waited = []
        for _ in range(2):
            time.sleep(0.1)
            answer = reader.get(f"/api/runs/{run_id}/diagnosis")
            assert answer.status_code == 200, answer.text
            top = answer.json()["verdict"]["findings"][0]
            assert top["code"] == "hang"
            assert top["sentence"]["en"].endswith(" Worker 0 was reading its samples.")
            waited.append(top["evidence"][0]["value"])
        assert 100 * MS < waited[0] < waited[0] + 100 * MS <= waited[1]


# --- what is read -----------------------------------------------------------------------------------------------------


def test_of_too_long_a_window_the_newest_part_is_diagnosed_and_that_is_said(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = Trace.open(directory)
    whole = read_excerpt(trace, 0)
    assert not whole.shortened
    assert whole.start_ns == 0
    monkeypatch.setattr(stored, "MAX_ROWS", len(whole.rows) // 2)
    short = read_excerpt(trace, 0)
    assert short.shortened
    assert 0 < short.start_ns < short.end_ns == whole.end_ns
    inside = whole.rows[(whole.rows["end"] > short.start_ns) & (whole.rows["kind"] == Kind.STEP)]
    assert set(inside["batch"].tolist()) <= set(short.of(Kind.STEP)["batch"].tolist())


def test_a_batch_waited_for_early_in_a_window_has_its_whole_journey(directory: Path) -> None:
    trace = Trace.open(directory)
    begin = int(trace.window(0, trace.duration_ns, {Kind.FETCH})["end"][SLOW])
    excerpt = read_excerpt(trace, begin - 1, begin)
    assert SLOW in excerpt.of(Kind.DISPATCH)["batch"]


def test_limits_of_a_recording_are_those_that_were_noted(directory: Path) -> None:
    facts = Facts.of([{"kind": "limits", "files": 1_024, "memory_bytes": 1 << 30}])
    past = limits_of(facts, here=False)
    assert (past.files, past.memory_bytes, past.memory_available_bytes, past.shm_free_bytes) == (
        1_024,
        1 << 30,
        None,
        None,
    )
    present = limits_of(facts, here=True)
    assert present.memory_available_bytes
    assert present.memory_available_bytes > 0


# --- on the terminal --------------------------------------------------------------------------------------------------


def printed(directory: Path, **options: object) -> str:
    screen = Console(file=io.StringIO(), width=160, color_system=None)
    print_summary(directory, screen, **options)  # type: ignore[arg-type]
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_the_summary_tells_it_in_english_and_spanish(directory: Path) -> None:
    english, spanish = (printed(directory, lang=lang) for lang in ("en", "es"))
    for text in (
        "Where a step goes",
        "The loop waited 60 ms for batch 7",
        "4,711",
        "Error REPEATED_STREAM",
        "Not measured",
    ):
        assert text in english
    for text in (
        "A dónde va un paso",
        "El bucle esperó 60 ms al lote 7",
        "4.711",
        "Error REPEATED_STREAM",
        "No se midió",
    ):
        assert text in spanish
    assert "The " not in spanish
    brief = printed(directory, lang="en", brief=True)
    assert "Where a step goes" in brief
    assert "REPEATED_STREAM" in brief
    assert "Not measured" not in brief
    assert len(brief) < len(english)


def test_the_same_diagnosis_is_on_the_page_and_on_the_terminal(reader: TestClient, directory: Path) -> None:
    page = reader.get(f"/api/runs/{RUN}/diagnosis").json()
    assert [stall["sentence"]["en"] for stall in page["stalls"]] == [
        stall.sentence.en for stall in diagnose_run(directory).stalls
    ]


@pytest.mark.parametrize(
    ("environ", "lang"),
    [
        ({"LANG": "es_ES.UTF-8"}, "es"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "es_ES", "LC_ALL": "C"}, "en"),
        ({"LC_MESSAGES": "es_MX", "LANG": "C"}, "es"),
        ({}, "en"),
    ],
)
def test_the_language_is_that_of_the_locale(environ: dict[str, str], lang: str) -> None:
    assert system_lang(environ) == lang


def test_the_command_takes_a_run_by_its_directory(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", str(directory), "--lang", "es"]) == 0
    assert "A dónde va un paso" in capsys.readouterr().out
    assert main(["summary", "nowhere"]) == 2
    assert "there is no run 'nowhere'" in capsys.readouterr().err


def test_a_run_of_nothing_has_a_summary(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="run"):
        pass
    text = printed(tmp_path / "run", lang="en")
    assert "No step ended in this window." in text
    assert "Nothing to object to in what was seen." in text
