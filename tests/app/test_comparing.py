"""The comparison of two runs over HTTP: what it says, and what it takes to draw both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.comparing import _together
from app.order import RunOrder
from app.settings import Settings
from app.wire import Dials, RunSettings
from loader_core.trace.event import Kind
from loader_core.trace.recording import Recording

FIRST, SECOND = "20261122-141503-aaaa", "20261122-141603-bbbb"
MS = 1_000_000


def record(home: Path, name: str, settings: RunSettings, *, step_ms: int) -> None:
    directory = home / name
    with Recording.create(directory, run_id=name, settings=settings.model_dump(mode="json")) as recording:
        at = recording.anchor_ns
        for batch in range(120):
            middle, end = at + step_ms * MS // 2, at + (step_ms + batch % 3 - 1) * MS
            recording.consumer.add(Kind.WAIT_BATCH, batch, at, middle)
            recording.consumer.add(Kind.STEP, batch, middle, end, value=32)
            at = end
    RunOrder(settings=settings).write(directory)


@pytest.fixture
def compared(settings: Settings, app: FastAPI) -> Iterator[TestClient]:
    record(settings.runs_home, FIRST, RunSettings(num_workers=1), step_ms=20)
    record(settings.runs_home, SECOND, RunSettings(num_workers=2, dials=Dials(cpu_ms=1)), step_ms=10)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        client.headers["authorization"] = "Bearer an-operator-token-0123456789"
        yield client


def test_two_runs_are_told_apart_with_their_differences_and_curves(compared: TestClient) -> None:
    answer = compared.get("/api/comparison", params={"before": FIRST, "after": SECOND})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["rate"]["judgement"] == "faster"
    assert found["rate"]["low"] <= 2 <= found["rate"]["high"]
    differences = {each["name"]: (each["before"], each["after"]) for each in found["differences"]}
    assert differences["num_workers"] == (1, 2)
    assert differences["dials.cpu_ms"] == (0, 1)
    assert "batch_size" not in differences
    for side, run, rate in (("before", FIRST, 1600), ("after", SECOND, 3200)):
        one = found[side]
        assert one["run"]["id"] == run
        assert one["rate"]["samples_per_s"] == pytest.approx(rate, rel=0.05)
        assert one["wait_share"] == pytest.approx(0.5, abs=0.05)
        assert [lane["role"] for lane in one["lanes"]] == ["consumer"]
        whole_s = len(one["curve"]) * one["bucket_ns"] / 1e9
        assert sum(one["curve"]) * one["bucket_ns"] / 1e9 == pytest.approx(120 * 32)
        assert whole_s >= 120 * 32 / rate


def test_the_same_run_twice_is_no_change(compared: TestClient) -> None:
    found = compared.get("/api/comparison", params={"before": FIRST, "after": FIRST}).json()
    assert found["differences"] == []
    assert found["rate"]["judgement"] in ("same", "unknown")


def test_a_run_that_is_not_there_is_named(compared: TestClient) -> None:
    answer = compared.get("/api/comparison", params={"before": FIRST, "after": "nobody"})
    assert (answer.status_code, answer.json()["code"]) == (404, "run_unknown")


def test_a_point_of_a_curve_is_of_several_batches() -> None:
    assert _together(50, 50, 1000) == 1
    assert _together(50, 40, 20) == 6  # one batch in two buckets
    assert _together(12_000, 12_000, 10**6) == 10
    assert _together(0, 0, 0) == 1
