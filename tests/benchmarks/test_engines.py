"""The comparison of engines: its smallest run, what it takes for failure, and the table that README.md gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import engines, report, table
from benchmarks.engines import Effort, MeasurementFailed
from benchmarks.measures import Epoch, Measured, Order
from benchmarks.peers import ENGINES
from benchmarks.table import Spread
from benchmarks.workloads import WORKLOADS

EPOCH = Epoch(samples=512, labels=2299, features=16_384.5, shape=(256, 64), dtype="float32")


def of(rate: float, epoch: Epoch | None = EPOCH) -> Measured:
    return Measured({"samples_per_s": rate, "gb_per_s": rate * 256 / 1e9}, epoch)


def result(*rounds: dict[str, Measured | str]) -> report.Result:
    return report.result(WORKLOADS["W1"], list(rounds[0]), rounds, where=table.machine(), samples=512)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    return tmp_path


@pytest.mark.timeout(120)
def test_the_smallest_run(results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(engines, "QUICK", Effort(rounds=1, share=0.01, seconds=0.01))
    engines.main(["--quick", "--only", "W1", "--engines", "torch,ours"])
    written: dict[str, Any] = json.loads((results / "engines-quick.json").read_text())["W1"]
    assert set(written["machine"]) >= {"cpu", "cpus", "system", "python", "versions", "commit", "unix_s"}
    assert (written["rounds"], written["samples"], written["batch_size"]) == (1, 2048, 256)
    assert list(written["engines"]) == ["torch", "ours"]
    for row in written["engines"].values():
        assert row["failed"] == ""
        assert set(row["numbers"]) == {"samples_per_s", "gb_per_s"}
        assert set(row["numbers"]["samples_per_s"]) == {"median", "lowest", "highest"}
        assert row["numbers"]["samples_per_s"]["lowest"] > 0
    assert written["engines"]["torch"]["times_torch"]["median"] == 1
    assert written["engines"]["ours"]["times_torch"]["median"] > 0
    assert "Loaderscope" in capsys.readouterr().out


def test_a_ratio_compares_within_a_round() -> None:
    found = result({"torch": of(100), "ours": of(1000)}, {"torch": of(200), "ours": of(1000)}).engines["ours"]
    assert found.times_torch == Spread(7.5, 5, 10)


def test_less_time_is_a_higher_ratio() -> None:
    first = {"torch": Measured({"first_batch_ms": 30.0}), "ours": Measured({"first_batch_ms": 10.0})}
    assert result(dict(first)).engines["ours"].times_torch == Spread(3, 3, 3)


@pytest.mark.parametrize(
    ("epoch", "told"),
    [
        (Epoch(511, 2299, 16_384.5, (256, 64), "float32"), "511 samples with labels of 2299, not 512 with 2299"),
        (Epoch(512, 2298, 16_384.5, (256, 64), "float32"), "512 samples with labels of 2298, not 512 with 2299"),
        (Epoch(512, 2299, 16_384.5, (256, 64), "float64"), "batches of (256, 64) float64, not (256, 64) float32"),
        (Epoch(512, 2299, 0.0, (256, 64), "float32"), "features that add up to 0.0, not 16384.5"),
    ],
)
def test_an_engine_that_does_other_work_has_failed(epoch: Epoch, told: str) -> None:
    row = result({"torch": of(100), "ours": of(1000, epoch)}).engines["ours"]
    assert (row.failed, row.numbers, row.times_torch) == (f"did other work than torch: {told}", {}, None)


def test_an_engine_with_its_own_decoder_may_have_other_pixels() -> None:
    other = Epoch(512, 2299, 16_000.0, (256, 64), "float32")
    assert ENGINES["dali"].own_pixels
    assert result({"torch": of(100), "dali": of(170, other)}).engines["dali"].failed == ""


def test_one_failed_round_is_told_and_the_others_count() -> None:
    found = result({"torch": of(100), "ours": "took more than 180 s"}, {"torch": of(100), "ours": of(300)})
    row = found.engines["ours"]
    assert (row.failed, row.times_torch) == ("took more than 180 s", Spread(3, 3, 3))


def test_a_measurement_that_dies_says_why(tmp_path: Path) -> None:
    order = Order("W1", "no such engine", 256, 0.0, workers=1, result=str(tmp_path / "measured.json"))
    with pytest.raises(MeasurementFailed, match=r"KeyError: 'no such engine'"):
        engines.measure(order)


def test_what_is_kept_comes_back(results: Path) -> None:
    found = result({"torch": of(100), "ours": of(1000), "limit": of(2000, None)})
    report.keep("engines", found)
    (again,) = report.read()
    assert again == found


def test_unknown_names_are_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        engines.main(["--only", "W9"])
    assert "no W9; there are W1, W1-listed" in capsys.readouterr().err


def test_the_table_for_readers(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "README", readme)
    report.keep(
        "engines",
        result(
            {"torch": of(200_000), "ours": of(3_000_000), "spdl-threads": of(440_000), "limit": of(6_000_000, None)},
        ),
    )
    engines.main(["--readme"])
    text = readme.read_text()
    cells = ["200 k/s", "3 M/s", "**15x (15 .. 15)**", "50%", "SPDL threads 2.2x"]
    assert f"| {' | '.join([WORKLOADS['W1'].title, *cells])} |" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    engines.main(["--readme"])
    assert readme.read_text() == text


def test_readme_shows_what_was_measured_last() -> None:
    shown = report.README.read_text().split(report.BEGIN)[1].split(report.END)[0].strip()
    measured = (table.RESULTS / "engines.json").exists()
    assert shown == (report.markdown(report.read()).strip() if measured else ""), (
        "python -m benchmarks.engines --readme"
    )
