"""The HTTP routes over a recording that is known to the last event."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.order import RunOrder
from app.settings import Settings
from app.wire import FrameType, Preview, RunSettings, decode_frame
from loader_core.diagnose.metrics import Metrics
from loader_core.trace.event import Kind, Role
from loader_core.trace.recorder import now
from loader_core.trace.recording import Recording
from tests.app.conftest import ORIGIN, TOKEN

RUN = "20261122-141503-ab12"
MS = 1_000_000
BATCHES = 10
TOTAL_NS = 10 * BATCHES * MS


@dataclass
class Recorded:
    directory: Path
    begin: int
    """Run time of the first batch, ns."""


@pytest.fixture
def recorded(settings: Settings) -> Recorded:
    """A run of ten batches of eight samples: 4 ms of waiting and 6 ms of work each."""
    directory = settings.runs_home / RUN
    with Recording.create(directory, run_id=RUN, name="ten batches", classes=["cat"]) as recording:
        consumer, worker = recording.consumer, recording.recorder(Role.WORKER, 0)
        begin = now()
        for batch in range(BATCHES):
            at = begin + batch * 10 * MS
            worker.add(Kind.FETCH, batch, at, at + 3 * MS, value=MS)
            worker.add(Kind.SEND, batch, at + 3 * MS, at + 4 * MS, value=1000)
            consumer.add(Kind.WAIT_BATCH, batch, at, at + 4 * MS, value=0)
            consumer.add(Kind.STEP, batch, at + 4 * MS, at + 10 * MS, value=8)
        while now() < begin + TOTAL_NS:  # what was said to have happened happens before the recorders note their end
            time.sleep(0.001)
    return Recorded(directory, begin - recording.anchor_ns)


@pytest.fixture
def reader(recorded: Recorded, settings: Settings) -> Iterator[TestClient]:
    """A client of a server that has found that run."""
    with TestClient(create_app(settings), base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def test_the_run_is_listed_with_its_numbers(reader: TestClient) -> None:
    deadline = time.monotonic() + 20
    while not (run := reader.get(f"/api/runs/{RUN}").json())["batches"]:  # counted in the background
        assert time.monotonic() < deadline, run
        time.sleep(0.02)
    assert reader.get("/api/runs").json() == [run]
    assert (run["batches"], run["samples"]) == (BATCHES, 8 * BATCHES)
    assert run["duration_ns"] >= TOTAL_NS
    assert (run["state"], run["live"], run["name"], run["settings"]) == ("finished", False, "ten batches", None)


def test_spans_of_a_window_come_as_one_frame(reader: TestClient, recorded: Recorded) -> None:
    window = {"start_ns": recorded.begin + 10 * MS + 1, "end_ns": recorded.begin + 20 * MS - 1}
    answer = reader.get(f"/api/runs/{RUN}/spans", params=window)
    assert answer.headers["content-type"] == "application/octet-stream"
    header, rows = decode_frame(answer.content)
    assert (header.type, header.dropped) == (FrameType.SPANS, 0)
    assert set(rows["batch"].tolist()) == {1}
    assert sorted(rows["kind"].tolist()) == sorted([Kind.FETCH, Kind.SEND, Kind.WAIT_BATCH, Kind.STEP])
    step = rows[rows["kind"] == Kind.STEP][0]
    assert header.base_ns + step["start"] * header.unit_ns == recorded.begin + 14 * MS
    assert step["duration"] * header.unit_ns == 6 * MS


def test_of_too_many_spans_the_longest_are_kept_and_the_others_counted(reader: TestClient) -> None:
    header, rows = decode_frame(reader.get(f"/api/runs/{RUN}/spans", params={"limit": BATCHES}).content)
    everything, _ = decode_frame(reader.get(f"/api/runs/{RUN}/spans").content)
    assert set(rows["kind"].tolist()) == {Kind.STEP}
    assert header.dropped == everything.count - BATCHES
    assert np.all(np.diff(rows["start"].astype(np.int64)) >= 0)


def test_an_empty_window_is_an_empty_frame(reader: TestClient) -> None:
    header, _ = decode_frame(reader.get(f"/api/runs/{RUN}/spans", params={"start_ns": 10**15}).content)
    assert header.count == 0


@pytest.mark.parametrize("route", ["spans", "metrics"])
def test_a_window_that_ends_before_it_starts_is_refused(reader: TestClient, route: str) -> None:
    answer = reader.get(f"/api/runs/{RUN}/{route}", params={"start_ns": 5, "end_ns": 4})
    assert answer.status_code == 422
    assert answer.json() == {
        "code": "invalid",
        "message": "the window ends at 4 ns, before its start at 5 ns",
        "field": "end_ns",
    }


def test_metrics_are_those_of_the_window(reader: TestClient, recorded: Recorded) -> None:
    window = {"start_ns": recorded.begin, "end_ns": recorded.begin + TOTAL_NS}
    metrics = Metrics(**reader.get(f"/api/runs/{RUN}/metrics", params=window).json())
    assert (metrics.batches, metrics.samples, metrics.wait_share) == (BATCHES, 8 * BATCHES, 0.4)
    assert metrics.samples_per_s == pytest.approx(800)
    window["end_ns"] = recorded.begin + 50 * MS
    half = Metrics(**reader.get(f"/api/runs/{RUN}/metrics", params=window).json())
    assert half.batches == BATCHES / 2


def test_figures_come_in_both_languages_and_themes(reader: TestClient) -> None:
    answers = {
        (lang, theme): reader.get(f"/api/runs/{RUN}/figures", params={"lang": lang, "theme": theme}).json()
        for lang in ("es", "en")
        for theme in ("light", "dark")
    }
    for figures in answers.values():
        assert list(figures) == ["throughput", "queue", "waits"]
        assert all(figure["data"] and figure["layout"]["title"]["text"] for figure in figures.values())
    assert answers["es", "light"] != answers["en", "light"] != answers["en", "dark"]
    assert reader.get(f"/api/runs/{RUN}/figures", params={"lang": "fr"}).status_code == 422


def test_a_run_that_is_starting_has_empty_figures(settings: Settings) -> None:
    directory = settings.runs_home / RUN
    directory.mkdir(parents=True)
    RunOrder(settings=RunSettings()).write(directory)
    with TestClient(create_app(settings), base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        assert client.get(f"/api/runs/{RUN}").json()["state"] == "starting"
        assert list(client.get(f"/api/runs/{RUN}/figures").json()) == ["throughput", "queue", "waits"]
        answer = client.get(f"/api/runs/{RUN}/spans")
    assert (answer.status_code, answer.json()["code"]) == (409, "unreadable_run")


def test_previews_are_listed_and_their_sheets_sent(reader: TestClient, recorded: Recorded) -> None:
    assert reader.get(f"/api/runs/{RUN}/previews").json() == []
    assert reader.get(f"/api/runs/{RUN}/previews/1.jpg").status_code == 404
    folder = recorded.directory / "previews"
    folder.mkdir(exist_ok=True)
    preview = Preview(
        number=1,
        at_ns=5,
        batch=0,
        epoch=0,
        indices=[3],
        indices_total=1,
        labels=["<img src=x onerror=alert(1)>"],
        texts=[],
        leaves=[],
        sheet=True,
        tile=96,
        columns=1,
        tiles=1,
    )
    (folder / "000001.json").write_text(preview.model_dump_json())
    (folder / "000001.jpg").write_bytes(b"\xff\xd8 not really")
    assert reader.get(f"/api/runs/{RUN}/previews").json() == [preview.model_dump()]
    sheet = reader.get(f"/api/runs/{RUN}/previews/1.jpg")
    assert sheet.headers["content-type"] == "image/jpeg"
    assert sheet.content == b"\xff\xd8 not really"


@pytest.mark.parametrize("number", ["-1", "1000000", "1%2f..%2f..", "x", "1.jpg%00"])
def test_a_preview_is_a_number(reader: TestClient, number: str) -> None:
    assert reader.get(f"/api/runs/{RUN}/previews/{number}.jpg").status_code in (404, 422)


def test_exports(reader: TestClient) -> None:
    summary = reader.get(f"/api/runs/{RUN}/export/summary").json()
    assert (summary["id"], summary["batches"]) == (RUN, BATCHES)
    perfetto = reader.get(f"/api/runs/{RUN}/export/perfetto")
    assert f'filename="{RUN}.perfetto.json"' in perfetto.headers["content-disposition"]
    steps = [event for event in json.loads(perfetto.text)["traceEvents"] if event["name"] == "STEP"]
    assert [step["dur"] for step in steps] == [6000] * BATCHES


def test_an_export_that_fails_says_why(reader: TestClient, recorded: Recorded) -> None:
    (recorded.directory / "run.json").write_text("[]")
    answer = reader.get(f"/api/runs/{RUN}/export/perfetto")
    assert answer.status_code == 409
    assert answer.json()["code"] == "export_failed"
    assert "no run" in answer.json()["message"] or "cannot be read" in answer.json()["message"]


def test_what_is_unknown_is_said_so_on_every_route_of_a_run(reader: TestClient) -> None:
    for method, route in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/stop"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("GET", "/spans"),
        ("GET", "/metrics"),
        ("GET", "/figures"),
        ("GET", "/previews"),
        ("GET", "/previews/1.jpg"),
        ("GET", "/export/summary"),
        ("GET", "/export/perfetto"),
    ):
        answer = reader.request(method, f"/api/runs/nobody{route}")
        assert answer.status_code == 404, (method, route)
        assert answer.json() == {
            "code": "run_unknown",
            "message": "there is no run 'nobody'; it may have been deleted",
        }
    assert reader.patch("/api/runs/nobody/settings", json={}).status_code == 404


def test_what_has_ended_cannot_be_stopped_paused_or_changed(reader: TestClient) -> None:
    for route in ("stop", "pause", "resume"):
        answer = reader.post(f"/api/runs/{RUN}/{route}")
        assert (answer.status_code, answer.json()["code"]) == (409, "run_ended")
    answer = reader.patch(f"/api/runs/{RUN}/settings", json={"step_ms": 1})
    assert (answer.status_code, answer.json()["code"]) == (409, "run_ended")


def test_a_run_is_deleted(reader: TestClient, recorded: Recorded) -> None:
    assert reader.delete(f"/api/runs/{RUN}").status_code == 204
    assert not recorded.directory.exists()
    assert reader.get("/api/runs").json() == []


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"batch_size": 0}, "batch_size", "greater than or equal to 1"),
        ({"batch_size": 4097}, "batch_size", "less than or equal to 4096"),
        ({"prefetch_factor": 65}, "prefetch_factor", "less than or equal to 64"),
        ({"num_workers": -1}, "num_workers", "greater than or equal to 0"),
        ({"dials": {"cpu_ms": -1}}, "dials.cpu_ms", "greater than or equal to 0"),
        ({"batchsize": 1}, "batchsize", "not permitted"),
        ({"worker_method": "fibre"}, "worker_method", "'process' or 'thread'"),
    ],
)
def test_a_wrong_setting_is_named(client: TestClient, wrong: dict[str, object], field: str, said: str) -> None:
    answer = client.post("/api/runs", json=wrong)
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert said in answer.json()["message"]


def test_two_wrong_settings_are_counted(client: TestClient) -> None:
    message = client.post("/api/runs", json={"batch_size": 0, "prefetch_factor": 0}).json()["message"]
    assert message.endswith("(and 1 more)")


def test_capabilities_and_datasets(client: TestClient) -> None:
    capabilities = client.get("/api/capabilities").json()
    assert capabilities["role"] == "operator"
    assert capabilities["torch"].startswith("2.")
    assert capabilities["max_workers"] == min(64, 4 * capabilities["cpus"])
    assert "default" in capabilities["contexts"]
    datasets = {entry["id"]: entry for entry in client.get("/api/datasets").json()}
    assert RunSettings().dataset in datasets
    assert set(datasets["photographs"]["title"]) == {"es", "en"}


def test_the_users_own_samples_have_ids_that_tell_no_path(settings: Settings, tmp_path: Path) -> None:
    mine = tmp_path / "secret-folder"
    mine.mkdir()
    np.save(mine / "rows.npy", np.zeros((10, 3), np.float32))
    with_data = settings.model_copy(update={"data": (mine,)})
    with TestClient(create_app(with_data), base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        found = [entry for entry in client.get("/api/datasets").json() if entry["kind"] == "array"]
    assert len(found) == 1
    assert "secret-folder" not in found[0]["id"]
    assert str(tmp_path) not in json.dumps(found)
