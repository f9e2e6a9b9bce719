"""A disk that is full: the run goes on, what was recorded stays, and everybody is told."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from loader_core.trace.event import Flag, Kind, Role
from loader_core.trace.recording import Delivery, Recording
from loader_core.trace.segment import SegmentFlag, SegmentReader
from loader_core.trace.trace import Trace
from tests.trace.records import events, run_script, segments


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB, really."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip(f"a file system of 256 KiB cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_ends_the_recording_and_not_the_run(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Recording.create(small_disk / "run", run_id="r") as recording:
        worker = recording.recorder(Role.WORKER, 2)
        added = 1
        while worker.enabled:
            worker.add(Kind.FETCH, added, 0)
            added += 1
        worker.add(Kind.FETCH, added, 0)
        worker.add_items(1, [1, 2], [1, 2, 3])
        assert worker.truncated == "worker 2 stopped recording: No space left on device"
        said = [record.getMessage() for record in caplog.records]
        assert said == [f"{worker.truncated} ({recording.directory}). The run goes on without it."], "once"
        batches = (Delivery(number, number, 0, None, 1, 1, 0) for number in range(50_000))
        assert sum(1 for _ in recording.deliver(batches)) == 50_000, "the training gets all its batches"
        trace = Trace.open(recording.directory)
        assert trace.truncated == worker.truncated
        last = [path for path in segments(recording.directory) if path.name.startswith("worker")][-1]
        header = SegmentReader(last).header
        assert header.flags == SegmentFlag.SEALED | SegmentFlag.TRUNCATED
        rows = [event for event in events(recording.directory) if event[-1] == Kind.FETCH]
        assert [row[4] for row in rows] == list(range(1, added - 1)), "all that fitted is there"
        assert [row[6] for row in rows] == [0] * (len(rows) - 1) + [Flag.TRUNCATED]


def test_a_live_reader_is_told(small_disk: Path) -> None:
    recording = Recording.create(small_disk / "run", run_id="r")
    trace = Trace.open(recording.directory)
    worker = recording.recorder(Role.WORKER, 2)
    while worker.enabled:
        worker.add(Kind.FETCH, 0, 0)
        if not trace.tail(0, 1)[1]:
            trace.refresh()
    trace.refresh()
    assert trace.truncated == "worker 2 stopped recording: No space left on device"
    recording.finish("finished")


def test_a_recorder_that_never_had_room_is_disabled_from_the_start(small_disk: Path) -> None:
    recording = Recording.create(small_disk / "run", run_id="r")
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(bytes(300_000))
    recorder = recording.recorder(Role.MAIN)
    assert not recorder.enabled
    assert recorder.truncated == "the main lane stopped recording: No space left on device"
    assert segments(recording.directory) == []
    assert not list(recording.directory.glob("*.new")), "nothing half made is left"
    recording.finish("finished")
    assert Trace.open(recording.directory).run.state in ("running", "finished"), "as far as the disk let it say"


LIMITED = """
import resource, sys
from pathlib import Path
from loader_core.trace import Kind, Recorder, Role
recorder = Recorder(Path(sys.argv[1]), role=Role.WORKER, worker=2)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
for number in range(5000):
    recorder.add(Kind.FETCH, number, 0)
print(recorder.truncated)
"""


@pytest.mark.skipif(os.name != "posix", reason="file size limits are a POSIX thing")
def test_a_limit_on_file_size_is_no_crash(tmp_path: Path) -> None:
    code, said = run_script(LIMITED, tmp_path)
    assert code == 0, said
    assert "worker 2 stopped recording: File too large" in said
    assert len(events(tmp_path)) == 403 + 812, "a segment of 16 KiB and one of 32 KiB; the next was too large"
