"""Sweeps: what is refused, and a small one with real runs from beginning to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.host import Host
from app.problems import ConflictError, NotFoundError, RequestError
from app.runs import RunStore
from app.settings import Settings
from app.sweep import Sweeps, allowed, cell_settings, check
from app.sweep_wire import PARAMETERS, Sweep, SweepAxis, SweepRequest
from app.wire import RunSettings
from loader_core.diagnose.rates import ratio, steady_rate, told_apart
from loader_core.trace.event import NO_BATCH, Kind
from loader_core.trace.trace import ROW_DTYPE
from tests.app.conftest import VIEW_TOKEN
from tests.app.stores import ENDLESS

BASE = RunSettings(dataset="gapminder", consumer="step", step_ms=1, batch_size=64, detail="batch")
WORKERS = SweepAxis(name="num_workers", values=[0, 1])
BATCHES = SweepAxis(name="batch_size", values=[32, 64])
SMALL = SweepRequest(settings=BASE, x=WORKERS, y=BATCHES, seconds=1)
DEADLINE_S = 120.0


@asynccontextmanager
async def sweeping(settings: Settings) -> AsyncIterator[tuple[RunStore, Sweeps]]:
    host = Host(settings.data)
    async with RunStore(settings, host) as store:
        sweeps = Sweeps(store, host)
        try:
            yield store, sweeps
        finally:
            await sweeps.close()


async def until_over(sweeps: Sweeps, sweep_id: str) -> Sweep:
    async with asyncio.timeout(DEADLINE_S):
        while (sweep := await sweeps.sweep(sweep_id)).state == "running":
            assert sum(cell.state == "running" for cell in sweep.cells) <= 1
            await asyncio.sleep(0.1)  # a poll with a deadline, as the page's
    return sweep


# --- what is refused --------------------------------------------------------------------------------------------------


def refused(request: SweepRequest) -> tuple[str, str]:
    with pytest.raises(RequestError) as error:
        check(request)
    assert error.value.status == 422
    return error.value.field, str(error.value)


def test_a_value_out_of_bounds_is_named_with_what_is_allowed() -> None:
    wrong = SMALL.model_copy(update={"y": SweepAxis(name="batch_size", values=[0, 32])})
    field, message = refused(wrong)
    assert field == "batch_size"
    assert "0 will not do" in message
    assert "allowed: 1 to 4096, whole numbers" in message


def test_a_dial_is_named_with_its_group() -> None:
    wrong = SMALL.model_copy(update={"y": SweepAxis(name="dials.cpu_ms", values=[-1.0, 2.0])})
    field, message = refused(wrong)
    assert field == "dials.cpu_ms"
    assert "allowed: 0 to 10000" in message


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"x": SweepAxis(name="dataset", values=["a", "b"])}, "x.name", "cannot be swept"),
        ({"y": WORKERS}, "y.name", "choose two"),
        ({"x": SweepAxis(name="num_workers", values=[1, 1])}, "x.values", "twice"),
        ({"x": SweepAxis(name="prefetch_factor", values=list(range(1, 20)))}, "x.values", "2 to 36"),
        (
            {"x": SweepAxis(name="num_workers", values=[1]), "y": SweepAxis(name="seed", values=[1])},
            "x.values",
            "2 to 36",
        ),
    ],
)
def test_what_is_no_grid_is_refused(change: dict[str, SweepAxis], field: str, words: str) -> None:
    found, message = refused(SMALL.model_copy(update=change))
    assert found == field
    assert words in message


def test_every_parameter_says_what_it_allows_and_can_be_set() -> None:
    for name in PARAMETERS:
        assert allowed(name).startswith("allowed: ")
    request = SMALL.model_copy(update={"y": SweepAxis(name="dials.storage_latency_ms", values=[2.5, 10_000.0])})
    settings = cell_settings(request, (1, 2.5), "00ff")
    assert settings.dials.storage_latency_ms == 2.5
    assert settings.num_workers == 1
    assert (settings.seconds, settings.epochs) == (1, 0)
    assert settings.name == "sweep 00ff: num_workers=1, dials.storage_latency_ms=2.5"


def test_the_longest_name_of_a_cell_is_a_name() -> None:
    longest = SMALL.model_copy(
        update={
            "x": SweepAxis(name="multiprocessing_context", values=["forkserver"]),
            "y": SweepAxis(name="dials.storage_latency_ms", values=[9999.5, 1.0]),
        }
    )
    assert len(cell_settings(longest, ("forkserver", 9999.5), "00ff").name) <= 80


def test_the_routes_answer_with_the_field(client: TestClient) -> None:
    body = SMALL.model_dump(mode="json") | {"y": {"name": "batch_size", "values": [100_000]}}
    answer = client.post("/api/sweeps", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "batch_size")
    assert client.post("/api/sweeps", json=body | {"seconds": 0}).json()["field"] == "seconds"
    assert client.get("/api/sweeps/0000").json()["code"] == "sweep_unknown"
    assert client.post("/api/sweeps/0000/cancel").status_code == 404
    assert client.delete("/api/sweeps/0000").status_code == 404
    assert client.get("/api/sweeps").json() == []


def test_who_may_only_look_begins_and_deletes_none(client: TestClient) -> None:
    client.headers["authorization"] = f"Bearer {VIEW_TOKEN}"
    assert client.get("/api/sweeps").status_code == 200
    assert client.post("/api/sweeps", json=SMALL.model_dump(mode="json")).status_code == 403
    assert client.post("/api/sweeps/0000/cancel").status_code == 403
    assert client.delete("/api/sweeps/0000").status_code == 403


# --- with real runs ---------------------------------------------------------------------------------------------------


def test_a_sweep_runs_each_cell_once_is_found_again_and_goes_with_its_runs(settings: Settings) -> None:
    async def body() -> None:
        async with sweeping(settings) as (store, sweeps):
            begun = await sweeps.start(SMALL)
            assert begun.state == "running"
            assert [cell.state for cell in begun.cells] == ["waiting"] * 4
            with pytest.raises(ConflictError, match="going on"):
                await sweeps.start(SMALL)
            with pytest.raises(ConflictError, match="cancel it first"):
                await sweeps.delete(begun.id)
            ended = await until_over(sweeps, begun.id)
            assert ended.state == "finished"
            assert [cell.state for cell in ended.cells] == ["done"] * 4, [cell.reason for cell in ended.cells]
            assert len({cell.run for cell in ended.cells}) == 4
            assert not any(cell.disturbed for cell in ended.cells)
            for cell in ended.cells:
                run = store.summary(cell.run).settings
                assert run is not None
                assert (run.num_workers, run.batch_size) == (WORKERS.values[cell.x], BATCHES.values[cell.y])
                assert cell.rate is not None
            assert ended.best is not None
            rates = [cell.rate.samples_per_s for cell in ended.cells if cell.rate]
            assert rates[ended.best] == max(rates)
        async with sweeping(settings) as (store, sweeps):
            (again,) = await sweeps.all()
            assert (again.id, again.state, again.cells) == (ended.id, "finished", ended.cells)
            assert (again.x, again.y) == (WORKERS, BATCHES)
            await sweeps.delete(again.id)
            assert store.summaries() == []
            with pytest.raises(NotFoundError):
                await sweeps.sweep(again.id)

    asyncio.run(body())


def test_a_cancelled_sweep_ends_its_run_and_begins_no_other(settings: Settings) -> None:
    async def body() -> None:
        async with sweeping(settings) as (store, sweeps):
            begun = await sweeps.start(SMALL.model_copy(update={"seconds": 60}))
            async with asyncio.timeout(DEADLINE_S):
                version = -1
                while not any(run.state == "running" for run in store.summaries()):
                    version = await store.changed(version)
            cancelled = await sweeps.cancel(begun.id)
            assert cancelled.state == "stopped"
            assert sorted(cell.state for cell in cancelled.cells) == ["stopped", "waiting", "waiting", "waiting"]
            assert cancelled.best is None
            assert len(store.summaries()) == 1
            with pytest.raises(ConflictError, match="has ended"):
                await sweeps.cancel(begun.id)

    asyncio.run(body())


def test_no_cell_begins_while_another_run_goes_on(settings: Settings) -> None:
    async def body() -> None:
        async with sweeping(settings) as (store, sweeps):
            other = await store.start(ENDLESS)
            begun = await sweeps.start(SMALL)
            await asyncio.sleep(0.2)
            waiting = await sweeps.sweep(begun.id)
            assert waiting.waits_for == other.id
            assert len(store.summaries()) == 1
            cancelled = await sweeps.cancel(begun.id)
            assert {cell.state for cell in cancelled.cells} == {"waiting"}
            await store.stop(other.id)

    asyncio.run(body())


# --- rates ------------------------------------------------------------------------------------------------------------


def steps(gaps_ms: list[float], samples: int = 10) -> np.ndarray:
    rows = np.zeros(len(gaps_ms), ROW_DTYPE)
    rows["kind"] = Kind.STEP
    rows["end"] = (np.cumsum(gaps_ms) * 1e6).astype(np.int64)
    rows["start"] = rows["end"] - 100
    rows["value"] = samples
    return rows


def test_the_rate_is_that_after_the_warm_up() -> None:
    found = steady_rate(steps([400.0, *[40.0] * 10, *[10.0] * 160]))
    assert found is not None
    assert found.samples_per_s == pytest.approx(1000, rel=0.01)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.samples_per_s <= found.high


def epochs(*lengths: int, left: bool) -> np.ndarray:
    """Epochs of batches of 10 samples that take 10 ms each, and 50 ms between two epochs; the last one is `left`."""
    gaps = [60.0 if number == 0 else 10.0 for length in lengths for number in range(length)]
    rows = steps(gaps)
    rows["epoch"] = np.repeat(np.arange(len(lengths)), lengths)
    ends = rows[np.cumsum(lengths) - 1].copy()
    ends["kind"], ends["batch"] = Kind.WAIT_BATCH, NO_BATCH
    ends["start"] = ends["end"]
    ends["end"][:-1] += 1000  # who leaves does not wait for the end
    ends["end"][-1] += 0 if left else 1000
    return np.concatenate([rows, ends])


@pytest.mark.parametrize("lengths", [(25, 2), (25, 25, 2), (25, 25, 24)])
def test_an_epoch_that_was_broken_off_is_no_whole_epoch(lengths: tuple[int, ...]) -> None:
    found = steady_rate(epochs(*lengths, left=True))
    assert found is not None
    whole = lengths[1:-1]
    assert found.batches == (25 if whole else 21)
    assert found.samples_per_s == pytest.approx(25 * 10 / 0.3 if whole else 21 * 10 / 0.26, rel=0.01)


@pytest.mark.parametrize(("lengths", "left"), [((25, 25, 25), True), ((25, 25, 2), False)])
def test_an_epoch_that_is_left_as_early_as_another_is_whole(lengths: tuple[int, ...], left: bool) -> None:
    found = steady_rate(epochs(*lengths, left=left))
    assert found is not None
    assert found.batches == sum(lengths[1:])


def test_pauses_are_no_time_of_the_loop() -> None:
    rows = steps([10.0] * 60 + [5010.0] + [10.0] * 60)
    pause = np.zeros(1, ROW_DTYPE)
    pause["kind"], pause["start"], pause["end"] = Kind.PAUSE, 605_000_000, 5_605_000_000
    with_pause = steady_rate(np.concatenate([rows, pause]))
    assert with_pause is not None
    assert with_pause.samples_per_s == pytest.approx(1000, rel=0.01)


def test_of_too_little_nothing_is_said() -> None:
    assert steady_rate(steps([10.0] * 4)) is None
    few = steady_rate(steps([10.0] * 9))
    assert few is not None
    assert (few.low, few.high) == (None, None)
    assert not told_apart(few, few)


def test_what_is_the_same_is_told_apart_in_one_case_of_twenty() -> None:
    random = np.random.default_rng(3)

    def one(mean: float) -> np.ndarray:
        return steps([*(mean * random.lognormal(0, 0.4, 150))])

    same = twice = 0
    for _ in range(200):
        a, b, c = (steady_rate(one(mean)) for mean in (10.0, 10.0, 5.0))
        assert a is not None
        assert b is not None
        assert c is not None
        same += told_apart(a, b)
        twice += told_apart(a, c)
        found = ratio(a, c)
        assert found is not None
        assert found[1] < found[0] < found[2]
    assert same <= 20  # 10 of 200 are expected
    assert twice == 200
