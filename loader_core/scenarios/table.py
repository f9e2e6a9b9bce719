"""Rows of a table: tiny samples that lie in memory, where the loader's own work per sample is all there is.

The table is Gapminder's, in the form in which the plotly package ships it. Its file is read by path: plotly itself is
never imported.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.scenarios.dials import Dials
from loader_core.scenarios.sources import table_path, table_rows
from loader_core.trace.stage import stage


class Gapminder(Dataset[tuple[Tensor, int]]):
    """A country in a year: `((4,) float32, label)`: `sources.FEATURES`, and its continent.

    Each feature is scaled to mean 0 and deviation 1 over the table. Raises DatasetError where plotly is not installed.
    """

    def __init__(self, *, dials: Dials) -> None:
        features, continents = table_rows(table_path())
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
