"""The benchmark of verdicts: its smallest run, what it sums up, and the table that README.md gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import table, verdicts, verdicts_report


def result(truth: str, found: str, fault: str = "one", cpu: str = "A") -> dict[str, Any]:
    told = {"fault": fault, "truth": truth, "found": found, "others": [], "wait_share": 0.5, "steps": 60, "case": fault}
    return {**told, "cpu": cpu}


def gain(predicted: float, after: float) -> dict[str, Any]:
    rates = {"before_per_s": 50.0, "predicted_per_s": predicted, "after_per_s": after, "low_per_s": 1, "high_per_s": 2}
    return {"case": "one/clear/torch", "changes": {"num_workers": 2}, **rates, "cpu": "A"}


PARTS = {
    "faults": {"a": result("x", "x"), "b": result("x", "y"), "c": result("y", "y")},
    "thin": {"a": result("undetermined", "undetermined")},
    "healthy": {"a": result("loader_ok", "loader_ok"), "b": result("loader_ok", "x")},
    "gains": {"a": gain(100, 110), "b": gain(100, 70)},
}


def test_right_is_counted_and_wrong_is_named() -> None:
    summary = verdicts_report.summary(PARTS)
    assert summary["faults"] == {"right": 2, "of": 3}
    assert summary["thin"] == {"right": 1, "of": 1}
    assert summary["healthy"] == {"right": 1, "of": 2}
    assert summary["gains"]["settings"] == 2
    assert summary["gains"]["median"] == pytest.approx(0.2)
    rows = verdicts_report.matrix(list(PARTS["faults"].values()))
    assert [(truth, right, of, dict(wrong)) for truth, right, of, wrong in rows] == [
        ("x", 1, 2, {"y": 1}),
        ("y", 1, 1, {}),
    ]
    assert verdicts_report.line(PARTS["faults"]["b"]).endswith("WRONG, it is x")
    assert "num_workers=2 predicted 100 (1 .. 2), measured 110" in verdicts_report.line(PARTS["gains"]["a"])


def test_each_case_is_said_to_be_of_the_machine_that_it_was_recorded_on() -> None:
    parts = {**PARTS, "faults": {**PARTS["faults"], "d": result("z", "z", cpu="B")}, "thin": {}}
    assert verdicts_report._machines(parts) == "3 faults, 2 healthy loaders, 2 advices on A; 1 faults on B"


def test_the_smallest_run_gives_a_table(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{verdicts_report.BEGIN}\nold\n{verdicts_report.END}\nafter\n")
    monkeypatch.setattr(verdicts_report, "README", readme)
    arguments = ["--quick", "--only", "thin", "--engines", "ours", "--keep", str(tmp_path / "runs")]
    verdicts.main(arguments)
    recorded = (tmp_path / "runs" / "thin" / "thin-clear-ours" / "run.json").stat()
    verdicts.main([*arguments, "--recorded"])  # judged anew
    assert (tmp_path / "runs" / "thin" / "thin-clear-ours" / "run.json").stat().st_mtime_ns == recorded.st_mtime_ns
    verdicts.main([*arguments, "--missing"])  # nothing is
    kept = json.loads((tmp_path / "verdicts.json").read_text())
    assert list(kept["thin"]) == ["thin/clear/ours"]
    assert kept["thin"]["thin/clear/ours"]["found"] == "undetermined"
    assert kept["summary"] == {"thin": {"right": 1, "of": 1}}
    kept["faults"] = PARTS["faults"]
    kept["summary"] = verdicts_report.summary({**kept, "gains": PARTS["gains"]})
    (tmp_path / "verdicts.json").write_text(json.dumps(kept))
    verdicts.main(["--readme"])
    text = readme.read_text()
    assert text.startswith(f"before\n{verdicts_report.BEGIN}\n| what is wrong |")
    assert "old" not in text
    assert "| X | 1 of 2 | Y 1 |" in text
    assert "| too few steps to tell | 1 of 1 |  |" in text
    assert text.endswith(f"{verdicts_report.END}\nafter\n")


def test_the_place_in_the_readme_is_there() -> None:
    text = (table.ROOT / "README.md").read_text()
    assert text.count(verdicts_report.BEGIN) == text.count(verdicts_report.END) == 1
