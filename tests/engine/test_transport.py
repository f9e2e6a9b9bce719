"""Laws of slots and of the two ways in which a batch lies in one."""

from __future__ import annotations

import collections
import copy
import gc
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from loader_core.engine.collate import Misfit, learn
from loader_core.engine.transport import SPARE_SLOTS, Slots, pack, unpack

Point = collections.namedtuple("Point", ["x", "y"])
DTYPES = [np.float32, np.float64, np.int64, np.int32, np.uint8, np.int16, np.bool_, np.complex64, np.float16]

arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
leaves = st.one_of(
    arrays.map(lambda array: torch.from_numpy(np.array(array))),
    arrays,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
    st.text(max_size=5),
    st.binary(max_size=5),
)
samples = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.lists(inner, min_size=1, max_size=3),
        st.tuples(inner, inner),
        st.builds(Point, inner, inner),
    ),
    max_leaves=6,
)


def same(left: Any, right: Any) -> bool:
    """Equal in type, dtype, shape and bytes (so that NaN equals itself), through and through."""
    if type(left) is not type(right):
        return False
    if isinstance(left, torch.Tensor):
        return (
            left.dtype == right.dtype
            and left.shape == right.shape
            and left.numpy().tobytes() == right.numpy().tobytes()
        )
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right or (left != left and right != right))


@pytest.fixture(params=[True, False], ids=["shared", "private"])
def slots(request: pytest.FixtureRequest) -> Any:
    made = Slots(1, shared=request.param)
    yield made
    made.close()


@given(sample=samples, count=st.integers(1, 5))
def test_a_planned_batch_is_torchs_batch(sample: Any, count: int) -> None:
    plan = learn(sample, count)
    if plan is None:
        return
    batch = [copy.deepcopy(sample) for _ in range(count)]
    memory = np.full(plan.nbytes, 0xAA, np.uint8)
    assert plan.matches(batch)
    texts = plan.collate(batch, memory)
    assert same(plan.view(memory, count, texts), torch.utils.data.default_collate(batch))


@given(batch=samples)
def test_bytes_out_are_bytes_in_for_packed_batches(batch: Any) -> None:
    slots = Slots(1, shared=True)
    try:
        slot = slots.take()
        used, blob = pack(batch, slots, slot)
        assert same(unpack(slots.lend(slot, used), blob), batch)
    finally:
        slots.close()


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (1, 2.5),
        (True, 7),
        (np.zeros(3, np.float32), np.zeros(3, np.float64)),
        (np.zeros(3, np.float32), np.zeros(4, np.float32)),
        (torch.zeros(3), torch.zeros(3, dtype=torch.float64)),
        (torch.zeros(3), torch.zeros(2)),
        ((1, 2), (1, 2, 3)),
        ({"a": 1}, {"b": 1}),
        (1, None),
        (1, 2**70),
    ],
)
def test_samples_that_differ_are_left_to_torch(first: Any, later: Any) -> None:
    plan = learn(first, 2)
    assert plan is not None
    with pytest.raises(Misfit):
        plan.collate([first, later], np.empty(max(1, plan.nbytes), np.uint8))


@pytest.mark.parametrize(
    "sample", [None, object(), torch.zeros(2, requires_grad=True), torch.zeros(2).to_sparse(), np.array(["a"]), {1, 2}]
)
def test_what_only_torch_can_collate_has_no_plan(sample: Any) -> None:
    assert learn(sample, 2) is None
    assert learn({"x": sample}, 2) is None


def test_torchs_own_extension_of_default_collate_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils.data._utils.collate import default_collate_fn_map

    monkeypatch.setitem(default_collate_fn_map, complex, lambda batch, **_: torch.tensor(batch))
    assert learn(1, 2) is None


def test_a_slot_returns_when_the_last_view_of_it_is_gone(slots: Slots) -> None:
    free = slots.free
    slot = slots.take()
    slots.memory(slot, 64)[:] = 7
    memory = slots.lend(slot, 64)
    tensor = torch.frombuffer(memory, dtype=torch.uint8)
    row, array = tensor.view(8, 8)[3], tensor.numpy()[5:]
    del memory, tensor
    gc.collect()
    assert slots.free == free - 1
    del row
    assert slots.free == free - 1
    assert (array == 7).all()
    del array
    assert slots.free == free


def test_who_keeps_many_batches_is_given_copies(slots: Slots) -> None:
    kept = []
    for value in range(SPARE_SLOTS + 5):
        slot = slots.take()
        slots.memory(slot, 32)[:] = value
        kept.append(slots.lend(slot, 32))
    assert [int(batch[0]) for batch in kept] == list(range(SPARE_SLOTS + 5))
    assert slots.copies == 5
    assert slots.free == 1


def test_a_slot_grows_and_earlier_views_stay_whole(slots: Slots) -> None:
    slot = slots.take()
    slots.memory(slot, 100)[:100] = 1
    early = slots.lend(slot, 100)
    other = slots.take()
    slots.memory(other, 1_000_000)[:] = 2
    late = slots.lend(other, 1_000_000)
    assert (early == 1).all()
    assert (late == 2).all()


def test_the_same_tensor_twice_is_stored_once(slots: Slots) -> None:
    tensor = torch.zeros(1000)
    slot = slots.take()
    used, _ = pack([tensor, tensor], slots, slot)
    assert used < 2 * tensor.nbytes


def test_a_packed_batch_is_let_go_of_at_once(slots: Slots) -> None:
    array, tensor = np.zeros(1000), torch.zeros(1000)
    gone = [weakref.ref(array), weakref.ref(tensor)]
    gc.disable()
    try:
        pack({"array": array, "tensor": tensor}, slots, slots.take())
        del array, tensor
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()


def test_memory_outlives_closed_slots() -> None:
    slots = Slots(1, shared=True)
    slot = slots.take()
    slots.memory(slot, 16)[:] = 9
    memory = slots.lend(slot, 16)
    slots.close()
    slots.close()
    assert (memory == 9).all()


def test_no_room_is_an_error_with_the_numbers_and_not_a_bus_error() -> None:
    # A limit on the size of files stands in for a host without memory: posix_fallocate refuses both in the same way.
    script = (
        "import resource, signal; from loader_core.engine.transport import Slots\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "slots = Slots(1, shared=True)\n"
        "try: slots.memory(slots.take(), 3 << 20)\n"
        "except RuntimeError as error: print(type(error).__name__, error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=50).stdout
    assert said.startswith("SharedMemoryError no room for a batch of 3.0 MiB in shared memory (")
    assert "smaller batch_size" in said


def test_slots_leave_no_name_behind() -> None:
    before = set(Path("/dev/shm").iterdir())
    slots = Slots(4, shared=True)
    slots.memory(slots.take(), 1 << 20)
    assert set(Path("/dev/shm").iterdir()) == before
    slots.close()


@pytest.mark.parametrize("shape", [(6,), (2, 3), ()])
@pytest.mark.parametrize("fault", ["none", "gaps", "shape", "dtype", "type"])
def test_small_arrays_are_joined_only_if_torch_would_stack_them(shape: tuple[int, ...], fault: str) -> None:
    column: list[Any] = [np.random.default_rng(seed).random(shape, np.float32) for seed in range(5)]
    if fault == "gaps":
        column[2] = np.repeat(np.atleast_1d(column[2]), 2, axis=-1)[..., ::2].reshape(shape)
        column[3] = np.asfortranarray(column[3]).reshape(shape, order="A")
    elif fault == "shape":
        column[2] = column[2].reshape((*shape[::-1], 1))
    elif fault == "dtype":
        column[2] = column[2].astype(np.float64)
    elif fault == "type":
        column[2] = 0.5
    plan = learn(column[0], len(column))
    assert plan is not None
    memory = np.zeros(plan.nbytes, np.uint8)
    if fault in ("none", "gaps"):
        plan.collate(column, memory)
        assert same(plan.view(memory, len(column), []), torch.utils.data.default_collate(column))
    else:
        with pytest.raises(Misfit):
            plan.collate(column, memory)
