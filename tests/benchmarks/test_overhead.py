"""The benchmark of observing: its smallest run, and the table that README.md gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import overhead, table


def kept(folder: Path) -> list[dict[str, Any]]:
    """All rows of the results there."""
    found = json.loads((folder / "overhead.json").read_text())
    return [entry for one in found["measured"] for entry in one["results"]]


@pytest.mark.soak
def test_the_smallest_run_gives_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    monkeypatch.setattr(overhead, "launchers", dict)  # whole programs are for a quiet machine
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{overhead.BEGIN}\nold\n{overhead.END}\nafter\n")
    monkeypatch.setattr(overhead, "README", readme)
    overhead.main(["--rounds", "2", "--samples", "1024", "--workers", "0", "1", "--workloads", "W1"])
    results = kept(tmp_path)
    measured = [(entry["workers"], entry["variant"]) for entry in results]
    assert measured == [(workers, variant) for workers in (0, 1) for variant in overhead.variants(ours=False)]
    for entry in results:
        assert entry["cpu_s"]["lowest"] > 0
        assert entry["wall_of_none"]["median"] > 0
    overhead.main(["--rounds", "1", "--samples", "1024", "--workers", "0", "--workloads", "W1", "--ours"])
    again = kept(tmp_path)
    ours = {(0, variant) for variant in overhead.variants(ours=True)}
    assert len(again) == len(results), "what was measured anew takes the place of what was there"
    assert {(entry["workers"], entry["variant"]) for entry in again if entry["rounds"] == 1} == ours
    overhead.main(["--readme"])
    text = readme.read_text()
    assert text.startswith(f"before\n{overhead.BEGIN}\n| | observed |")
    assert "old" not in text
    assert "| tiny: 64 float32 and a label, batch 256, 1 workers | sample | " in text
    assert text.endswith(f"{overhead.END}\nafter\n")


def test_the_readme_has_the_tables_of_what_was_measured() -> None:
    text = (table.ROOT / "README.md").read_text()
    assert text.count(overhead.BEGIN) == text.count(overhead.END) == 1
    measured = json.loads((table.RESULTS / "overhead.json").read_text())["measured"]
    between = text.split(overhead.BEGIN)[1].split(overhead.END)[0]
    assert between == f"\n{overhead.markdown(measured)}", "run `python -m benchmarks.overhead --readme`"


def test_what_was_measured_elsewhere_keeps_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    rows = [{"workload": "W2", "workers": workers, "variant": "batch"} for workers in (0, 2)]
    table.write(overhead.NAME, {"measured": [{"machine": "one", "results": rows}, {"machine": "two", "results": rows}]})
    assert overhead._others(rows[:1]) == [{"machine": name, "results": rows[1:]} for name in ("one", "two")]
    assert overhead._others(rows) == []
