"""Any iterable of batches: each waited for, worked on and counted, and left as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loader_core.observe.iterable import observed_iteration
from loader_core.observe.leaves import MAX_LEAVES, contents
from loader_core.trace import NO_BATCH, NOT_MEASURED, Kind, Recording, Role, Trace


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = Recording.create(tmp_path / "run", run_id="run")
    yield recording
    recording.finish("finished")


def rows_of(recording: Recording) -> tuple[Trace, np.ndarray]:
    recording.finish("finished")
    trace = Trace.open(recording.directory)
    trace.refresh()
    return trace, trace.window(0, 2**62)


def test_each_batch_is_waited_for_received_and_worked_on(recording: Recording) -> None:
    batches = [np.zeros((size, 5), np.float32) for size in (4, 4, 2)]
    for epoch in range(2):
        seen = list(observed_iteration(batches, recording, epoch=epoch))
        assert all(one is other for one, other in zip(seen, batches, strict=True))
    trace, rows = rows_of(recording)
    steps = rows[rows["kind"] == Kind.STEP]
    assert steps["batch"].tolist() == [0, 1, 2] * 2
    assert steps["epoch"].tolist() == [0, 0, 0, 1, 1, 1]
    assert steps["value"].tolist() == [4, 4, 2] * 2
    received = rows[rows["kind"] == Kind.RECEIVE]
    assert received["value"].tolist() == [80, 80, 40] * 2
    assert {trace.lanes[lane].role for lane in received["lane"]} == {Role.MAIN}
    waits = rows[rows["kind"] == Kind.WAIT_BATCH]
    assert waits["batch"].tolist() == [0, 1, 2, NO_BATCH] * 2
    assert set(waits["value"].tolist()) == {NOT_MEASURED}
    assert (trace.batches, trace.samples) == (6, 20)


def test_leaving_early_closes_the_iterable_and_records_the_step(recording: Recording) -> None:
    closed = []

    def loader() -> Iterator[list[int]]:
        try:
            while True:
                yield [1, 2]
        finally:
            closed.append(True)

    walk = observed_iteration(loader(), recording, epoch=0)
    next(walk)
    walk.close()
    assert closed == [True]
    _, rows = rows_of(recording)
    assert (rows["kind"] == Kind.STEP).sum() == 1


def test_an_error_of_the_iterable_reaches_the_loop_with_its_type(recording: Recording) -> None:
    def loader() -> Iterator[int]:
        yield 1
        raise LookupError("batch 1 is gone")

    with pytest.raises(LookupError, match="batch 1 is gone"):
        list(observed_iteration(loader(), recording, epoch=0))
    _, rows = rows_of(recording)
    assert (rows["kind"] == Kind.ERROR).sum() == 1


def test_it_holds_no_batch_that_the_loop_has_let_go(recording: Recording) -> None:
    class Batch:
        alive = 0

        def __init__(self) -> None:
            Batch.alive += 1

        def __del__(self) -> None:
            Batch.alive -= 1

    alive_when_asked = []

    def loader() -> Iterator[Batch]:
        for _ in range(3):
            alive_when_asked.append(Batch.alive)
            yield Batch()

    walk = observed_iteration(loader(), recording, epoch=0)
    for batch in walk:
        assert Batch.alive == 1
        del batch
    assert alive_when_asked == [0, 0, 0]


@dataclass
class Pair:
    pixels: Any
    labels: Any


TENSOR = torch.zeros(3, 2)  # 24 bytes


@pytest.mark.parametrize(
    ("batch", "samples", "nbytes"),
    [
        (TENSOR, 3, 24),
        ([TENSOR, torch.zeros(3, dtype=torch.int64)], 3, 48),
        ({"text": ["a", "b", "c"], "labels": TENSOR}, 3, 24),
        (Pair(np.zeros((5, 1), np.uint8), None), 5, 5),
        (["a", "b"], 2, NOT_MEASURED),
        (torch.tensor(1.0), NOT_MEASURED, 4),
        ([], NOT_MEASURED, NOT_MEASURED),
        (7, NOT_MEASURED, NOT_MEASURED),
        (Pair, NOT_MEASURED, NOT_MEASURED),
    ],
)
def test_samples_and_bytes_are_told_from_the_leaves(batch: Any, samples: int, nbytes: int) -> None:
    held = contents(batch)
    assert (held.samples, held.nbytes) == (samples, nbytes)


def test_a_batch_that_holds_itself_is_looked_into_only_so_deep() -> None:
    batch: list[Any] = [TENSOR]
    batch.append(batch)
    held = contents(batch)
    assert held.samples == 3
    assert held.nbytes >= 24
    assert held.tensors >= 1


def test_of_a_batch_of_very_many_leaves_the_samples_are_told_and_a_least_number_of_tensors() -> None:
    held = contents([TENSOR, *range(MAX_LEAVES)])
    assert (held.samples, held.nbytes, held.tensors, held.whole) == (3, NOT_MEASURED, 1, False)
    assert contents([TENSOR] * (MAX_LEAVES + 1)).tensors == MAX_LEAVES
    assert contents([TENSOR] * MAX_LEAVES).whole


def test_a_batch_whose_properties_raise_holds_nothing_that_is_known() -> None:
    class Strange:
        @property
        def shape(self) -> Any:
            raise RuntimeError("no shape today")

    assert contents(Strange()) == contents(7)


def test_tensors_are_counted_and_arrays_are_not() -> None:
    assert contents({"a": TENSOR, "b": [TENSOR, np.zeros(3)]}).tensors == 2
    assert contents([np.zeros(3)]).tensors == NOT_MEASURED
