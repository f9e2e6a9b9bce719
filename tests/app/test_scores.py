"""The predictor's score, kept beside the runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.scores import MOST_PAIRS, SCORES_FILE, Scores
from loader_core.diagnose.predict import ModelError
from loader_core.diagnose.setting import Prediction, Setting


def prediction(per_s: float) -> Prediction:
    return Prediction(Setting(2), per_s / 4, per_s, per_s * 0.9, per_s * 1.1, 0.0, ())


def test_nothing_measured_yet(tmp_path: Path) -> None:
    scores = Scores(tmp_path)
    assert scores.score().pairs == 0
    assert scores.score().median is None
    assert scores.error() == ModelError()


def test_pairs_are_kept_and_summarised(tmp_path: Path) -> None:
    for measured in (100.0, 105.0, 95.0, 120.0, 100.0):
        Scores(tmp_path).add(prediction(100.0), measured)
    score = Scores(tmp_path).score()
    assert (score.pairs, score.median, score.inside) == (5, pytest.approx(0.05), 0.8)
    assert score.p90 == pytest.approx(0.14)
    assert Scores(tmp_path).error().pairs == 5


def test_lines_that_cannot_be_read_and_those_of_other_hosts_are_left_out(tmp_path: Path) -> None:
    Scores(tmp_path).add(prediction(100.0), 100.0)
    path = tmp_path / SCORES_FILE
    line = json.loads(path.read_text())
    others = [json.dumps(line | {"host": "elsewhere"}), "[1]", "{", json.dumps(line | {"measured": 0}), ""]
    path.write_text(path.read_text() + "\n".join(others))
    assert Scores(tmp_path).score().pairs == 1


def test_the_file_is_bounded(tmp_path: Path) -> None:
    Scores(tmp_path).add(prediction(1.0), 1.0)
    path = tmp_path / SCORES_FILE
    path.write_text(path.read_text() * MOST_PAIRS)
    Scores(tmp_path).add(prediction(100.0), 50.0)
    assert Scores(tmp_path).score().pairs == MOST_PAIRS // 2
    assert json.loads(path.read_text().splitlines()[-1])["measured"] == 50.0, "the newest stay"


def test_a_folder_that_cannot_be_written_costs_the_score_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Scores(tmp_path / "file").add(prediction(100.0), 100.0)
    assert Scores(tmp_path / "file").score().pairs == 0
