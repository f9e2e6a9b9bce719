"""What-if over HTTP: predictions from a recorded run, what cannot be asked, and the score that is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.scores import SCORES_FILE
from app.settings import Settings
from app.wire import RunSettings
from loader_core.trace.event import Kind, Role
from loader_core.trace.recorder import now
from loader_core.trace.recording import Recording
from tests.app.conftest import ORIGIN, TOKEN
from tests.diagnose.rows import CONSUMER, FIRST_WORKER, MAIN
from tests.diagnose.truth import Truth

ONE, FOUR, SHORT = "20261122-141503-0001", "20261122-141503-0004", "20261122-141503-0009"
TRUTH = Truth(make_ms=lambda _: 4.0, step_ms=1.0)
"""A worker waits 4 ms for a batch, and a step 1 ms for its device: four workers are as many as are of use."""


def write(directory: Path, workers: int, batches: int) -> None:
    """A run of `TRUTH` with so many workers, as its processes would have recorded it."""
    settings = RunSettings(num_workers=workers, batch_size=TRUTH.batch_size).model_dump(mode="json")
    rows = TRUTH.rows(workers, 2, batches)
    with Recording.create(directory, run_id=directory.name, settings=settings) as recording:
        recorders = {MAIN: recording.recorder(Role.MAIN), CONSUMER: recording.consumer}
        for worker in range(workers):
            recorders[FIRST_WORKER + worker] = recording.recorder(Role.WORKER, worker)
        begin = now()
        for row in rows:
            recorder, start, end = recorders[int(row["lane"])], begin + int(row["start"]), begin + int(row["end"])
            recorder.add(Kind(row["kind"]), int(row["batch"]), start, end, value=int(row["value"]))
        while now() < end:  # what was said to have happened happens before the recorders note their end
            time.sleep(0.001)


@pytest.fixture
def reader(settings: Settings) -> Iterator[TestClient]:
    for run, workers, batches in ((ONE, 1, 120), (FOUR, 4, 120), (SHORT, 1, 4)):
        write(settings.runs_home / run, workers, batches)
    with TestClient(create_app(settings), base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def test_more_workers_are_predicted_to_be_faster_until_the_step_is_the_limit(reader: TestClient) -> None:
    answer = reader.get(f"/api/runs/{ONE}/whatif", params={"num_workers": 4}).json()
    assert answer["now"]["num_workers"] == 1
    assert answer["asked"]["setting"]["num_workers"] == 4
    truth = [TRUTH.rate(workers, 2) * TRUTH.batch_size for workers in range(17)]
    curve = [prediction["samples_per_s"] for prediction in answer["curve"]]
    assert answer["now_per_s"] == pytest.approx(truth[1], rel=0.05)
    for workers in (1, 2, 3, 4, 8):
        assert curve[workers] == pytest.approx(truth[workers], rel=0.1), workers
        low, high = answer["curve"][workers]["low_per_s"], answer["curve"][workers]["high_per_s"]
        assert low <= truth[workers] <= high
    assert answer["surface"][4][1] == pytest.approx(curve[4], rel=0.02)
    assert (len(answer["surface"]), {len(row) for row in answer["surface"]}) == (17, {8})


def test_a_faster_part_is_asked_for_by_its_name(reader: TestClient) -> None:
    plain = reader.get(f"/api/runs/{ONE}/whatif").json()["asked"]["samples_per_s"]
    faster = reader.get(f"/api/runs/{ONE}/whatif", params={"faster": ["fetch:2"]}).json()["asked"]["samples_per_s"]
    assert faster == pytest.approx(2 * plain, rel=0.15)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"num_workers": 65}, "num_workers: Input should be less than or equal to 64"),
        ({"faster": ["fetch"]}, "faster.0: String should match pattern"),
        ({"faster": ["fetch:0"]}, "faster: fetch cannot be made 0 times faster: the factor is from 0.01 to 1000"),
        ({"faster": ["read:2"]}, "faster: read is not in this run, which has fetch, collate, send, step"),
        ({"workers": 2}, "workers: Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(reader: TestClient, asked: dict[str, object], message: str) -> None:
    answer = reader.get(f"/api/runs/{ONE}/whatif", params=asked)
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(message)


def test_too_few_batches_predict_nothing(reader: TestClient) -> None:
    answer = reader.get(f"/api/runs/{SHORT}/whatif")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_predictable")
    assert "let the run go on for longer" in answer.json()["message"]


def test_a_measured_prediction_counts_in_the_score_once(reader: TestClient, settings: Settings) -> None:
    assert reader.get("/api/predictions/score").json()["pairs"] == 0
    for _ in range(2):
        answer = reader.post(f"/api/runs/{ONE}/whatif/measured", params={"run": FOUR}).json()
    assert answer["samples_per_s"] == pytest.approx(TRUTH.rate(4, 2) * TRUTH.batch_size, rel=0.05)
    assert answer["predicted"]["setting"]["num_workers"] == 4
    assert answer["score"]["pairs"] == 1
    assert answer["score"]["inside"] == 1.0
    (line,) = (settings.home / SCORES_FILE).read_text().splitlines()
    assert json.loads(line)["setting"]["num_workers"] == 4


def test_the_verdict_comes_with_the_diagnosis(reader: TestClient) -> None:
    verdict = reader.get(f"/api/runs/{ONE}/diagnosis").json()["verdict"]
    top = verdict["findings"][0]
    assert verdict["setting"]["num_workers"] == 1
    assert top["code"] in ("too_few_workers", "storage_bound")
    assert verdict["wait_share"] == pytest.approx(0.75, abs=0.03)
    assert top["sentence"]["es"]
    assert top["refuted_by"]["en"]
    assert sum(finding["share"] or 0 for finding in verdict["findings"]) <= 1
