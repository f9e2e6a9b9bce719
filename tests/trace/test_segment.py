"""Segments: bytes in the file, publishing, and files that are not what they should be."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from loader_core.errors import NewerSchema, TraceError
from loader_core.trace.event import RECORD, SCHEMA_VERSION, Kind, Role
from loader_core.trace.recorder import Recorder
from loader_core.trace.segment import HEADER_BYTES, SegmentFlag, SegmentHeader, SegmentReader, SegmentWriter, seal_file
from tests.trace.records import Event, run_script, script, segments

HEADER = SegmentHeader(
    role=Role.WORKER,
    worker=3,
    rank=1,
    pid=4711,
    serial=0x01020304,
    seq=5,
    first=1209,
    capacity=403,
    anchor_ns=1_000_000_007,
    created_ns=2_000_000_011,
    host="node-a",
)


def event(number: int) -> Event:
    return (number, number + 1, -number, 3 * number, number & 0xFFFF_FFFF, 7, 1, Kind.FETCH)


def pack(writer: SegmentWriter, index: int, fields: Event) -> None:
    RECORD.pack_into(writer.page, HEADER_BYTES + index * RECORD.size, *fields)


def test_golden_header() -> None:
    packed = HEADER.pack()
    assert len(packed) == 256
    assert packed[:48].hex(" ", 8) == (
        "4c534556454e5453 0200010000000000 9301000003000000 0100000067120000 0403020105000000 b904000000000000"
    )
    assert packed[48:64].hex(" ", 8) == "07ca9a3b00000000 0b94357700000000"
    assert packed[64:] == b"node-a".ljust(192, b"\0")
    assert SegmentHeader.unpack(packed, name="x") == HEADER


def test_the_file_is_named_after_its_writer_and_has_its_whole_size_at_once(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, HEADER)
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["worker-3.4711.16909060.000005.events"]
    status = writer.path.stat()
    assert status.st_size == 256 + 403 * 40
    assert status.st_blocks * 512 >= status.st_size, "space is reserved before it is written"


def test_segments_double_up_to_the_bound() -> None:
    header, sizes = HEADER, []
    for seq in range(9):
        header = header.following(created_ns=seq, limit_bytes=1 << 30)
        sizes.append(header.capacity)
    assert sizes[-1] == sizes[-2] == (1024 * 1024 - 256) // 40
    first = SegmentHeader.unpack(HEADER.pack(), name="x").following(created_ns=0, limit_bytes=0)
    assert first.capacity == 403, "the smallest segment is 16 KiB, however small the bound"
    assert (first.seq, first.first) == (6, 1209 + 403)


def test_a_reader_takes_each_published_record_once(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, HEADER)
    reader = SegmentReader(writer.path)
    assert len(reader.take()) == 0
    for number in range(3):
        pack(writer, number, event(number))
    assert reader.take().tolist() == [event(0), event(1), event(2)]
    pack(writer, 3, event(3))
    assert reader.take().tolist() == [event(3)]
    assert not reader.complete
    writer.seal()
    assert len(reader.take()) == 0
    assert reader.complete
    writer.close()


def test_a_record_without_its_kind_is_not_there(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, HEADER)
    reader = SegmentReader(writer.path)
    pack(writer, 0, event(0))
    pack(writer, 1, (*event(1)[:-1], 0))
    pack(writer, 2, event(2))
    assert reader.take().tolist() == [event(0)], "nothing behind an unpublished record is read"
    pack(writer, 1, event(1))
    assert reader.take().tolist() == [event(1), event(2)]
    writer.close()


def test_a_look_that_is_torn_by_the_writer_gives_whole_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel copies a record's fields, then the writer publishes it, then the kernel copies its kind."""
    writer = SegmentWriter(tmp_path, HEADER)
    reader = SegmentReader(writer.path)
    pread, torn = os.pread, []

    def torn_pread(handle: int, size: int, offset: int) -> bytes:
        if offset != HEADER_BYTES or torn:
            return pread(handle, size, offset)
        fields = pread(handle, size, offset)[: RECORD.size - 1]
        pack(writer, 0, event(5))
        torn.append(offset)
        return fields + pread(handle, size, offset)[RECORD.size - 1 :]

    monkeypatch.setattr(os, "pread", torn_pread)
    assert reader.take().tolist() == [event(5)]
    assert torn
    writer.close()


class Watched(np.ndarray):
    """The mapped words of a segment, with a look by a reader after each single assignment."""

    reader: SegmentReader
    seen: list[Event]

    def __setitem__(self, key: object, value: object) -> None:
        super().__setitem__(key, value)
        Watched.seen += Watched.reader.take().tolist()


def test_records_written_in_bulk_are_never_seen_in_part(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, role=Role.WORKER, worker=0)
    Watched.reader, Watched.seen = SegmentReader(segments(tmp_path)[0]), []
    recorder._words = recorder._words.view(Watched)
    recorder.epoch, end = 3, 1 << 60
    recorder.add_items(7, [10, 20, 30], [end, end + 1, end + 2, end + 3], [100, 200, 300])
    assert Watched.seen[1:] == [
        (end, end + 1, 100, 10, 7, 3, 0, Kind.ITEM),
        (end + 1, end + 2, 200, 20, 7, 3, 0, Kind.ITEM),
        (end + 2, end + 3, 300, 30, 7, 3, 0, Kind.ITEM),
    ]
    recorder.close()


def test_rows_overlapping_a_span(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, HEADER)
    spans = [(0, 10), (5, 20), (20, 20), (0, 30), (28, 40)]
    for index, (start, end) in enumerate(spans):
        pack(writer, index, (start, end, 0, 0, index, 0, 0, Kind.FETCH))
    writer.close()
    reader = SegmentReader(writer.path)
    assert len(reader.rows(0, 100)) == 0, "only what was taken"
    reader.take()
    for start in range(-2, 45):
        for end in range(start, 45):
            expected = [i for i, span in enumerate(spans) if span[0] <= end and span[1] >= start]
            assert reader.rows(start, end)["batch"].tolist() == expected


@pytest.mark.parametrize("cut", [HEADER_BYTES + 40 * 2 + 39, HEADER_BYTES + 40 * 2, HEADER_BYTES])
def test_a_file_cut_short_gives_its_whole_records_and_goes_on_when_it_grows(tmp_path: Path, cut: int) -> None:
    writer = SegmentWriter(tmp_path, HEADER)
    for number in range(5):
        pack(writer, number, event(number))
    writer.seal()
    writer.close()
    whole = writer.path.read_bytes()
    copy = tmp_path / "copy.events"
    copy.write_bytes(whole[:cut])
    reader = SegmentReader(copy)
    there = (cut - HEADER_BYTES) // RECORD.size
    assert reader.take().tolist() == [event(number) for number in range(there)]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "has 0 bytes, a segment's header has 256"),
        (b"x" * 100, "has 100 bytes, a segment's header has 256"),
        (b"x" * 300, "begins with b'xxxxxxxx', a segment begins with b'LSEVENTS'"),
        (HEADER.pack()[:10] + b"\xff" + HEADER.pack()[11:], "names role 255, there are 5"),
    ],
)
def test_a_foreign_file_is_refused_with_the_reason(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "foreign.events"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=text):
        SegmentReader(path)
    seal_file(path)
    assert path.read_bytes() == content, "what is not ours is not touched"


def test_a_newer_schema_names_both_versions(tmp_path: Path) -> None:
    newer = SCHEMA_VERSION + 1
    path = tmp_path / "newer.events"
    path.write_bytes(HEADER.pack()[:8] + newer.to_bytes(2, "little") + HEADER.pack()[10:])
    with pytest.raises(NewerSchema, match=rf"schema version {newer}, .* reads up to {SCHEMA_VERSION}\. Open it with"):
        SegmentReader(path)


def test_sealing_for_a_writer_that_is_gone(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, HEADER)
    writer.close()
    seal_file(writer.path)
    assert SegmentReader(writer.path).header.flags is SegmentFlag.SEALED


KILLED = """
import os, signal, sys
import os
from pathlib import Path
from loader_core.trace import Kind, Recorder, Role
recorder = Recorder(Path(sys.argv[1]), role=Role.WORKER, worker=0)
for number in range(int(sys.argv[2])):
    recorder.add(Kind.FETCH, number, number, number + 10**18, number, number)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("count", [0, 1, 402, 403, 50_000])
def test_sigkill_loses_no_record(tmp_path: Path, count: int) -> None:
    code, _ = run_script(KILLED, tmp_path, count)
    assert code == -9
    rows = np.concatenate([SegmentReader(path).take() for path in segments(tmp_path)])
    assert len(rows) == 1 + count, "START, and all others"
    for name in ("batch", "value", "sample", "start"):
        assert rows[name][1:].tolist() == list(range(count))


WRITER = """
import sys
import os
from pathlib import Path
from loader_core.trace import Kind, Recorder, Role
recorder = Recorder(Path(sys.argv[1]), role=Role.WORKER, worker=0)
print("go", flush=True)
for number in range(int(sys.argv[2])):
    n = number + 1
    if number % 100:
        recorder.add(Kind.FETCH, n, n, n + 10**18, n, n)
    else:
        recorder.epoch = 1
        recorder.add_items(n, [n] * 3, [n + 10**18] * 4, [n] * 3)
        recorder.epoch = 0
recorder.close()
"""


def test_a_concurrent_reader_never_sees_half_a_record(tmp_path: Path) -> None:
    count, seen, looks = 60_000, 0, 0
    readers: dict[Path, SegmentReader] = {}
    with script(WRITER, tmp_path, count) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        while process.poll() is None or looks == 0:
            looks += 1
            for path in segments(tmp_path):
                reader = readers.setdefault(path, SegmentReader(path))
                if reader.complete:
                    continue
                rows = reader.take()
                rows = rows[np.isin(rows["kind"], [Kind.FETCH, Kind.ITEM])]
                seen += len(rows)
                for name in ("value", "sample"):
                    assert (rows[name] == rows["batch"]).all()
                spans = rows[rows["kind"] == Kind.FETCH]
                assert (spans["start"] == spans["batch"]).all()
                assert (spans["end"] >= 10**18).all()
        assert process.returncode == 0
    seen += sum(int((r.take()["kind"] != Kind.STOP).sum()) for r in readers.values() if not r.complete)
    late = [SegmentReader(path) for path in segments(tmp_path) if path not in readers]
    seen += sum(int((reader.take()["kind"] != Kind.STOP).sum()) for reader in late)
    assert seen == count + 2 * (count // 100)
    assert looks > 3, "the reader did read while the writer wrote"


def open_handles() -> set[str]:
    return {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="handles are counted in /proc")
def test_no_handle_is_held_between_two_looks(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, role=Role.MAIN)
    before = open_handles()
    readers = [SegmentReader(path) for path in segments(tmp_path)]
    for reader in readers:
        reader.take()
    assert open_handles() == before
    recorder.close()
