"""The wire's frames against golden bytes, and the files written from it against what is committed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app import wire, wire_types
from loader_core.trace import event

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"


def load_writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_writer", GOLDEN / "write.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WRITER = load_writer()


@pytest.mark.parametrize("name", sorted(WRITER.frames()))
def test_writer_makes_the_golden_bytes(name: str) -> None:
    assert WRITER.frames()[name] == (GOLDEN / f"{name}.bin").read_bytes()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.bin")), ids=lambda path: path.stem)
def test_reader_makes_of_golden_bytes_what_their_json_says(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert WRITER.expectation(path.read_bytes()) == expected


def test_golden_spans_hold_the_rows_that_were_written() -> None:
    _, rows = wire.decode_frame((GOLDEN / "spans.bin").read_bytes())
    assert rows.tolist() == [tuple(map(float, row[:2])) + tuple(map(int, row[2:])) for row in WRITER.SPANS]


def test_header_is_48_bytes_and_each_column_is_aligned_for_any_count() -> None:
    assert wire.FRAME_HEADER.size == 48
    for columns in wire.COLUMNS.values():
        for count in range(9):
            offset = wire.FRAME_HEADER.size
            for name in columns.names or ():
                assert offset % columns[name].itemsize == 0, (name, count)
                offset += columns[name].itemsize * count


@pytest.mark.parametrize("frame_type", list(wire.FrameType))
@given(drawn=st.data())
def test_decode_is_the_inverse_of_encode(frame_type: wire.FrameType, drawn: st.DataObject) -> None:
    shape = st.integers(0, 40)
    rows = drawn.draw(arrays.arrays(wire.COLUMNS[frame_type], shape))
    whole = st.integers(0, 2**53).map(float)
    header: dict[str, Any] = {key: drawn.draw(whole) for key in ("base_ns", "unit_ns", "cursor", "dropped")}
    header["seq"] = drawn.draw(st.integers(0, 2**32 - 1))
    header["series"] = drawn.draw(st.integers(0, 255))
    decoded, columns = wire.decode_frame(wire.encode_frame(frame_type, rows, **header))
    assert decoded == wire.FrameHeader(type=frame_type, count=len(rows), **header)
    assert columns.tobytes() == rows.tobytes()


@given(st.binary(max_size=200))
def test_decode_refuses_or_reads_any_bytes(noise: bytes) -> None:
    try:
        header, rows = wire.decode_frame(noise)
    except wire.ProtocolError:
        return
    assert header.count == len(rows)


def test_each_cut_of_a_frame_is_refused() -> None:
    frame = (GOLDEN / "spans.bin").read_bytes()
    for length in range(len(frame)):
        with pytest.raises(wire.ProtocolError):
            wire.decode_frame(frame[:length])


def test_committed_types_and_tables_are_what_the_wire_says() -> None:
    assert wire_types.stale() == [], "run `python -m app.wire`"


def test_check_names_the_stale_file_and_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "docs" / "protocol.md"
    page.parent.mkdir()
    names = ("messages", "bytes")
    parts = [f"{wire_types.BEGIN.format(name)}\nold\n{wire_types.END.format(name)}\n" for name in names]
    page.write_text("before\n" + "".join(parts) + "after\n")
    monkeypatch.setattr(wire_types, "ROOT", tmp_path)
    monkeypatch.setattr(wire_types, "PROTOCOL", page)
    monkeypatch.setattr(wire_types, "TYPESCRIPT", tmp_path / "wire.ts")
    monkeypatch.setattr(sys, "argv", ["wire", "--check"])
    with pytest.raises(SystemExit, match=r"wire\.ts, docs/protocol\.md; run `python -m app\.wire`"):
        wire_types.main()
    monkeypatch.setattr(sys, "argv", ["wire"])
    wire_types.main()
    assert wire_types.stale() == []
    assert page.read_text().startswith("before\n") and page.read_text().endswith("\nafter\n")


def test_command_checks_the_checkout() -> None:
    command = [sys.executable, "-m", "app.wire", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_protocol_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"docs/protocol\.md needs the lines"):
        wire_types.protocol_page("no tables here")


def test_types_are_deterministic_and_cover_every_model() -> None:
    text = wire_types.typescript()
    assert text == wire_types.typescript()
    models = [model.__name__ for model in wire.Wire.__subclasses__()]
    assert len(models) > 20
    for name in models:
        assert f"export interface {name} {{" in text
    for kind in event.Kind:
        assert f"  {kind.name}: {int(kind)},\n" in text


def test_only_what_a_client_may_leave_out_is_optional() -> None:
    text = wire_types.typescript()
    subscribe = text[text.index("export interface Subscribe") :].partition("}")[0]
    assert 'readonly type: "subscribe";' in subscribe
    assert "readonly run: string;" in subscribe
    assert "readonly cursor?: number;" in subscribe
    assert "?:" not in text[text.index("export interface Status") :].partition("}")[0]


def test_unknown_field_of_a_message_is_refused() -> None:
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        wire.Ack.model_validate({"type": "ack", "seq": 1, "sequence": 2})


def test_span_columns_hold_every_value_of_the_event() -> None:
    columns = wire.SPAN_COLUMNS
    assert np.iinfo(columns["kind"]).max >= max(event.Kind)
    assert columns["batch"] == np.dtype("<u4") and np.array(event.NO_BATCH, columns["batch"]) == event.NO_BATCH
