"""What is recorded of torch's own loader: every index and batch accounted for, in the order in which things happen."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from loader_core.observe import observe, torch_private
from loader_core.trace import NO_BATCH, NOT_MEASURED, Flag, Kind, Role, Trace, stage
from loader_core.trace.facts import read_facts
from tests.observe.datasets import Many, Noise, Stream, collate_to_list
from tests.observe.experience import ROOT, experience, recorded

LENGTH, BATCH, BATCHES = 23, 4, 6


pytestmark = pytest.mark.usefixtures("nothing_swallowed")


def trace_of(loader: DataLoader[Any], directory: Path, *, epochs: int = 1, detail: str = "stage") -> Trace:
    """Iterate over an observed loader to its end, so often; what was recorded."""
    with recorded(directory) as recording:
        observe(loader, recording, detail=detail)
        for _ in range(epochs):
            list(loader)
        loader._iterator = None  # persistent workers go now, and not at a collection
    return Trace.open(directory)


def rows_of(trace: Trace, *kinds: Kind) -> Any:
    return trace.window(0, 1 << 62, set(kinds))


def by_batch(trace: Trace, kind: Kind) -> dict[tuple[int, int], Any]:
    """The rows of a kind by epoch and batch; each has one at most."""
    rows = rows_of(trace, kind)
    rows = rows[rows["batch"] != NO_BATCH]
    found = {(int(row["epoch"]), int(row["batch"])): row for row in rows}
    assert len(found) == len(rows), f"{kind.name} twice for a batch"
    return found


# --- conservation and order -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("persistent", [False, True])
def test_every_index_and_batch_is_accounted_for_in_every_epoch(workers: int, persistent: bool, tmp_path: Path) -> None:
    more: dict[str, Any] = {"persistent_workers": persistent, "prefetch_factor": 3} if workers else {}
    loader = DataLoader(Noise(), batch_size=BATCH, shuffle=True, num_workers=workers, **more)
    trace = trace_of(loader, tmp_path / "run", epochs=2)
    everything = {(epoch, batch) for epoch in range(2) for batch in range(BATCHES)}
    kinds = [Kind.DRAW, Kind.FETCH, Kind.COLLATE, Kind.WAIT_BATCH, Kind.STEP, Kind.TENSORS, Kind.CPU]
    if workers:
        kinds += [Kind.DISPATCH, Kind.WAIT_TASK, Kind.SEND, Kind.RECEIVE]
    for kind in kinds:
        assert set(by_batch(trace, kind)) == everything, kind.name
    items = rows_of(trace, Kind.ITEM)
    for epoch in range(2):
        assert sorted(items["sample"][items["epoch"] == epoch].tolist()) == list(range(LENGTH))
    assert [row["value"] for row in by_batch(trace, Kind.STEP).values()] == [4, 4, 4, 4, 4, 3] * 2
    assert trace.batches == 2 * BATCHES
    assert trace.samples == 2 * LENGTH


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("in_order", [True, False])
def test_a_batch_goes_its_way_in_order_and_no_more_are_in_flight_than_allowed(
    workers: int, in_order: bool, tmp_path: Path
) -> None:
    loader = DataLoader(Noise(60), batch_size=2, num_workers=workers, prefetch_factor=2, in_order=in_order)
    trace = trace_of(loader, tmp_path / "run")
    steps = (Kind.DISPATCH, Kind.FETCH, Kind.COLLATE, Kind.SEND, Kind.RECEIVE, Kind.WAIT_BATCH)
    journeys = [by_batch(trace, kind) for kind in steps]
    for batch in journeys[0]:
        ends = [int(journey[batch]["end"]) for journey in journeys]
        del ends[3]  # what was sent may be here before its sender looks at the clock again
        assert ends == sorted(ends), f"batch {batch}"
        assert journeys[1][batch]["start"] >= journeys[0][batch]["start"]
        assert journeys[4][batch]["start"] >= journeys[3][batch]["start"]
    in_flight = rows_of(trace, Kind.DISPATCH)["value"]
    assert in_flight.max() == 2 * workers
    assert in_flight.min() >= 1
    ready = [int(row["value"]) for row in journeys[5].values()]
    assert 0 <= min(ready) <= max(ready) <= 2 * workers
    if not in_order:
        assert len(rows_of(trace, Kind.HOLD)) == 0


def test_a_batch_that_is_ready_before_its_turn_is_held(tmp_path: Path) -> None:
    barrier = torch.multiprocessing.get_context("fork").Event()

    class FirstIsLast(Dataset[int]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> int:
            if index == 1:
                barrier.set()
            elif not barrier.wait(20):
                raise TimeoutError
            else:
                os.sched_yield()
            return index

    directory = tmp_path / "run"
    loader = DataLoader(FirstIsLast(), num_workers=2, prefetch_factor=1)
    with recorded(directory) as recording:
        observe(loader, recording)
        iterator = iter(loader)
        while iterator._worker_result_queue.qsize() < 2:  # type: ignore[attr-defined] # both are there
            os.sched_yield()
        assert [int(batch) for batch in iterator] == [0, 1]
        del iterator
    trace = Trace.open(directory)
    received = sorted(by_batch(trace, Kind.RECEIVE).items(), key=lambda item: int(item[1]["end"]))
    order = [batch for (_, batch), _ in received]
    holds = by_batch(trace, Kind.HOLD)
    assert set(holds) == ({(0, 1)} if order == [1, 0] else set())
    for batch, hold in holds.items():
        first = by_batch(trace, Kind.WAIT_BATCH)[0, 0]
        assert hold["start"] >= by_batch(trace, Kind.RECEIVE)[batch]["start"]
        assert hold["end"] == first["end"], "its turn comes when the one before it is handed over"


def test_lanes_are_those_of_torchs_loader(tmp_path: Path) -> None:
    trace = trace_of(DataLoader(Noise(), batch_size=BATCH, num_workers=2), tmp_path / "run")
    assert {(lane.role, lane.worker) for lane in trace.lanes} == {
        (Role.MAIN, -1),
        (Role.CONSUMER, -1),
        (Role.WORKER, 0),
        (Role.WORKER, 1),
    }
    alone = trace_of(DataLoader(Noise(), batch_size=BATCH), tmp_path / "alone")
    assert {lane.label for lane in alone.lanes} == {"main", "main, fetching", "training loop"}


def test_bytes_tensors_and_cpu_time_are_measured(tmp_path: Path) -> None:
    class Two(Dataset[Any]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            return torch.zeros(1000), torch.zeros(10, dtype=torch.uint8)

    trace = trace_of(DataLoader(Two(), batch_size=2, num_workers=1), tmp_path / "run")
    nbytes = 2 * (4000 + 10)
    assert rows_of(trace, Kind.COLLATE)["value"].tolist() == [nbytes] * 2
    assert rows_of(trace, Kind.RECEIVE)["value"].tolist() == [nbytes] * 2
    assert (rows_of(trace, Kind.SEND)["value"] > nbytes).all(), "and what goes through the pipe"
    assert rows_of(trace, Kind.TENSORS)["value"].tolist() == [2, 2]
    fetches = rows_of(trace, Kind.FETCH)
    assert (fetches["value"] >= 0).all()
    assert (fetches["value"] <= fetches["end"] - fetches["start"] + 1_000_000).all()
    assert not rows_of(trace, Kind.SEND)["flags"].any()


def test_memory_and_files_of_every_process_are_looked_at(tmp_path: Path) -> None:
    trace = trace_of(DataLoader(Noise(), batch_size=BATCH, num_workers=2), tmp_path / "run")
    for kind in (Kind.MEMORY, Kind.FILES):
        rows = rows_of(trace, kind)
        assert {trace.lanes[lane].role for lane in rows["lane"].tolist()} == {Role.WORKER, Role.CONSUMER}
        assert (rows["value"] > 0).all()


@pytest.mark.parametrize("detail", ["batch", "sample", "stage"])
def test_detail_decides_what_is_recorded_of_a_sample(detail: str, tmp_path: Path) -> None:
    class Staged(Noise):
        def __getitem__(self, index: int) -> Any:
            with stage("read"):
                return super().__getitem__(index)

    trace = trace_of(DataLoader(Staged(), batch_size=BATCH, num_workers=1), tmp_path / "run", detail=detail)
    assert len(rows_of(trace, Kind.ITEM)) == (0 if detail == "batch" else LENGTH)
    parts = rows_of(trace, Kind.STAGE)
    read = [number for number, name in trace.stages.items() if name == "read"]
    assert int(np.isin(parts["value"], read).sum()) == (LENGTH if detail == "stage" else 0)
    assert len(rows_of(trace, Kind.FETCH)) == BATCHES


def test_a_viewer_changes_the_detail_while_it_runs(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    loader = DataLoader(Noise(), batch_size=1)
    with recorded(directory) as recording:
        observe(loader, recording, detail="sample")
        for number, _ in enumerate(loader):
            recording.control.detail = 0 if number >= 9 else 1
    assert len(rows_of(Trace.open(directory), Kind.ITEM)) == 10


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_are_numbered_as_the_sampler_does(workers: int, tmp_path: Path) -> None:
    subset = Subset(Noise(), [20, 10, 0])
    trace = trace_of(DataLoader(subset, batch_size=2, num_workers=workers), tmp_path / "run")
    assert rows_of(trace, Kind.ITEM)["sample"].tolist() == [0, 1, 2]
    one = trace_of(DataLoader(Noise(3), batch_size=None, num_workers=workers), tmp_path / "one")
    assert rows_of(one, Kind.ITEM)["sample"].tolist() == [0, 1, 2]
    at_once = trace_of(DataLoader(Many(4), batch_size=2, num_workers=workers), tmp_path / "many")
    assert len(rows_of(at_once, Kind.ITEM)) == 0, "what cannot be told apart is absent"
    stream = trace_of(DataLoader(Stream(), batch_size=2, num_workers=workers), tmp_path / "stream")
    assert set(rows_of(stream, Kind.ITEM)["sample"].tolist()) == {NOT_MEASURED}


# --- the consumer -----------------------------------------------------------------------------------------------------


def test_parts_of_a_step_are_recorded_in_any_detail(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    loader = DataLoader(Noise(), batch_size=12)
    with recorded(directory) as recording:
        observe(loader, recording, detail="batch")
        for _ in loader:
            with stage("forward"):
                pass
            backward = stage("backward").begin()
            backward.end()
            backward.end()
        with stage("forward"):
            pass
    trace = Trace.open(directory)
    parts = rows_of(trace, Kind.STAGE)
    assert [trace.stages[int(value)] for value in parts["value"]] == ["forward", "backward"] * 2
    assert parts["batch"].tolist() == [0, 0, 1, 1]
    assert {trace.lanes[lane].role for lane in parts["lane"].tolist()} == {Role.CONSUMER}
    steps = by_batch(trace, Kind.STEP)
    for part in parts:
        step = steps[0, int(part["batch"])]
        assert step["start"] <= part["start"] <= part["end"] <= step["end"]


def test_a_loop_within_a_loop_gives_parts_back_to_the_outer_one(tmp_path: Path) -> None:
    outer, inner = DataLoader(Noise(2)), DataLoader(Noise(2))
    with recorded(tmp_path / "outer") as one, recorded(tmp_path / "inner") as two:
        observe(outer, one)
        observe(inner, two)
        for _ in outer:
            for _ in inner:
                with stage("validate"):
                    pass
            with stage("train"):
                pass
    for name, part in (("outer", "train"), ("inner", "validate")):
        trace = Trace.open(tmp_path / name)
        parts = rows_of(trace, Kind.STAGE)
        named = [trace.stages[int(row["value"])] for row in parts if trace.lanes[row["lane"]].role is Role.CONSUMER]
        assert set(named) == {part}


def test_leaving_early_ends_the_last_step_there(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    loader = DataLoader(Noise(), batch_size=BATCH, num_workers=1)
    with recorded(directory) as recording:
        observe(loader, recording)
        for number, _ in enumerate(loader):
            if number == 2:
                break
    trace = Trace.open(directory)
    steps = by_batch(trace, Kind.STEP)
    assert sorted(steps) == [(0, 0), (0, 1), (0, 2)]
    assert [int(steps[0, number]["flags"]) for number in range(3)] == [0, 0, Flag.INFERRED]
    left = rows_of(trace, Kind.WAIT_BATCH)[-1]  # nobody waits since
    assert (left["batch"], left["start"], left["end"]) == (NO_BATCH, steps[0, 2]["end"], steps[0, 2]["end"])
    [epoch] = [fact for fact in read_facts(directory) if fact["kind"] == "epoch"]
    assert not epoch["complete"]


def test_a_viewers_stop_and_pause_do_nothing_and_a_preview_is_made(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    loader = DataLoader(Noise(), batch_size=BATCH)
    with recorded(directory) as recording:
        recording.control.stop = recording.control.pause = True
        recording.control.preview_until_ns = 1 << 62
        observe(loader, recording)
        assert len(list(loader)) == BATCHES
    assert len(list((directory / "previews").glob("*.json"))) == 1
    assert len(rows_of(Trace.open(directory), Kind.PREVIEW)) == 1


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [field.name for field in fields(torch_private.Names)])
@pytest.mark.parametrize("workers", [0, 1])
def test_with_a_torch_that_lacks_a_name_training_goes_on_and_the_run_says_so(
    field: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make() -> DataLoader[Any]:
        return DataLoader(Noise(), batch_size=BATCH, shuffle=True, num_workers=workers)

    without = experience(make, epochs=1)
    monkeypatch.setattr(torch_private, "NAMES", replace(torch_private.NAMES, **{field: "_of_another_torch"}))
    lacking = torch_private.absent()
    expected = set(lacking)
    needing = {kind for kind, needed in torch_private.NEEDS.items() if field in needed}
    assert expected >= needing
    assert not needing or any("_of_another_torch" in reason for reason in lacking.values())
    observed = []
    with recorded(tmp_path / "run") as recording:

        def watch(loader: DataLoader[Any]) -> DataLoader[Any]:
            observed.append(observe(loader, recording))
            return loader

        seen = experience(make, epochs=1, observed=watch)
    assert seen == without
    trace = Trace.open(tmp_path / "run")
    for kind in expected - {"DIED"}:
        assert len(rows_of(trace, Kind[kind])) == 0, kind
    if "WAIT_BATCH" in expected:
        assert type(observed[0]).__name__ == "SizedObservedIterable"
    else:
        assert set(trace.run.absent) == expected
        assert len(rows_of(trace, Kind.WAIT_BATCH)) == BATCHES + 1


def test_what_fails_inside_is_said_once_and_never_reaches_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from loader_core import start
    from loader_core.observe import walk

    def broken(batch: Any) -> Any:
        raise ZeroDivisionError("of our own making")

    monkeypatch.setattr(walk, "contents", broken)
    monkeypatch.setattr(start, "_said", set())
    loader = DataLoader(Noise(), batch_size=BATCH, num_workers=1)
    with recorded(tmp_path / "run") as recording:
        observe(loader, recording)
        assert len(list(loader)) == BATCHES
        assert len(list(loader)) == BATCHES
    [record] = [record for record in caplog.records if record.name == "loaderscope"]
    assert "the script goes on without it" in record.getMessage()
    caplog.clear()


def test_without_a_run_to_record_into_the_loader_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from loader_core import start

    (tmp_path / "home").write_text("a file where the folder of recordings should be")
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(start, "_said", set())
    loader = observe(DataLoader(Noise(), batch_size=BATCH, num_workers=1))
    for _ in range(2):
        assert len(list(loader)) == BATCHES
    caplog.clear()


def test_an_iterator_and_a_loader_go_when_they_are_let_go_of(tmp_path: Path) -> None:
    gc.disable()
    try:
        with recorded(tmp_path / "run") as recording:
            for workers in (0, 1):
                loader = DataLoader(Noise(), batch_size=BATCH, num_workers=workers)
                observe(loader, recording)
                iterator = iter(loader)
                next(iterator)
                gone = weakref.ref(loader), weakref.ref(iterator)
                del loader, iterator
                assert [reference() for reference in gone] == [None, None]
        assert list((tmp_path / "run").glob("progress-*")) == []
    finally:
        gc.enable()


def test_a_batch_goes_when_the_loop_lets_go_of_it(tmp_path: Path) -> None:
    loader = DataLoader(Noise(), batch_size=BATCH, num_workers=1, collate_fn=collate_to_list)
    with recorded(tmp_path / "run") as recording:
        observe(loader, recording)
        for batch in loader:
            pixels = weakref.ref(batch[0]["pixels"])
            del batch
            assert pixels() is None


SCRIPT = """
import sys, threading, torch
from torch.utils.data import DataLoader
from tests.observe.datasets import Noise
from loader_core.observe import observe
from loader_core.trace import Recording
from pathlib import Path

loader = DataLoader(Noise(), batch_size=4, num_workers=2)
recording = Recording.create(Path(sys.argv[1]), run_id="run")
observe(loader, recording)
for batch in loader:
    assert {thread.name for thread in threading.enumerate()} <= {"MainThread", "QueueFeederThread"}
    opened = [str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.exists() or fd.is_symlink()]
    sockets = [name for name in opened if name.startswith("socket:")]
    assert sockets == [], sockets
recording.finish("finished")
brought = [name for name in sys.modules if name.partition(".")[0] in ("app", "plotly", "fastapi", "starlette")]
assert brought == [], brought
print("done")
"""


def test_the_users_process_gets_no_thread_no_socket_and_no_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "run")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_thread_may_iterate(tmp_path: Path) -> None:
    loader = DataLoader(Noise(), batch_size=BATCH)
    with recorded(tmp_path / "run") as recording:
        observe(loader, recording)
        iterator = iter(loader)
        next(iterator)
        got: list[Any] = []
        thread = threading.Thread(target=lambda: got.extend(iterator))
        thread.start()
        thread.join()
    assert len(got) == BATCHES - 1
    assert set(by_batch(Trace.open(tmp_path / "run"), Kind.WAIT_BATCH)) == {(0, number) for number in range(BATCHES)}
