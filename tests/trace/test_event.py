"""The schema: a change here breaks every recording ever made, so it must bump SCHEMA_VERSION and be meant."""

from __future__ import annotations

import numpy as np

from loader_core.trace.event import EVENT_DTYPE, KINDS, RECORD, SCHEMA_VERSION, Kind, Nature, Role, kind_table


def test_golden_record() -> None:
    assert SCHEMA_VERSION == 2, "a new schema needs new golden bytes"
    packed = RECORD.pack(0x0102030405060708, 0x1112131415161718, -1, 77, 0xAABBCCDD, 0x1234, 0x05, Kind.STEP)
    assert packed.hex(" ", 8) == (
        "0807060504030201 1817161514131211 ffffffffffffffff 4d00000000000000 ddccbbaa3412050f"
    )


def test_golden_kinds() -> None:
    """The numbers that recordings hold. One that is gone stays unused, so that an older recording still reads."""
    assert {kind.name: int(kind) for kind in Kind} == {
        "DRAW": 1,
        "DISPATCH": 2,
        "WAIT_TASK": 3,
        "FETCH": 4,
        "COLLATE": 5,
        "ITEM": 6,
        "STAGE": 7,
        "SEND": 9,
        "RECEIVE": 10,
        "HOLD": 11,
        "PIN": 12,
        "COPY": 13,
        "WAIT_BATCH": 14,
        "STEP": 15,
        "PAUSE": 16,
        "PREVIEW": 17,
        "GAUGE": 18,
        "LOSS": 19,
        "CHANGE": 20,
        "START": 21,
        "STOP": 22,
        "ERROR": 23,
        "DIED": 24,
        "MEMORY": 25,
        "FILES": 26,
        "STACK": 27,
        "TENSORS": 28,
        "CPU": 29,
        "CORE_WAIT": 30,
    }


def test_golden_roles_of_the_kinds_that_any_lane_may_have() -> None:
    anyone = {kind.name for kind, spec in KINDS.items() if spec.role is Role.ANY}
    assert anyone == {"STAGE", "GAUGE", "START", "STOP", "ERROR", "DIED", "MEMORY", "FILES"}


def test_numpy_reads_what_struct_packs() -> None:
    fields = (-5, 9, 1 << 62, -1, 0xFFFF_FFFF, 65_535, 7, 24)
    assert np.frombuffer(RECORD.pack(*fields), EVENT_DTYPE)[0].item() == fields


def test_the_kind_is_the_last_byte() -> None:
    assert RECORD.size == EVENT_DTYPE.itemsize == 40
    assert EVENT_DTYPE.fields is not None
    assert EVENT_DTYPE.fields["kind"][1] == 39


def test_each_kind_has_one_row_and_none_is_zero() -> None:
    assert set(KINDS) == set(Kind)
    assert min(Kind) == 1
    assert [row["kind"] for row in kind_table()] == sorted(Kind)
    for spec in KINDS.values():
        assert spec.meaning
        assert spec.role in Role
        assert spec.nature in Nature
