"""The exported notebooks run to their end, each in a fresh process that has nothing but loader_core."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.lessons_prose import prose_of
from loader_core.lessons.catalogue import lessons
from loader_core.lessons.lesson import Lesson
from loader_core.lessons.notebook import notebook
from loader_core.lessons.recording import environment

ALL = lessons()
RUN_CELLS = """
import json, sys
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
assert not {"fastapi", "app"} & sys.modules.keys()
"""


def cells(document: dict[str, Any], kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.id)
def test_a_notebook_has_the_program_the_prose_and_the_form_of_its_format(lesson: Lesson, language: str) -> None:
    document = json.loads(notebook(lesson, language, prose_of(lesson.number, language)))
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in document["cells"]}) == len(document["cells"])
    for cell in document["cells"]:
        assert cell["cell_type"] in ("markdown", "code")
        assert ("outputs" in cell) is (cell["cell_type"] == "code")
    assert len(cells(document, "code")) == 2
    told = "\n".join(cells(document, "markdown"))
    assert told.startswith("# ")
    assert "[[" not in told
    for variant in lesson.variants:
        assert f"`{variant}`" in told


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "lesson",
    [pytest.param(one, marks=[] if one.number in (2, 6, 10) else pytest.mark.soak, id=one.id) for one in ALL],
)
def test_a_notebook_runs_to_its_end(lesson: Lesson, tmp_path: Path) -> None:
    path = tmp_path / "lesson.ipynb"
    path.write_text(notebook(lesson, "es"), "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUN_CELLS, str(path)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for measure in (lesson.prediction.measure, lesson.question.measure):
        assert measure in done.stdout


IN_JUPYTER = """
import sys, nbclient, nbformat
document = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(document)
nbclient.NotebookClient(document, timeout=120, kernel_name="python3").execute()
print(document.cells[-1].outputs[0].text)
"""


@pytest.mark.timeout(180)
@pytest.mark.skipif(importlib.util.find_spec("nbclient") is None, reason="nbclient is not installed")
def test_a_notebook_runs_in_jupyter(tmp_path: Path) -> None:
    path = tmp_path / "lesson.ipynb"
    path.write_text(notebook(ALL[1], "en"), "utf-8")
    environ = environment() | {"IPYTHONDIR": str(tmp_path), "JUPYTER_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", IN_JUPYTER, str(path)], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ALL[1].question.measure in done.stdout
