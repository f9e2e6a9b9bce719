"""RunStore with real processes of its own: from beginning to end, killed ones, and ones that do not obey."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from app.order import RunOrder
from app.problems import ConflictError, UnfitError
from app.run import merged
from app.runs import RunStore
from app.settings import Settings
from app.wire import Dials, RunSettings, RunSummary
from loader_core.trace.run_file import RUN_FILE
from tests.app.stores import ENDLESS, end_of, opened, until


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes runs a shell script instead of the runner: `$4` is the run directory."""

    def replace(script: str) -> None:
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))

    return replace


# --- a run from beginning to end --------------------------------------------------------------------------------------


def test_a_run_begins_is_counted_ends_and_is_found_again(settings: Settings) -> None:
    wanted = ENDLESS.model_copy(update={"epochs": 1, "name": "one epoch", "batch_size": 64})

    async def body() -> tuple[RunSummary, RunSummary]:
        async with opened(settings) as store:
            version = store.version
            begun = await store.start(wanted)
            assert (begun.state, begun.live, begun.name, begun.settings) == ("starting", True, "one epoch", wanted)
            assert await store.changed(version) > version
            ended = await end_of(store, begun.id)
            with store.reading(ended.id) as trace:
                assert (trace.batches, trace.samples) == (ended.batches, ended.samples)
        async with opened(settings) as store:
            return ended, store.summary(begun.id)

    ended, found = asyncio.run(body())
    assert (ended.state, ended.reason, ended.live) == ("finished", "", False)
    assert ended.samples == 1704  # the table's rows
    assert ended.batches == 27
    assert ended.duration_ns > 27 * 5_000_000
    assert ended.bytes_on_disk > 0
    assert found == ended
    directory = settings.runs_home / ended.id
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(settings.runs_home.stat().st_mode) == 0o700


def test_a_run_is_paused_changed_resumed_and_stopped(settings: Settings) -> None:
    async def body() -> RunSummary:
        async with opened(settings) as store:
            run_id = (await store.start(ENDLESS)).id
            await until(store, run_id, lambda run: run.batches > 0)
            assert store.pause(run_id, paused=True).state == "paused"
            assert store.summary(run_id).state == "paused"
            assert store.pause(run_id, paused=False).state == "running"
            changed = await store.change(run_id, RunSettings(step_ms=1, dials=Dials(cpu_ms=0.5)))
            assert changed.settings is not None
            assert (changed.settings.step_ms, changed.settings.dials.cpu_ms) == (1, 0.5)
            assert changed.settings.dataset == "gapminder"
            before = changed.batches
            await until(store, run_id, lambda run: run.batches > before + 5)
            with pytest.raises(ConflictError, match="is going on: stop it first"):
                await store.delete(run_id)
            stopped = await store.stop(run_id)
            with store.reading(run_id) as trace:
                assert [change["fields"] for change in trace.run.changes]
            with pytest.raises(ConflictError, match=r"has ended \(stopped\)"):
                await store.stop(run_id)
            return stopped

    stopped = asyncio.run(body())
    assert (stopped.state, stopped.live) == ("stopped", False)
    assert RunOrder.read(settings.runs_home / stopped.id).settings.step_ms == 1


def test_a_paused_run_can_be_stopped(settings: Settings) -> None:
    async def body() -> RunSummary:
        async with opened(settings) as store:
            run_id = (await store.start(ENDLESS)).id
            await until(store, run_id, lambda run: run.batches > 0)
            store.pause(run_id, paused=True)
            return await store.stop(run_id)

    assert asyncio.run(body()).state == "stopped"


def test_closing_the_store_ends_its_runs_and_their_workers(settings: Settings) -> None:
    async def body() -> tuple[str, list[psutil.Process]]:
        async with opened(settings) as store:
            run_id = (await store.start(ENDLESS.model_copy(update={"num_workers": 2}))).id
            await until(store, run_id, lambda run: run.batches > 0)
            return run_id, processes_of(store, run_id)

    run_id, processes = asyncio.run(body())
    assert len(processes) >= 3
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    assert json.loads((settings.runs_home / run_id / RUN_FILE).read_text())["state"] == "stopped"


def processes_of(store: RunStore, run_id: str) -> list[psutil.Process]:
    """The run's process and all that it has started."""
    run = psutil.Process(json.loads((store.directory(run_id) / RUN_FILE).read_text())["pid"])
    return [run, *run.children(recursive=True)]


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_killed_run_says_so_and_leaves_no_worker(settings: Settings) -> None:
    async def body() -> tuple[RunSummary, list[psutil.Process]]:
        async with opened(settings) as store:
            run_id = (await store.start(ENDLESS.model_copy(update={"num_workers": 2}))).id
            await until(store, run_id, lambda run: run.batches > 0)
            run, *workers = processes_of(store, run_id)
            run.kill()
            return await end_of(store, run_id), [run, *workers]

    ended, processes = asyncio.run(body())
    assert ended.state == "failed"
    assert ended.reason.startswith("its process was killed by SIGKILL; likely out of memory: ")
    assert "Use fewer workers or a smaller batch" in ended.reason
    assert ended.batches > 0
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive


def test_a_process_that_does_not_begin_says_its_last_line(settings: Settings, stand_in: Callable[[str], None]) -> None:
    stand_in("echo first >&2; echo 'ModuleNotFoundError: no torch' >&2; echo >&2; exit 3")

    async def body() -> RunSummary:
        async with opened(settings) as store:
            return await end_of(store, (await store.start(ENDLESS)).id)

    ended = asyncio.run(body())
    assert ended.state == "failed"
    assert ended.reason == "its process ended with exit code 3: ModuleNotFoundError: no torch"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("TERM", "its process was killed by SIGTERM"),
        ("BUS", "its process was killed by SIGBUS; likely shared memory is full: use fewer workers or a smaller batch"),
    ],
)
def test_each_signal_has_its_sentence(
    settings: Settings, stand_in: Callable[[str], None], number: str, reason: str
) -> None:
    stand_in(f"kill -{number} $$")

    async def body() -> RunSummary:
        async with opened(settings) as store:
            return await end_of(store, (await store.start(ENDLESS)).id)

    assert asyncio.run(body()).reason == reason


def test_a_run_that_does_not_obey_is_killed_within_its_deadlines(
    settings: Settings, stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runs.NOTICE_S", 0.1)
    monkeypatch.setattr("app.runs.TERMINATE_S", 0.2)
    stand_in("trap '' TERM; touch $4/ready; while :; do sleep 60; done")

    async def body() -> RunSummary:
        async with opened(settings) as store:
            run_id = (await store.start(ENDLESS)).id
            await until(store, run_id, lambda run: (store.directory(run.id) / "ready").exists())
            return await store.stop(run_id)

    stopped = asyncio.run(body())
    assert stopped.state == "stopped"
    assert stopped.reason == "it did not end when it was asked to, so it was killed; its recording is whole up to then"


def test_a_program_that_cannot_be_started_leaves_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    async def body() -> None:
        async with opened(settings) as store:
            for _ in range(settings.max_live_runs + 1):
                with pytest.raises(ConflictError, match="could not be started: No such file"):
                    await store.start(ENDLESS)
            assert store.summaries() == []

    asyncio.run(body())
    assert list(settings.runs_home.iterdir()) == []


def test_the_bound_of_live_runs_holds_also_for_requests_that_come_together(
    settings: Settings, stand_in: Callable[[str], None]
) -> None:
    stand_in("exec sleep 60")

    async def body() -> list[Any]:
        async with opened(settings) as store:
            answers = await asyncio.gather(*(store.start(ENDLESS) for _ in range(5)), return_exceptions=True)
            assert sum(run.live for run in store.summaries()) == 2
            return answers

    answers = asyncio.run(body())
    refused = [answer for answer in answers if isinstance(answer, ConflictError)]
    assert len(refused) == 3
    assert refused[0].code == "too_many_runs"
    assert "2 runs are going on" in str(refused[0])
    assert "stop one first" in str(refused[0])


def test_a_run_does_not_inherit_the_tokens(
    settings: Settings, stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOADERSCOPE_TOKEN", "LOADERSCOPE_VIEW_TOKEN", "LOADERSCOPE_TOKEN_FILE"):
        monkeypatch.setenv(name, "a secret of the server")
    stand_in("env; echo arguments: $@; pwd")

    async def body() -> Path:
        async with opened(settings) as store:
            run_id = (await store.start(ENDLESS)).id
            await end_of(store, run_id)
            return store.directory(run_id)

    directory = asyncio.run(body())
    log = (directory / "log.txt").read_text()
    assert "a secret" not in log
    assert f"arguments: -P -m app.runner {directory}" in log


# --- settings ---------------------------------------------------------------------------------------------------------


def test_settings_that_do_not_fit_start_nothing(settings: Settings) -> None:
    async def body() -> None:
        async with opened(settings) as store:
            for wrong, field in (
                ({"num_workers": 64}, "num_workers"),
                ({"dataset": "../../etc"}, "dataset"),
                ({"dataset": "help"}, "collate"),
            ):
                with pytest.raises(UnfitError) as caught:
                    await store.start(RunSettings(**wrong))
                assert caught.value.field == field
            assert store.summaries() == []

    asyncio.run(body())


def test_only_the_fields_that_were_sent_are_changed() -> None:
    before = RunSettings(batch_size=64, dials=Dials(cpu_ms=1, slow_every=10))
    after = merged(before, RunSettings.model_validate({"num_workers": 3, "dials": {"cpu_ms": 2}}))
    assert after == RunSettings(batch_size=64, num_workers=3, dials=Dials(cpu_ms=2, slow_every=10))
    assert merged(before, RunSettings()) == before


def test_an_order_is_read_as_it_was_written(tmp_path: Path) -> None:
    order = RunOrder(settings=RunSettings(num_workers=3), data_roots=(Path("/data"),), budget_bytes=10**6)
    order.write(tmp_path)
    assert RunOrder.read(tmp_path) == order
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]
    (tmp_path / "settings.json").write_text('{"settings": {"num_workers": -1}}')
    with pytest.raises(ValidationError):
        RunOrder.read(tmp_path)
