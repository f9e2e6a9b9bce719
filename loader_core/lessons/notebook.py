"""A lesson as a Jupyter notebook (nbformat 4.5, https://nbformat.readthedocs.io/en/latest/format_description.html)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from loader_core.lessons.lesson import Lesson
from loader_core.lessons.program import shown

_WORDS = {
    "es": {
        "program": "El programa de la lección. Es el mismo código que se ejecuta en la página.",
        "numbers": "Los nombres en negrita son números: la última celda los mide y los imprime.",
        "parameters": "Los mismos valores con los que se abre la lección. Cámbialos en el código y vuelve a ejecutar.",
        "measure": "La misma ejecución, paso a paso y medida en este equipo, en un proceso aparte.",
        "live": "Con `%load_ext loader_core` en una celda, la vista en vivo aparece debajo de ella.",
        "variants": "Las variantes de la lección",
    },
    "en": {
        "program": "The program of the lesson. It is the same code that runs in the page.",
        "numbers": "The names in bold are numbers: the last cell measures and prints them.",
        "parameters": "The values are those that the lesson opens with. Change them in the code and run it again.",
        "measure": "The same execution, step by step and measured on this machine, in a process of its own.",
        "live": "With `%load_ext loader_core` in a cell, the live view appears below it.",
        "variants": "The variants of the lesson",
    },
}

_MEASURE = """\
from loader_core.lessons import run_lesson

log = run_lesson({lesson!r}, variant={variant!r}, language={language!r})
print(len(log.steps), "steps", log.cut)
for name, measure in log.measures.items():
    print(f"{{name:24}} {{measure.value}} {{measure.unit}}")"""


def notebook(lesson: Lesson, language: str, prose: Sequence[str] = ()) -> str:
    """The lesson as the JSON of an .ipynb: `prose` in Markdown, the program, and what is measured in it."""
    words = _WORDS[language]
    variant = lesson.variants[0]
    lines = shown(lesson.program, language=language, variant=variant, parameters=lesson.checked({}))
    about = " ".join(words[key] for key in ("numbers", "program", "parameters"))
    texts = ["\n\n".join(prose) if prose else f"# {lesson.id}", about]
    variants = ", ".join(f"`{one}`" for one in lesson.variants)
    closing = f"{words['measure']} {words['variants']}: {variants}.\n\n{words['live']}"
    cells = [
        *(_cell("markdown", text) for text in texts),
        _cell("code", "\n".join(lines)),
        _cell("markdown", closing),
        _cell("code", _MEASURE.format(lesson=lesson.id, variant=variant, language=language)),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"{lesson.id}-{number}"
    document = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _cell(kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True)}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell
