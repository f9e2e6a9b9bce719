from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from app import host
from app.host import Host, check_dataset, check_memory, check_workers, estimate_batch_bytes, max_workers
from app.problems import UnfitError
from app.wire import DatasetInfo, RunSettings
from loader_core.diagnose.bilingual import Bilingual

TEXT = Bilingual(es="", en="")
IMAGES = DatasetInfo(
    id="images", title=TEXT, about=TEXT, kind="images", samples=10, bytes=None, needs_pad=False, trains=True
)
ARRAYS = IMAGES.model_copy(update={"id": "rows", "kind": "array", "bytes": 4000, "trains": False})
TEXTS = IMAGES.model_copy(update={"id": "lines", "kind": "text", "needs_pad": True})


@pytest.mark.parametrize(("cpus", "most"), [(1, 4), (2, 8), (15, 60), (16, 64), (17, 64), (192, 64)])
def test_most_workers_are_four_per_cpu_and_64(monkeypatch: pytest.MonkeyPatch, cpus: int, most: int) -> None:
    monkeypatch.setattr(host, "cpus", lambda: cpus)
    assert max_workers() == most
    check_workers(RunSettings(num_workers=most))
    if most < 64:
        with pytest.raises(UnfitError, match=f"{most + 1} workers are more than {most}, the most for {cpus} CPUs"):
            check_workers(RunSettings(num_workers=most + 1))


def test_batches_in_flight_may_fill_half_of_the_free_shared_memory() -> None:
    settings = RunSettings(num_workers=2, prefetch_factor=3, batch_size=4, image_size=100)
    batch_bytes = 4 * 3 * 100 * 100 * 4
    assert estimate_batch_bytes(settings, IMAGES) == batch_bytes
    check_memory(settings, IMAGES, 2 * 6 * batch_bytes)
    with pytest.raises(UnfitError, match="use fewer workers, a smaller prefetch_factor or smaller batches") as caught:
        check_memory(settings, IMAGES, 2 * 6 * batch_bytes - 2)
    assert "2 workers x 3 batches of about 0.5 MB are 3 MB in flight" in str(caught.value)
    assert caught.value.field == "num_workers"


@pytest.mark.parametrize("change", [{"num_workers": 0}, {"worker_method": "thread"}])
def test_what_uses_no_shared_memory_is_not_bounded_by_it(change: dict[str, object]) -> None:
    check_memory(RunSettings(num_workers=8, batch_size=4096).model_copy(update=change), IMAGES, 1)


def test_without_a_folder_of_shared_memory_there_is_no_bound() -> None:
    check_memory(RunSettings(num_workers=8, batch_size=4096), IMAGES, None)


def test_a_batch_of_files_is_as_long_as_their_mean() -> None:
    assert estimate_batch_bytes(RunSettings(batch_size=3), ARRAYS) == 1200
    assert estimate_batch_bytes(RunSettings(), TEXTS) is None


@pytest.mark.parametrize(
    ("settings", "dataset", "said", "field"),
    [
        (RunSettings(), TEXTS, "differ in length, so they cannot be stacked: use collate=pad", "collate"),
        (RunSettings(collate="pad"), IMAGES, "there is nothing to pad: use collate=default", "collate"),
        (RunSettings(), ARRAYS, "no model here learns from rows: use consumer=step, or none", "consumer"),
    ],
)
def test_what_a_data_set_cannot_give_is_said(
    settings: RunSettings, dataset: DatasetInfo, said: str, field: str
) -> None:
    with pytest.raises(UnfitError, match=said) as caught:
        check_dataset(settings, dataset)
    assert caught.value.field == field


def test_what_torch_or_the_system_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnfitError, match="torch's DataLoader has no threads"):
        check_workers(RunSettings(engine="torch", worker_method="thread"))
    monkeypatch.setattr("app.host.multiprocessing.get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(UnfitError, match=r"fork is not a way to start a process on .*: use spawn"):
        check_workers(RunSettings(multiprocessing_context="fork"))


def test_an_accelerator_is_not_looked_for_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "ACCELERATOR_FILES", ())
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    async def ask() -> None:
        here = Host()
        assert (await here.capabilities("viewer")).accelerator is None
        with pytest.raises(UnfitError, match="torch sees no accelerator here: use device=simulated, or none"):
            await here.check(RunSettings(device="accelerator"))
        await here.close()

    asyncio.run(ask())


def test_the_probe_asks_torch_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_may_have_accelerator", lambda: True)
    monkeypatch.setattr(host, "PROBE", "import json; print(json.dumps({'name': 'One', 'type': 'cuda'}))")

    async def ask() -> None:
        here = Host()
        first, second = await asyncio.gather(here.accelerator(), here.accelerator())
        assert first is second
        assert first is not None
        assert first.name == "One"
        await here.close()

    asyncio.run(ask())


def test_the_probe_itself_runs_with_this_torch() -> None:
    answer = subprocess.run([sys.executable, "-c", host.PROBE], capture_output=True, text=True, check=True)
    assert answer.stdout.strip().splitlines()[-1][0] in "n{"


def test_a_probe_that_hangs_ends_with_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_may_have_accelerator", lambda: True)
    monkeypatch.setattr(host, "PROBE", "import time; time.sleep(600)")

    async def ask() -> None:
        here = Host()
        asked = asyncio.create_task(here.accelerator())
        done, _ = await asyncio.wait([asked], timeout=0.3)
        assert not done
        await here.close()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(ask())


def test_the_server_imports_neither_torch_nor_plotly() -> None:
    line = "import sys, app.cli, app.main, app.server; print(sorted({'torch', 'plotly'} & sys.modules.keys()))"
    answer = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
