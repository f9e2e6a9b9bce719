"""Rows of a table: tiny samples that lie in memory, where the loader's own work per sample is all there is.

The table is Gapminder's, in the form in which the plotly package ships it. Its file is read by path: plotly itself is
never imported.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.errors import DatasetError
from loader_core.scenarios.dials import Dials
from loader_core.trace.stage import stage

FEATURES = ("year", "lifeExp", "log10 pop", "log10 gdpPercap")


def table_path() -> Path:
    """The table's file in the installed plotly package. Raises DatasetError where there is none."""
    found = find_spec("plotly")
    for folder in (found.submodule_search_locations if found else None) or ():
        path = Path(folder, "package_data", "datasets", "gapminder.csv.gz")
        if path.is_file():
            return path
    raise DatasetError("the Gapminder table comes with the package plotly, which is not installed: pip install plotly")


class Gapminder(Dataset[tuple[Tensor, int]]):
    """A country in a year: `((4,) float32 FEATURES, label)`, the label being its continent.

    Each feature is scaled to mean 0 and deviation 1 over the table.
    """

    def __init__(self, *, dials: Dials) -> None:
        features, continents = zip(*_rows(table_path()), strict=True)
        columns = np.array(features, np.float64)
        self.features = ((columns - columns.mean(0)) / columns.std(0)).astype(np.float32)
        self.classes = sorted(set(continents))
        self.labels = [self.classes.index(continent) for continent in continents]
        self.dials = dials

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with stage("read"):
            row = torch.from_numpy(self.features[index].copy())
            self.dials.hold_back(index, self.features[index].nbytes)
        with stage("transform"):
            self.dials.burn()
        return row, self.labels[index]


def _rows(path: Path) -> Iterator[tuple[tuple[float, ...], str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            people, income = math.log10(float(row["pop"])), math.log10(float(row["gdpPercap"]))
            yield (float(row["year"]), float(row["lifeExp"]), people, income), row["continent"]
