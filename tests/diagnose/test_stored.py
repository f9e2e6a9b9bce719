"""Stored runs: the loader's arguments as a setting, and from where on they held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loader_core.diagnose.setting import Setting
from loader_core.diagnose.stored import judged_from_ns, setting_of
from loader_core.trace import Recording
from loader_core.trace.run_file import RunHeader, read_run_file


def header(directory: Path, **fields: Any) -> RunHeader:
    with Recording.create(directory, run_id="run") as recording:
        recording.update(**fields)
    return read_run_file(directory)


@pytest.mark.parametrize("field", ["loader", "settings"])
def test_arguments_are_a_setting_whoever_wrote_them_down(tmp_path: Path, field: str) -> None:
    said = {"num_workers": 3, "batch_size": 16, "prefetch_factor": 4, "in_order": False, "persistent_workers": True}
    run = header(tmp_path / "run", **{field: {**said, "worker_method": "thread"}}, host={"cpus": 6})
    assert setting_of(run) == Setting(
        3, 4, batch_size=16, worker_method="thread", in_order=False, persistent_workers=True, cores=6.0
    )


def test_what_nobody_wrote_down_is_not_guessed(tmp_path: Path) -> None:
    assert setting_of(header(tmp_path / "none")) is None
    assert setting_of(header(tmp_path / "other", loader={"batch_size": 4})) is None


def test_the_newest_arguments_held_from_the_last_restart_on(tmp_path: Path) -> None:
    changes = [
        {"number": 1, "at_ns": 5, "restarted_loader": True},
        {"number": 2, "at_ns": 70, "restarted_loader": True},
        {"number": 3, "at_ns": 90, "restarted_loader": False},
    ]
    assert judged_from_ns(header(tmp_path / "run", changes=changes)) == 70
    assert judged_from_ns(header(tmp_path / "plain")) == 0
