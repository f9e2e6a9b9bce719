"""The control page: its bytes, and that two processes see each other's writes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from loader_core.errors import RecordingError, TraceError
from loader_core.trace.control import PAGE_BYTES, Control
from tests.trace.records import script

FIELDS = (
    "generation",
    "step_ns",
    "preview_until_ns",
    "storage_latency_ns",
    "storage_bytes_per_s",
    "cpu_ns",
    "slow_every",
    "slow_ns",
)


def test_a_new_page_asks_for_nothing_and_for_all_detail(tmp_path: Path) -> None:
    control = Control.create(tmp_path)
    assert (control.stop, control.pause, control.detail) == (False, False, 2)
    assert [getattr(control, name) for name in FIELDS] == [0] * len(FIELDS)
    control.close()


def test_golden_page(tmp_path: Path) -> None:
    control = Control.create(tmp_path)
    control.stop = control.pause = True
    control.detail = 1
    for number, name in enumerate(FIELDS, 1):
        setattr(control, name, number * 0x101)
    control.close()
    page = (tmp_path / "control").read_bytes()
    assert len(page) == PAGE_BYTES
    assert page[:16].hex(" ", 8) == "4c534354524c3031 0101010001010000"
    words = [int.from_bytes(page[offset : offset + 8], "little") for offset in range(16, 72, 8)]
    assert words == [number * 0x101 for number in range(2, 9)]
    assert page[72:] == bytes(PAGE_BYTES - 72)


OTHER = """
import sys
from pathlib import Path
from loader_core.trace.control import Control
control = Control.open(Path(sys.argv[1]))
for line in sys.stdin:
    exec(line)
    print(control.stop, control.pause, control.detail, control.generation, control.step_ns, flush=True)
"""


def test_two_processes_see_each_others_writes(tmp_path: Path) -> None:
    control = Control.create(tmp_path)
    with script(OTHER, tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def say(line: str) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            print(line, file=process.stdin, flush=True)
            return process.stdout.readline().strip()

        assert say("pass") == "False False 2 0 0"
        control.pause, control.detail, control.step_ns = True, 0, 1 << 40
        assert say("control.stop = True") == f"True True 0 0 {1 << 40}"
        assert control.stop
        assert say("control.generation += 1") == f"True True 0 1 {1 << 40}"
        assert control.generation == 1
    control.close()


def test_dials_are_given_in_the_settings_units(tmp_path: Path) -> None:
    control = Control.create(tmp_path)
    control.apply_dials(storage_latency_ms=1.5, storage_mb_per_s=80, cpu_ms=0.25, slow_every=64, slow_ms=200)
    assert control.storage_latency_ns == 1_500_000
    assert control.storage_bytes_per_s == 80_000_000
    assert control.cpu_ns == 250_000
    assert (control.slow_every, control.slow_ns) == (64, 200_000_000)
    control.close()


def test_it_travels_by_its_path(tmp_path: Path) -> None:
    control = Control.create(tmp_path)
    other = pickle.loads(pickle.dumps(control))
    other.stop = True
    assert control.stop
    other.close()
    control.close()


def test_a_closed_page_answers_with_its_last_values(tmp_path: Path) -> None:
    control = Control.create(tmp_path)
    control.pause, control.cpu_ns = True, 7
    control.close()
    control.close()
    assert (control.pause, control.cpu_ns, control.generation) == (True, 7, 0)
    with pytest.raises(TypeError):
        control.stop = True


def test_one_page_for_the_whole_life_of_a_run(tmp_path: Path) -> None:
    Control.create(tmp_path).close()
    with pytest.raises(RecordingError, match="has one control page for its whole life"):
        Control.create(tmp_path)


@pytest.mark.parametrize("content", [b"", b"x" * PAGE_BYTES, b"LSCTRL01"])
def test_a_foreign_page_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "control").write_bytes(content)
    with pytest.raises(TraceError, match=rf"no control page of this version \({len(content)} bytes, expected 128\)"):
        Control.open(tmp_path)


def test_detail_has_three_levels(tmp_path: Path) -> None:
    control = Control.create(tmp_path)
    with pytest.raises(ValueError, match=r"detail is 3, it goes from 0 \(batch\) to 2 \(stage\)"):
        control.detail = 3
    control.close()
