"""Samples that come with Python and with plotly, read without torch, so that the catalogue can count them too."""

from __future__ import annotations

import csv
import gzip
import math
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from loader_core.errors import DatasetError

FEATURES = ("year", "lifeExp", "log10 pop", "log10 gdpPercap")
"""Columns of the table's rows."""

_BLANK = re.compile(r"\n\s*\n")
_WORD = re.compile(r"\w")


@cache
def topic_paragraphs() -> tuple[list[bytes], list[int], list[str]]:
    """`(paragraphs, labels, classes)` of Python's help, `pydoc_data.topics`: UTF-8, with the number of their topic.

    How many there are depends on the Python. Read once per process; not to be changed.
    """
    from pydoc_data.topics import topics

    classes = sorted(topics)
    paragraphs, labels = [], []
    for label, topic in enumerate(classes):
        for paragraph in _BLANK.split(topics[topic]):
            if _WORD.search(paragraph):
                paragraphs.append(paragraph.strip().encode())
                labels.append(label)
    return paragraphs, labels, classes


def table_path() -> Path:
    """The Gapminder table in the installed plotly package. Raises DatasetError where there is none."""
    found = find_spec("plotly")
    for folder in (found.submodule_search_locations if found else None) or ():
        path = Path(folder, "package_data", "datasets", "gapminder.csv.gz")
        if path.is_file():
            return path
    raise DatasetError("the Gapminder table comes with the package plotly, which is not installed: pip install plotly")


@cache
def table_rows(path: Path) -> tuple[list[tuple[float, ...]], list[str]]:
    """`(FEATURES of each row, continents)` of the table. Read once per process; not to be changed."""
    features: list[tuple[float, ...]] = []
    continents: list[str] = []
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            people, income = math.log10(float(row["pop"])), math.log10(float(row["gdpPercap"]))
            features.append((float(row["year"]), float(row["lifeExp"]), people, income))
            continents.append(row["continent"])
    return features, continents
