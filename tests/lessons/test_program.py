"""The notation of shown programs, and that each lesson's holds in both languages and all variants."""

from __future__ import annotations

import re

import pytest

from loader_core.lessons.catalogue import LESSONS, find, lessons
from loader_core.lessons.lesson import Lesson
from loader_core.lessons.program import shown

ALL = lessons()
CASES = [(lesson, variant) for lesson in ALL for variant in lesson.variants]


def lines(text: str, *, language: str = "en", variant: str = "", **parameters: int) -> list[str]:
    return list(shown(text, language=language, variant=variant, parameters=parameters))


def test_comments_follow_the_language() -> None:
    text = "# es: hola\n# en: hello\nx = 1  # es: uno # en: one\ny = 2  # plain"
    assert lines(text, language="es") == ["# hola", "x = 1  # uno", "y = 2  # plain"]
    assert lines(text, language="en") == ["# hello", "x = 1  # one", "y = 2  # plain"]


def test_lines_and_blocks_belong_to_variants_and_to_values() -> None:
    text = "a = 1  #? one\na = 2  #? !one\n#? two, three {\nb = 1\n    c = 1  #? three\n#? }\n"
    text += "d = $n\n#? n=4 {\ne = 4\n#? }"
    assert lines(text, variant="one", n=3) == ["a = 1", "d = 3"]
    assert lines(text, variant="three", n=4) == ["a = 2", "b = 1", "    c = 1", "d = 4", "e = 4"]


def test_a_value_is_written_as_python_writes_it() -> None:
    assert shown("x = $word", language="es", variant="", parameters={"word": "it's"}) == ('x = "it\'s"',)
    with pytest.raises(KeyError):
        lines("x = $other")


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.id)
def test_a_lesson_is_whole(lesson: Lesson) -> None:
    assert lesson.id in LESSONS
    assert find(lesson.id) is lesson
    assert 1 <= lesson.number <= 12
    assert lesson.task.start in lesson.task.choices
    assert set(lesson.task.choices) <= set(lesson.variants)
    assert len(lesson.task.choices) >= 2
    for parameter in lesson.parameters:
        assert parameter.checked(parameter.default) == parameter.default
    for question in (lesson.prediction, lesson.question):
        assert question.choices or question.max > question.min
    assert lesson.card().task == lesson.task


@pytest.mark.parametrize(("lesson", "variant"), CASES, ids=lambda case: getattr(case, "id", case))
def test_both_languages_are_the_same_program(lesson: Lesson, variant: str) -> None:
    spanish, english = (
        shown(lesson.program, language=language, variant=variant, parameters=lesson.checked({}))
        for language in ("es", "en")
    )
    assert len(spanish) == len(english), "a comment stands in one language only"
    for one, other in zip(spanish, english, strict=True):
        assert one.partition("#")[0] == other.partition("#")[0]
        if "# " in one and not re.search(r"# noqa", one):
            assert one != other or not one.partition("# ")[2].strip(), f"not translated: {one}"
    for text in (spanish, english):
        joined = "\n".join(text)
        compile(joined, lesson.id, "exec")
        assert "#?" not in joined
        assert "$" not in joined
        assert max(map(len, text)) <= 100, "too wide for a page beside its picture"


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.id)
def test_variants_differ(lesson: Lesson) -> None:
    programs = {
        shown(lesson.program, language="en", variant=variant, parameters=lesson.checked({}))
        for variant in lesson.variants
    }
    assert len(programs) == len(lesson.variants)
