"""RunStore and the runs that it did not start: scripts that record, processes that are gone, folders of all kinds."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.order import RunOrder
from app.problems import ConflictError, NotFoundError, RequestError
from app.run import STARTING_S, TOTALS_FILE
from app.settings import Settings
from app.wire import RunSettings, RunSummary, Script
from loader_core.trace.control import Control
from loader_core.trace.recording import Recording
from loader_core.trace.run_file import RUN_FILE
from tests.app.stores import end_of, opened, until
from tests.server import RunningServer

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


def test_whose_loader_a_run_is_of_is_told_in_bounds(settings: Settings) -> None:
    said = {"group": "g1", "argv": ["train.py", "x" * 1_000], "site": "train.py:41", "loader": "Photos", "rank": 1}
    loader = {"batch_size": 32, "num_workers": 2}
    with Recording.create(settings.runs_home / "whole", run_id="whole", script=said, loader=loader):
        pass
    with Recording.create(settings.runs_home / "damaged", run_id="damaged", script={"argv": "train.py", "rank": "one"}):
        pass

    async def body() -> tuple[RunSummary, RunSummary]:
        async with opened(settings) as store:
            return store.summary("whole"), store.summary("damaged")

    whole, damaged = asyncio.run(body())
    assert whole.script is not None
    assert (whole.script.group, whole.script.site, whole.script.rank, whole.loader) == ("g1", "train.py:41", 1, loader)
    assert [len(word) for word in whole.script.argv] == [8, 400]
    assert damaged.script == Script(group="", argv=[], site="", loader="", rank=0)


def test_a_run_whose_process_is_gone_is_sealed_and_readable(settings: Settings, script: Any) -> None:
    script.kill()
    script.wait()

    async def body() -> tuple[RunSummary, int]:
        async with opened(settings) as store:
            await end_of(store, "my-script")
            with store.reading("my-script") as trace:
                return store.summary("my-script"), len(trace.window(0, trace.duration_ns))

    sealed, events = asyncio.run(body())
    assert (sealed.state, sealed.live) == ("interrupted", False)
    assert sealed.reason == f"its process {script.pid} is gone; what it recorded is whole up to then"
    assert events > 0


def test_a_run_outlives_its_server_and_the_next_one_stops_it(settings: Settings) -> None:
    server = RunningServer(settings.home)
    server.start()
    wanted = {"dataset": "gapminder", "consumer": "step", "step_ms": 5, "seconds": 0}
    run_id = server.request("POST", "/runs", wanted)["id"]
    server.until(run_id, "running")
    server.process.kill()
    server.process.wait()

    async def body() -> RunSummary:
        async with opened(settings) as store:
            found = await until(store, run_id, lambda run: run.batches > 0)
            assert (found.state, found.live) == ("running", True)
            assert store.pause(run_id, paused=True).state == "paused"
            return await store.stop(run_id)

    stopped = asyncio.run(body())
    assert (stopped.state, stopped.live) == ("stopped", False)


def test_what_was_being_deleted_is_gone_after_the_next_start(settings: Settings) -> None:
    half = settings.runs_home / ".20261122-141503-ab12.deleted"
    (half / "previews").mkdir(parents=True)

    async def body() -> None:
        async with opened(settings) as store:
            assert store.summaries() == []

    asyncio.run(body())
    assert not half.exists()


def test_an_id_that_another_process_has_now_is_no_sign_of_life(settings: Settings, script: Any) -> None:
    script.kill()
    script.wait()
    header = settings.runs_home / "my-script" / RUN_FILE
    header.write_text(json.dumps(json.loads(header.read_text()) | {"pid": os.getpid(), "started_unix_ns": 10**18}))

    async def body() -> RunSummary:
        async with opened(settings) as store:
            return await end_of(store, "my-script")

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
            return await end_of(store, directory.name)

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
            return await end_of(store, "my-script")

    shown = asyncio.run(body())
    assert shown.state == "interrupted"
    assert "99" in shown.reason
    assert {path.name: path.read_bytes() for path in header.parent.iterdir() if path.is_file()} == before


def test_a_run_is_deleted_with_its_directory(settings: Settings, script: Any) -> None:
    script.communicate("\n")

    async def body() -> None:
        async with opened(settings) as store:
            await end_of(store, "my-script")
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
            await end_of(store, "elsewhere")
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
            return await end_of(store, "my-script")

    first = asyncio.run(body())
    (settings.runs_home / "my-script" / TOTALS_FILE).write_text("{")
    assert asyncio.run(body()).batches == first.batches == 1
