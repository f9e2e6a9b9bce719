"""Laws of plans for whole batches, which a collate function of one's own has made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from loader_core.engine import DataLoader
from loader_core.engine.whole import learn_whole
from loader_core.trace import Kind, Recording, Trace
from tests.engine.datasets import Numbers
from tests.engine.test_transport import Point, arrays, same

wholes = st.recursive(
    st.one_of(arrays, arrays.map(lambda array: torch.from_numpy(np.array(array)))),
    lambda inner: st.one_of(
        st.dictionaries(st.text(max_size=3), inner, min_size=1, max_size=3),
        st.lists(inner, min_size=1, max_size=3),
        st.tuples(inner, inner),
        st.builds(Point, inner, inner),
    ),
    max_leaves=6,
)


@given(wholes)
def test_what_is_written_is_what_is_read(batch: Any) -> None:
    plan = learn_whole(batch)
    assert plan is not None and plan.matches(batch)
    memory = np.zeros(plan.nbytes, np.uint8)
    plan.write(batch, memory)
    assert same(plan.view(memory, 0, []), batch)


@given(wholes, wholes)
def test_a_plan_takes_only_batches_of_its_own_structure(one: Any, other: Any) -> None:
    plan, their = learn_whole(one), learn_whole(other)
    assert plan is not None and their is not None
    if plan.matches(other):
        memory = np.zeros(plan.nbytes, np.uint8)
        plan.write(other, memory)
        assert same(plan.view(memory, 0, []), other)


TWICE = torch.zeros(3)


@pytest.mark.parametrize(
    "batch",
    [
        [],
        "text",
        [torch.zeros(2), "text"],
        torch.zeros(2, requires_grad=True),
        torch.zeros(2, 3).T,
        torch.zeros(1).expand(3),
        torch.eye(3).to_sparse(),
        np.array(["a"]),
        np.zeros((2, 3)).T,
        np.ma.zeros(3),
        [TWICE, TWICE],
    ],
    ids=str,
)
def test_what_is_more_than_bytes_in_a_row_has_no_plan(batch: Any) -> None:
    assert learn_whole(batch) is None


class InPairs(Numbers):
    """Gives whole batches: two arrays, whatever the batch's size."""

    def __getitems__(self, indices: list[int]) -> tuple[torch.Tensor, np.ndarray[Any, Any]]:
        assert type(indices) is list
        return torch.tensor(indices), np.array(indices, np.float32)


def unchanged(batch: Any) -> Any:
    return batch


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("method", ["process", "thread"])
def test_batches_of_every_size_arrive_as_they_were_made(num_workers: int, method: Any) -> None:
    sampler = [list(range(size)) for size in (4, 4, 1, 4, 7, 2, 3, 5, 6, 8, 9, 10, 4)]  # more structures than plans
    loader: DataLoader[Any] = DataLoader(
        InPairs(40), batch_sampler=sampler, collate_fn=unchanged, num_workers=num_workers, worker_method=method
    )
    for _ in range(2):
        for indices, (numbers, floats) in zip(sampler, loader, strict=True):
            assert numbers.tolist() == indices
            assert floats.dtype == np.float32 and floats.tolist() == indices


@pytest.mark.parametrize("num_workers", [0, 2])
def test_samples_are_counted_though_the_batch_is_a_pair(num_workers: int, tmp_path: Any) -> None:
    with Recording.create(tmp_path / "run", run_id="pairs") as recording:
        loader: DataLoader[Any] = DataLoader(
            InPairs(10), 4, collate_fn=unchanged, num_workers=num_workers, recording=recording
        )
        assert sum(1 for _ in loader) == 3
    rows = Trace.open(tmp_path / "run").window(0, 1 << 62)
    assert rows["value"][rows["kind"] == Kind.STEP].tolist() == [4, 4, 2]
