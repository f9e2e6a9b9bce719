"""The benchmark of observing: its smallest run, and the table that README.md gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import overhead, table


@pytest.mark.soak
def test_the_smallest_run_gives_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    monkeypatch.setattr(overhead, "launchers", dict)  # whole programs are for a quiet machine
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{overhead.BEGIN}\nold\n{overhead.END}\nafter\n")
    monkeypatch.setattr(overhead, "README", readme)
    overhead.main(["--rounds", "2", "--samples", "1024", "--workers", "0", "1", "--workloads", "W1"])
    kept: dict[str, Any] = json.loads((tmp_path / "overhead.json").read_text())
    measured = [(entry["workers"], entry["variant"]) for entry in kept["results"]]
    assert measured == [(workers, variant) for workers in (0, 1) for variant in overhead.variants(ours=False)]
    for entry in kept["results"]:
        assert entry["cpu_s"]["lowest"] > 0
        assert entry["wall_of_none"]["median"] > 0
    overhead.main(["--rounds", "1", "--samples", "1024", "--workers", "0", "--workloads", "W1", "--ours"])
    again = json.loads((tmp_path / "overhead.json").read_text())["results"]
    ours = {(0, variant) for variant in overhead.variants(ours=True)}
    assert len(again) == len(kept["results"]), "what was measured anew takes the place of what was there"
    assert {(entry["workers"], entry["variant"]) for entry in again if entry["rounds"] == 1} == ours
    overhead.main(["--readme"])
    text = readme.read_text()
    assert text.startswith(f"before\n{overhead.BEGIN}\n| | observed |")
    assert "old" not in text
    assert "| tiny: 64 float32 and a label, batch 256, 1 workers | sample | " in text
    assert text.endswith(f"{overhead.END}\nafter\n")


def test_the_place_in_the_readme_is_there() -> None:
    text = (table.ROOT / "README.md").read_text()
    assert text.count(overhead.BEGIN) == text.count(overhead.END) == 1
