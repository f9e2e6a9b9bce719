"""RunStore with real processes: ours, killed ones, other people's, and ones that do not do as they are told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from app.host import Host
from app.order import RunOrder
from app.problems import ConflictError, NotFoundError, RequestError, UnfitError
from app.run import STARTING_S, TOTALS_FILE, merged
from app.runs import RunStore
from app.settings import Settings
from app.wire import Dials, RunSettings, RunSummary
from loader_core.trace.control import Control
from loader_core.trace.recording import Recording
from loader_core.trace.run_file import RUN_FILE

ENDLESS = RunSettings(dataset="gapminder", consumer="step", step_ms=5, seconds=0)
DEADLINE_S = 30.0


@asynccontextmanager
async def opened(settings: Settings, **options: Any) -> AsyncIterator[RunStore]:
    async with RunStore(settings, Host(settings.data), **options) as store:
        yield store


async def until(store: RunStore, run_id: str, holds: Callable[[RunSummary], bool]) -> RunSummary:
    """The run's summary as soon as `holds` of it."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds(summary := store.summary(run_id)):
        assert time.monotonic() < deadline, f"after {DEADLINE_S:g} s it is {summary}"
        assert summary.state != "failed", summary.reason
        await asyncio.sleep(0.05)  # a poll with a deadline: what the run writes is read once a second
    return summary


def recorded(store: RunStore, run_id: str) -> Coroutine[Any, Any, RunSummary]:
    return until(store, run_id, lambda run: run.batches > 0)


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
            ended = await asyncio.wait_for(store.ended(begun.id), DEADLINE_S)
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
            await recorded(store, run_id)
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
            await recorded(store, run_id)
            store.pause(run_id, paused=True)
            return await store.stop(run_id)

    assert asyncio.run(body()).state == "stopped"


def test_closing_the_store_ends_its_runs_and_their_workers(settings: Settings) -> None:
    async def body() -> tuple[str, list[psutil.Process]]:
        async with opened(settings) as store:
            run_id = (await store.start(ENDLESS.model_copy(update={"num_workers": 2}))).id
            await recorded(store, run_id)
            return run_id, psutil.Process().children(recursive=True)

    run_id, processes = asyncio.run(body())
    assert len(processes) >= 3
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    assert json.loads((settings.runs_home / run_id / RUN_FILE).read_text())["state"] == "stopped"


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_killed_run_says_so_and_leaves_no_worker(settings: Settings) -> None:
    async def body() -> tuple[RunSummary, list[psutil.Process]]:
        async with opened(settings) as store:
            run_id = (await store.start(ENDLESS.model_copy(update={"num_workers": 2}))).id
            await recorded(store, run_id)
            processes = psutil.Process().children(recursive=True)
            pid = json.loads((store.directory(run_id) / RUN_FILE).read_text())["pid"]
            os.kill(pid, signal.SIGKILL)
            return await asyncio.wait_for(store.ended(run_id), DEADLINE_S), processes

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
            return await asyncio.wait_for(store.ended((await store.start(ENDLESS)).id), DEADLINE_S)

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
            return await asyncio.wait_for(store.ended((await store.start(ENDLESS)).id), DEADLINE_S)

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
            await asyncio.wait_for(store.ended(run_id), DEADLINE_S)
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


# --- what others left, or do ------------------------------------------------------------------------------------------

SCRIPT = """
import sys, time
from pathlib import Path
from loader_core.trace.recording import Recording
recording = Recording.create(Path(sys.argv[1]), run_id="script", name="a script")
recording.consumer.mark(15, 0)
print("ready", flush=True)
sys.stdin.readline()
recording.finish("finished")
"""


@pytest.fixture
def script(settings: Settings) -> Any:
    """A training script of the user's that records into the server's folder, until it reads a line."""
    directory = settings.runs_home / "my-script"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with process:
        yield process
        process.kill()


def test_a_script_that_records_is_found_and_only_asked_to_stop(settings: Settings, script: Any) -> None:
    async def body() -> RunSummary:
        async with opened(settings) as store:
            found = store.summary("my-script")
            assert (found.state, found.live, found.settings, found.name) == ("running", True, None, "a script")
            with pytest.raises(ConflictError, match="its settings are its script's"):
                await store.change("my-script", RunSettings(step_ms=1))
            stopped = await store.stop("my-script")
            assert stopped.live
            assert script.poll() is None
            with closing(Control.open(store.directory("my-script"))) as control:
                assert control.stop
            script.stdin.write("\n")
            script.stdin.flush()
            return await until(store, "my-script", lambda run: not run.live and run.state == "finished")

    assert asyncio.run(body()).reason == ""
    assert script.wait(10) == 0


def test_a_run_whose_process_is_gone_is_sealed_and_readable(settings: Settings, script: Any) -> None:
    script.kill()
    script.wait()

    async def body() -> tuple[RunSummary, int]:
        async with opened(settings) as store:
            await asyncio.wait_for(store.ended("my-script"), DEADLINE_S)
            with store.reading("my-script") as trace:
                return store.summary("my-script"), len(trace.window(0, trace.duration_ns))

    sealed, events = asyncio.run(body())
    assert (sealed.state, sealed.live) == ("interrupted", False)
    assert sealed.reason == f"its process {script.pid} is gone; what it recorded is whole up to then"
    assert events > 0


def test_an_id_that_another_process_has_now_is_no_sign_of_life(settings: Settings, script: Any) -> None:
    script.kill()
    script.wait()
    header = settings.runs_home / "my-script" / RUN_FILE
    header.write_text(json.dumps(json.loads(header.read_text()) | {"pid": os.getpid(), "started_unix_ns": 10**18}))

    async def body() -> RunSummary:
        async with opened(settings) as store:
            return await asyncio.wait_for(store.ended("my-script"), DEADLINE_S)

    assert asyncio.run(body()).state == "interrupted"


def test_a_run_that_another_program_is_just_starting_is_left_alone(settings: Settings) -> None:
    directory = settings.runs_home / "20261122-141503-ab12"
    directory.mkdir(parents=True)
    RunOrder(settings=RunSettings(name="coming")).write(directory)

    async def body() -> None:
        async with opened(settings) as store:
            await store._discover()
            assert store.summary(directory.name).state == "starting"
            recording = Recording.create(directory, run_id=directory.name)
            assert (await until(store, directory.name, lambda run: run.state == "running")).live
            recording.finish("finished")

    asyncio.run(body())


def test_a_run_that_never_began_is_sealed_after_a_while(settings: Settings) -> None:
    directory = settings.runs_home / "20261122-141503-ab12"
    directory.mkdir(parents=True)
    RunOrder(settings=RunSettings()).write(directory)
    long_ago = time.time() - STARTING_S - 1
    os.utime(directory, (long_ago, long_ago))

    async def body() -> RunSummary:
        async with opened(settings) as store:
            return await asyncio.wait_for(store.ended(directory.name), DEADLINE_S)

    sealed = asyncio.run(body())
    assert sealed.state == "interrupted"
    assert sealed.reason == "its process never began to record; what it recorded is whole up to then"


def test_a_newer_recording_is_shown_with_the_reason_and_left_as_it_is(settings: Settings, script: Any) -> None:
    script.communicate("\n")
    header = settings.runs_home / "my-script" / RUN_FILE
    header.write_text(json.dumps(json.loads(header.read_text()) | {"schema": 99}))
    before = {path.name: path.read_bytes() for path in header.parent.iterdir() if path.is_file()}

    async def body() -> RunSummary:
        async with opened(settings) as store:
            return await asyncio.wait_for(store.ended("my-script"), DEADLINE_S)

    shown = asyncio.run(body())
    assert shown.state == "interrupted"
    assert "99" in shown.reason
    assert {path.name: path.read_bytes() for path in header.parent.iterdir() if path.is_file()} == before


def test_a_run_is_deleted_with_its_directory(settings: Settings, script: Any) -> None:
    script.communicate("\n")

    async def body() -> None:
        async with opened(settings) as store:
            await asyncio.wait_for(store.ended("my-script"), DEADLINE_S)
            version = store.version
            await store.delete("my-script")
            assert store.version > version
            with pytest.raises(NotFoundError, match="there is no run 'my-script'"):
                store.summary("my-script")

    asyncio.run(body())
    assert list(settings.runs_home.iterdir()) == []


def test_a_run_that_was_deleted_by_hand_goes_from_the_list(settings: Settings, script: Any) -> None:
    script.communicate("\n")

    async def body() -> None:
        async with opened(settings) as store:
            directory = store.directory("my-script")
            for path in sorted(directory.rglob("*"), reverse=True):
                path.unlink()
            directory.rmdir()
            await store._discover()
            assert store.summaries() == []

    asyncio.run(body())


def test_an_imported_run_is_shown_and_not_deleted(settings: Settings, script: Any, tmp_path: Path) -> None:
    script.communicate("\n")
    elsewhere = (settings.runs_home / "my-script").rename(tmp_path / "elsewhere")

    async def body() -> None:
        async with opened(settings, imported=(elsewhere,)) as store:
            assert [run.id for run in store.summaries()] == ["elsewhere"]
            await asyncio.wait_for(store.ended("elsewhere"), DEADLINE_S)
            with pytest.raises(ConflictError, match="lies outside of this server's folder"):
                await store.delete("elsewhere")

    asyncio.run(body())
    assert (elsewhere / RUN_FILE).exists()


def test_folders_that_are_no_runs_are_not_shown(settings: Settings) -> None:
    (settings.runs_home / "empty").mkdir(parents=True)
    (settings.runs_home / "a name with spaces").mkdir()
    (settings.runs_home / "a name with spaces" / RUN_FILE).write_text("{}")
    (settings.runs_home / "file").write_text("")

    async def body() -> list[RunSummary]:
        async with opened(settings) as store:
            return store.summaries()

    assert asyncio.run(body()) == []


@pytest.mark.parametrize("name", ["", "..", ".", "/etc", "x" * 500, "\0", "a/b"])
def test_an_id_is_looked_up_and_never_a_path(settings: Settings, name: str) -> None:
    async def body() -> None:
        async with opened(settings) as store:
            for ask in (store.summary, store.directory, store.control):
                with pytest.raises(NotFoundError):
                    ask(name)
            with pytest.raises(RequestError):
                await store.stop(name)

    asyncio.run(body())


def test_totals_that_are_damaged_are_made_again(settings: Settings, script: Any) -> None:
    script.communicate("\n")

    async def body() -> RunSummary:
        async with opened(settings) as store:
            return await asyncio.wait_for(store.ended("my-script"), DEADLINE_S)

    first = asyncio.run(body())
    (settings.runs_home / "my-script" / TOTALS_FILE).write_text("{")
    assert asyncio.run(body()).batches == first.batches == 1


def test_an_order_is_read_as_it_was_written(tmp_path: Path) -> None:
    order = RunOrder(settings=RunSettings(num_workers=3), data_roots=(Path("/data"),), budget_bytes=10**6)
    order.write(tmp_path)
    assert RunOrder.read(tmp_path) == order
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]
    (tmp_path / "settings.json").write_text('{"settings": {"num_workers": -1}}')
    with pytest.raises(ValidationError):
        RunOrder.read(tmp_path)
