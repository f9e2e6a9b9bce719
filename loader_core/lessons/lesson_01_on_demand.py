"""Why on demand: a real data set, whole in memory and in parts, with the memory that each takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from loader_core.lessons.lesson import Findings, Lesson, Parameter, Question, Setting, Task
from loader_core.lessons.log import Curve, Log, Measure, Step
from loader_core.lessons.probes import resident_course, seconds
from loader_core.scenarios.photographs import crops

PROGRAM = """
from PIL import Image

from loader_core.scenarios.photographs import TOTAL, crops


def read(file):
    with Image.open(file) as picture:
        return picture.convert("RGB").tobytes()


def load_all(files):
    pictures = []
    for file in files:
        pictures.append(read(file))
    return pictures


def load_on_demand(files):
    for file in files:
        yield read(file)


files = sorted(crops()[0].glob("*.jpg"))[:: TOTAL // $photographs][:$photographs]

# es: Todo a la memoria, y después se usa.
# en: Everything into memory, and then it is used.
whole = 0
pictures = load_all(files)
for picture in pictures:
    whole += len(picture)
del pictures, picture

# es: Por partes, cuando se piden.
# en: In parts, when they are asked for.
parts = 0
#? used {
for picture in load_on_demand(files):
    parts += len(picture)
#? }
#? largest {
for picture in load_on_demand(files):
    parts = max(parts, len(picture))
#? }
#? kept {
pictures = list(load_on_demand(files))
for picture in pictures:
    parts += len(picture)
#? }
del picture
"""

FLAT_SHARE = 0.5
"""Parts count as loaded on demand where they never take half of the whole."""

WATCHED = 264
"""Photographs of which the system's memory is watched: some 45 MB of pixels."""

DREAM_BYTES = 100_000 * 10**9
"""The data set that one dreams of: 100,000 GB."""


def measure(setting: Setting) -> Findings:
    """The course of the system's memory both ways, and how long the first picture takes."""
    names = setting.run()
    files = _files()

    def keep(some: Iterable[Path]) -> None:
        pictures = names["load_all"](some)
        assert pictures

    def go_through(some: Iterable[Path]) -> None:
        for _ in names["load_on_demand"](some):
            pass

    whole, parts = resident_course(keep, files), resident_course(go_through, files)
    chosen = names["files"]
    return Findings(
        measures={
            "photographs": Measure(len(chosen), "photographs"),
            "watched_photographs": Measure(len(files), "photographs"),
            "rss_whole": Measure(max(whole), "B"),
            "rss_parts": Measure(max(parts), "B"),
            "first_whole": Measure(seconds(lambda: next(iter(names["load_all"](chosen))), repeats=3), "s"),
            "first_parts": Measure(seconds(lambda: next(names["load_on_demand"](chosen)), repeats=3), "s"),
            "largest_picture": Measure(max(len(names["read"](file)) for file in chosen), "B"),
        },
        curves=[_curve("rss_whole", whole), _curve("rss_parts", parts)],
    )


def _files() -> list[Path]:
    folder, found = crops()
    return [folder / crop.file for crop in found[:: len(found) // WATCHED]][:WATCHED]


def _curve(name: str, course: list[int]) -> Curve:
    return Curve(name, "photographs", "B", tuple(range(len(course))), tuple(course))


def read(log: Log) -> Mapping[str, Measure]:
    """The most that the program's objects took, before and after the whole was let go."""
    boundary = next(number for number, line in enumerate(log.sources[0].lines, 1) if line.startswith("parts = 0"))
    whole: list[int] = []
    parts: list[int] = []
    floor = _memory(log.steps[0]) if log.steps else 0
    reached = False
    for step in log.steps:
        if step.source == 0 and step.line == boundary and step.event == "line":
            reached, floor = True, _memory(step)
        (parts if reached else whole).append(_memory(step) - (floor if reached else _memory(log.steps[0])))
    measures = {
        "whole_peak": Measure(max(whole, default=0), "B"),
        "dream": Measure(DREAM_BYTES, "B"),
        "dream_memories": Measure(DREAM_BYTES / log.host.memory_bytes, "×"),
    }
    if parts and not log.cut:
        first_whole, first_parts = _number(log, "first_whole"), _number(log, "first_parts")
        measures |= {
            "parts_peak": Measure(max(parts), "B"),
            "ratio": Measure(max(whole) / max(1, max(parts)), "×"),
            "parts_stay_flat": Measure(max(parts) < FLAT_SHARE * max(whole)),
            "sooner": Measure("parts" if first_parts < first_whole else "whole"),
        }
    return measures


def _memory(step: Step) -> int:
    return step.memory_bytes or 0


def _number(log: Log, name: str) -> float:
    value: Any = log.measures[name].value
    return float(value)


LESSON = Lesson(
    id="01-on-demand",
    program=PROGRAM,
    variants=("used", "largest", "kept"),
    parameters=(Parameter("photographs", "int", 24, min=4, max=72, unit="photographs"),),
    measure=measure,
    read=read,
    memory=True,
    prediction=Question(measure="ratio", min=1, max=80, unit="×", tolerance=0.3),
    task=Task(start="used", choices=("used", "largest", "kept"), measure="parts_stay_flat", wanted=False),
    question=Question(measure="sooner", choices=("whole", "parts")),
)
