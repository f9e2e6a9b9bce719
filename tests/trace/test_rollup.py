"""The roll-up: its sums against a reference that is slow and plain, and the law of conservation."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loader_core.trace.event import KINDS, NOT_MEASURED, Kind, Nature, Role
from loader_core.trace.rollup import (
    BUCKET_NS,
    FOLD_DTYPE,
    MAX_BUCKETS,
    Fold,
    FoldFile,
    Rollup,
    fold,
    known,
)
from loader_core.trace.segment import ROLES, SegmentId
from tests.trace.records import Event, array

TIMES = st.integers(-BUCKET_NS, 12 * BUCKET_NS) | st.integers(0, 12).map(lambda n: n * BUCKET_NS)
EVENTS = st.lists(
    st.builds(
        lambda times, value, kind: (min(times), max(times), value, -1, 0, 0, 0, kind),
        st.tuples(TIMES, TIMES),
        st.integers(NOT_MEASURED, 1 << 40),
        st.sampled_from(Kind),
    ),
    max_size=30,
)


def reference(rows: list[Event], writer: Role) -> dict[tuple[int, int], dict[str, int]]:
    """What `fold` says it does, event by event."""
    sums: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: dict.fromkeys(FOLD_DTYPE.names[2:], 0))
    for start, end, value, _, _, _, _, kind in rows:
        spec = KINDS[Kind(kind)]
        role = ROLES.index(writer if spec.role is Role.ANY else spec.role)
        last = sums[max(0, end // BUCKET_NS), role]
        last["count"] += 1
        last["batches"] += kind == Kind.STEP
        if value != NOT_MEASURED:
            last["samples"] += value * (kind == Kind.STEP)
            last["bytes"] += value * (kind in (Kind.SEND, Kind.RECEIVE, Kind.PIN, Kind.COPY))
        names = ["work_ns"] * (spec.nature is Nature.WORK)
        names += ["wait_ns"] * (spec.nature is Nature.WAIT and kind != Kind.PAUSE)
        names += ["step_ns"] * (kind == Kind.STEP)
        for bucket in range(max(0, end // BUCKET_NS) + 1):
            low = bucket * BUCKET_NS if bucket else -BUCKET_NS  # time before run time 0 belongs to the first bucket
            inside = max(0, min(end, (bucket + 1) * BUCKET_NS) - max(start, low))
            for name in names:
                if inside:
                    sums[bucket, role][name] += inside
    return sums


def as_sums(rows: np.ndarray) -> dict[tuple[int, int], dict[str, int]]:
    names = FOLD_DTYPE.names[2:]
    return {
        (int(row["bucket"]), int(row["role"])): {name: int(row[name]) for name in names}
        for row in rows
        if any(row[name] for name in names)
    }


@given(EVENTS, st.sampled_from(ROLES), st.integers(0, 1 << 60))
def test_a_fold_is_the_sum_of_its_events(rows: list[Event], writer: Role, anchor_ns: int) -> None:
    shifted = [(start + anchor_ns, end + anchor_ns, *rest) for start, end, *rest in rows]
    folded = fold(array(shifted), writer=writer, anchor_ns=anchor_ns)
    assert as_sums(folded) == reference(rows, writer)
    keys = list(zip(folded["bucket"].tolist(), folded["role"].tolist(), strict=True))
    assert keys == sorted(set(keys))


@given(EVENTS, st.data())
def test_folds_of_parts_add_up_to_the_fold_of_the_whole(rows: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    whole, parts, back = Rollup(), Rollup(), Rollup()
    whole.add(fold(array(rows), writer=Role.MAIN, anchor_ns=0))
    for part in (rows[:cut], rows[cut:]):
        parts.add(fold(array(part), writer=Role.MAIN, anchor_ns=0))
    assert (whole.rows == parts.rows).all()
    assert (whole.batches, whole.samples) == (parts.batches, parts.samples)
    back.add(fold(array(rows), writer=Role.MAIN, anchor_ns=0))
    back.add(fold(array(rows), writer=Role.MAIN, anchor_ns=0), sign=-1)
    assert all(not back.rows[name].any() for name in ("batches", "samples", "bytes", "wait_ns", "step_ns"))


def test_the_last_bucket_holds_all_that_comes_later() -> None:
    rollup = Rollup()
    far = (MAX_BUCKETS + 500) * BUCKET_NS
    rows = array([(0, far, 1, -1, 0, 0, 0, Kind.WAIT_BATCH), (far, far + 5, 7, -1, 0, 0, 0, Kind.STEP)])
    rollup.add(fold(rows, writer=Role.CONSUMER, anchor_ns=0))
    assert len(rollup.rows) == MAX_BUCKETS
    assert int(rollup.rows["wait_ns"].sum()) == far
    assert rollup.rows[-1][["batches", "samples", "step_ns"]].item() == (1, 7, 5)


def test_buckets_have_no_gaps_and_cannot_be_written() -> None:
    rollup = Rollup()
    rollup.add(fold(array([(0, 5_000 * BUCKET_NS, 1, -1, 0, 0, 0, Kind.STEP)]), writer=Role.CONSUMER, anchor_ns=0))
    assert rollup.rows["bucket"].tolist() == list(range(5_001))
    assert set(rollup.rows["step_ns"][:-1].tolist()) == {BUCKET_NS}
    assert not rollup.rows.flags.writeable


def test_a_span_that_ends_before_it_starts_counts_as_no_time() -> None:
    folded = fold(array([(10 * BUCKET_NS, 0, 1, -1, 0, 0, 0, Kind.STEP)]), writer=Role.CONSUMER, anchor_ns=0)
    assert int(folded["step_ns"].sum()) == 0
    assert int(folded["batches"].sum()) == 1


def test_events_of_unknown_kinds_are_left_out() -> None:
    rows = array([(0, 1, 0, 0, 0, 0, 0, kind) for kind in (1, 200, 8, 24, 28, 250)])
    assert known(rows)["kind"].tolist() == [1, 24, 28]


# --- the file of folds ------------------------------------------------------------------------------------------------


def some_fold(seq: int, buckets: int) -> Fold:
    rows = np.zeros(buckets, FOLD_DTYPE)
    rows["bucket"], rows["count"] = np.arange(buckets), seq
    return Fold(SegmentId(1, -1, 4711, 9, seq), 2, 100 + seq, rows)


def test_a_fold_has_records_of_64_bytes() -> None:
    packed = some_fold(3, 2).pack()
    assert len(packed) == 3 * 64
    assert packed[:40].hex(" ", 4) == (
        "4c534631 02000000 01000000 ffffffff 67120000 09000000 03000000 02000000 67000000 00000000"
    )


def test_folds_are_read_whole_or_not_yet(tmp_path: Path) -> None:
    first, second = some_fold(1, 3).pack(), some_fold(2, 0).pack() + some_fold(3, 1).pack()
    reader = FoldFile(tmp_path)
    assert reader.take() == []
    for cut in range(len(first)):
        (tmp_path / "rollup").write_bytes(first[:cut])
        assert reader.take() == []
    (tmp_path / "rollup").write_bytes(first + second)
    taken = reader.take()
    assert [fold.id.seq for fold in taken] == [1, 2, 3]
    assert [fold.events for fold in taken] == [101, 102, 103]
    assert [fold.pack() for fold in taken] == [some_fold(1, 3).pack(), some_fold(2, 0).pack(), some_fold(3, 1).pack()]
    assert reader.take() == []


def test_what_is_no_fold_ends_the_reading(tmp_path: Path) -> None:
    (tmp_path / "rollup").write_bytes(some_fold(1, 1).pack() + b"x" * 640)
    assert [fold.id.seq for fold in FoldFile(tmp_path).take()] == [1]
