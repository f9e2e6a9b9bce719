"""Reports of verdicts: on a terminal, as JSON, as a page; comparing and checking, with their exit codes."""

from __future__ import annotations

import io
import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.utils.data import DataLoader, Dataset

from app.cli import main
from app.reports.checking import Limits, failures, share_of
from app.reports.html import page
from app.reports.values import SCHEMA
from app.reports.words import CODE_NAMES, changed_line
from app.script_summary import look, show, worth_saying
from loader_core.diagnose.desk import code_change
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.memory import Limits as HostLimits
from loader_core.diagnose.rules_hang import HANG_NS
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.verdict import judge, judge_run
from loader_core.diagnose.verdict_types import Code
from loader_core.observe import observe
from loader_core.trace import NO_BATCH, Detail, Recording, Role, now, stage
from loader_core.trace.event import Kind
from tests.diagnose.simulated import MS, Loader, excerpt_of, marks

LOCALES = Path(__file__).resolve().parents[2] / "frontend" / "src" / "locales"


class Slow(Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return 240

    def __getitem__(self, index: int) -> torch.Tensor:
        with stage("read <b>"):
            time.sleep(0.002)
        return torch.zeros(16)


def recorded(directory: Path, workers: int, step_s: float) -> Path:
    loader = DataLoader(Slow(), batch_size=4, num_workers=workers)
    arguments = {"num_workers": workers, "batch_size": 4}
    with Recording.create(directory, run_id=directory.name, name="a <script>", loader=arguments) as run:
        run.control.detail = Detail.STAGE
        for _ in observe(loader, run):
            time.sleep(step_s)
    return directory


@pytest.fixture(scope="module")
def starved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("runs") / "starved", 0, 0.004)


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("runs") / "fed", 1, 0.03)


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out + said.err


# --- diagnose ---------------------------------------------------------------------------------------------------------


def test_the_terminal_says_what_to_change_in_both_languages(starved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, english = told(capsys, "diagnose", starved, "--lang", "en")
    assert code == 0
    assert english.startswith("Too few workers: The training loop makes each batch itself")
    assert "DataLoader(..., num_workers=" in english
    assert "predicted: " in english
    assert "What would refute it: " in english
    _, spanish = told(capsys, "diagnose", starved, "--lang", "es")
    assert spanish.startswith("Faltan workers: El propio bucle hace cada lote")
    assert "Lo refutaría: " in spanish


def test_json_has_a_schema_and_all_that_a_finding_carries(starved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = told(capsys, "diagnose", starved, "--json")
    report: dict[str, Any] = json.loads(text)
    assert code == 0
    assert report["schema"] == SCHEMA == 1
    assert set(report) == {"schema", "run", "verdict"}
    verdict = report["verdict"]
    assert set(verdict) == {
        "start_ns",
        "end_ns",
        "steps",
        "wait_share",
        "wait_ns",
        "findings",
        "samples_per_s",
        "setting",
    }
    top = verdict["findings"][0]
    assert top["code"] == "too_few_workers"
    assert set(top) == {
        "code",
        "sentence",
        "share",
        "confidence",
        "evidence",
        "place",
        "advice",
        "changes",
        "setting",
        "predicted",
        "refuted_by",
        "experiment",
    }
    assert top["changes"][0]["argument"] == "num_workers"
    assert told(capsys, "diagnose", starved, "--json") == (0, text)


@pytest.mark.parametrize("lang", ["es", "en"])
def test_the_page_opens_offline_and_shows_no_markup_of_others(
    starved: Path, lang: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.html"
    code, _ = told(capsys, "diagnose", starved, "--html", target, "--lang", lang)
    assert code == 0
    whole = target.read_text("utf-8")
    text, scripts = re.subn(r"<script>.*?</script>", "", whole, flags=re.DOTALL)
    assert scripts == 2, "plotly.js, and the figures that it draws"
    assert f'<html lang="{lang}">' in text
    assert not re.search(r"https?:|<script|<link|@import|url\(|\bsrc=", text.replace("&lt;script", ""))
    assert "a &lt;script&gt;" in text
    assert "read &lt;b&gt;" in text
    assert (text.count("<svg"), text.count("data-figure")) == (1, 3)
    assert "{" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert "prefers-color-scheme: dark" in text


def test_a_page_of_a_run_of_nothing(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "empty", run_id="empty"):
        pass
    text = page(tmp_path / "empty", judge_run(tmp_path / "empty"), "en")
    assert "It cannot be told" in text


@pytest.mark.parametrize("lang", ["es", "en"])
def test_every_code_has_a_name_and_it_is_the_one_of_the_page(lang: str) -> None:
    words = json.loads((LOCALES / f"{lang}.json").read_text("utf-8"))
    assert {code: getattr(name, lang) for code, name in CODE_NAMES.items()} == {
        code: words[f"code.{code}"] for code in Code
    }


def test_the_summary_of_a_script_ends_with_the_verdict_and_the_line_to_change(
    starved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    screen = Console(file=io.StringIO(), width=300)
    show([look(starved)], starved.parent, screen)
    assert isinstance(screen.file, io.StringIO)
    *_, sentence, change = screen.file.getvalue().strip().splitlines()
    assert sentence.startswith("Too few workers: ")
    assert change.startswith("→ DataLoader(..., num_workers=")


def test_how_a_run_failed_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), Recording.create(tmp_path / "failed", run_id="failed"):
        raise ValueError("broken <picture>")
    said = "The run failed: ValueError: broken <picture>"
    _, text = told(capsys, "diagnose", tmp_path / "failed", "--lang", "en")
    assert text.startswith(f"{said}\nIt cannot be told: ")
    _, text = told(capsys, "diagnose", tmp_path / "failed", "--json")
    assert json.loads(text)["run"]["reason"] == "ValueError: broken <picture>"
    text = page(tmp_path / "failed", judge_run(tmp_path / "failed"), "es")
    assert "La ejecución falló: ValueError: broken &lt;picture&gt;" in text


def test_a_danger_does_not_hide_what_the_loop_waits_for() -> None:
    waits = Loader(2, [40 * MS] * 500, step_ns=10 * MS).rows()
    memory = marks(Kind.MEMORY, [(200 + 40 * number) << 20 for number in range(40)], every_ns=400 * MS)
    excerpt = excerpt_of(np.concatenate([waits, memory]), workers=2)
    verdict = judge(
        excerpt, Facts.of([]), HostLimits(memory_bytes=8 << 30), setting=Setting(2, batch_size=8, cores=4.0)
    )
    assert [finding.code for finding in worth_saying(verdict)] == [Code.MEMORY_GROWTH, Code.TOO_FEW_WORKERS]
    assert worth_saying(replace(verdict, findings=verdict.findings[1:])) == list(verdict.findings[1:2])


def test_work_that_is_no_line_of_code_is_not_shown_as_one(starved: Path) -> None:
    top = judge_run(starved).top()
    assert str(changed_line(top)).startswith("DataLoader(..., num_workers=")
    assert changed_line(replace(top, changes=(code_change("menos trabajo", "less work"),))) is None
    assert changed_line(replace(top, changes=(code_change("x.to(device)", "x.to(device)"),))) == "x.to(device)"


# --- compare ----------------------------------------------------------------------------------------------------------


def test_compare_says_what_changed_and_by_how_much(
    starved: Path, fed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = told(capsys, "compare", starved, fed, "--lang", "en")
    assert code == 0
    assert re.search(r"num_workers +0 +1", text)
    assert "slower, and that is no noise" in text
    _, text = told(capsys, "compare", starved, starved, "--lang", "en")
    assert "The settings are the same." in text
    assert "may be noise" in text
    code, text = told(capsys, "compare", starved, fed, "--json")
    plain = json.loads(text)
    assert (code, plain["schema"], plain["changed"]["num_workers"]) == (0, 1, [0, 1])
    assert plain["rate"]["judgement"] == "slower"
    assert plain["rate"]["low"] < plain["rate"]["ratio"] < plain["rate"]["high"] < 1


# --- check ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "arguments", "code"),
    [
        ("starved", ["--max-wait-share", "10%"], 1),
        ("starved", ["--max-wait-share", "99%"], 0),
        ("starved", ["--min-samples-per-s", "100000"], 1),
        ("starved", ["--forbid", "TOO_FEW_WORKERS"], 1),
        ("starved", ["--forbid", "gil_bound"], 0),
        ("fed", ["--max-wait-share", "0.2", "--min-samples-per-s", "20"], 0),
        ("starved", [], 2),
        ("starved", ["--max-wait-share", "much"], 2),
        ("starved", ["--forbid", "NO_SUCH_CODE"], 2),
    ],
)
def test_exit_codes_of_a_check(
    run: str, arguments: list[str], code: int, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = request.getfixturevalue(run)
    found, text = told(capsys, "check", directory, "--lang", "en", *arguments)
    assert found == code, text
    assert text.strip()


def test_a_check_of_what_is_no_run_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "check", tmp_path, "--max-wait-share", "0.1")[0] == 2


def test_what_cannot_be_told_is_not_kept(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "empty", run_id="empty"):
        pass
    (failed,) = failures(judge_run(tmp_path / "empty"), Limits(max_wait_share=0.5))
    assert "not known" in failed.en


def test_a_hang_keeps_no_limit_of_waiting(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "stuck", run_id="stuck") as recording:
        at, main_lane = now(), recording.recorder(Role.MAIN)
        for batch in range(2):
            main_lane.add(Kind.DISPATCH, batch, at, at, value=1)
        recording.consumer.add(Kind.WAIT_BATCH, 0, at, at + 1_000_000, value=0)
        recording.consumer.add(Kind.STEP, 0, at + 1_000_000, at + 2_000_000, value=8)
        recording.consumer.add(Kind.WAIT_BATCH, NO_BATCH, at + 2_000_000, at + 2 * HANG_NS)
    (failed,) = failures(judge_run(tmp_path / "stuck"), Limits(max_wait_share=1.0))
    assert failed.en.startswith("Batch 1 (epoch 0) had not come after 20 s of waiting")


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.1", 0.1), ("0", 0.0), ("100%", 1.0)])
def test_shares_as_people_write_them(text: str, share: float) -> None:
    assert share_of(text) == pytest.approx(share)
