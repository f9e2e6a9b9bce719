"""The schema: a change here breaks every recording ever made, so it must bump SCHEMA_VERSION and be meant."""

from __future__ import annotations

import numpy as np

from loader_core.trace.event import EVENT_DTYPE, KINDS, RECORD, SCHEMA_VERSION, Kind, Nature, Role, kind_table


def test_golden_record() -> None:
    assert SCHEMA_VERSION == 1, "a new schema needs new golden bytes"
    packed = RECORD.pack(0x0102030405060708, 0x1112131415161718, -1, 77, 0xAABBCCDD, 0x1234, 0x05, Kind.STEP)
    assert packed.hex(" ", 8) == (
        "0807060504030201 1817161514131211 ffffffffffffffff 4d00000000000000 ddccbbaa3412050f"
    )


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
