"""A `.npy` file as a dataset: one sample per entry of its first axis, read from the mapped file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.errors import DatasetError
from loader_core.scenarios.dials import Dials
from loader_core.trace.stage import stage


def open_array(path: Path) -> np.ndarray[Any, np.dtype[Any]]:
    """The array in the file, mapped and read-only: `(n, ...)` of a numeric dtype.

    Never unpickles: a file of Python objects is refused. Raises DatasetError that names the file.
    """
    try:
        array: np.ndarray[Any, np.dtype[Any]] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path} cannot be mapped as an array of numbers: {error}") from error
    if array.dtype.kind not in "biufc":
        raise DatasetError(f"{path} holds {array.dtype}: only numbers and booleans become tensors")
    if array.ndim == 0 or not len(array):
        raise DatasetError(f"{path} has shape {array.shape}: its first axis must count at least one sample")
    return array


class ArrayRows(Dataset[Tensor]):
    """Entry `index` of the file's first axis, `array.shape[1:]` of its dtype.

    Each process maps the file itself: a pickled mapping would be a copy of the whole file.
    """

    def __init__(self, path: Path, *, dials: Dials) -> None:
        self.path = path
        self.dials = dials
        self.array: np.ndarray[Any, np.dtype[Any]] = open_array(path)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "dials": self.dials}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], dials=state["dials"])  # type: ignore[misc]  # the same way as the first time

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: int) -> Tensor:
        with stage("read"):
            entry = np.array(self.array[index])  # copies, and so touches the disk here and not later
            self.dials.hold_back(index, entry.nbytes)
        with stage("transform"):
            tensor = torch.from_numpy(entry.astype(entry.dtype.newbyteorder("="), copy=False))
            self.dials.burn()
        return tensor
