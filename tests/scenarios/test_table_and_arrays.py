"""Rows of a table in memory, and entries of a mapped .npy file."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from loader_core.errors import DatasetError
from loader_core.scenarios.arrays import ArrayRows
from loader_core.scenarios.dials import Dials
from loader_core.scenarios.sources import FEATURES
from loader_core.scenarios.table import Gapminder


def test_the_table_has_rows_that_are_scaled_and_labelled() -> None:
    dataset = Gapminder(dials=Dials())
    assert len(dataset) == 1704
    assert dataset.classes == ["Africa", "Americas", "Asia", "Europe", "Oceania"]
    row, label = dataset[0]
    assert (row.dtype, row.shape, dataset.classes[label]) == (torch.float32, (len(FEATURES),), "Asia")
    rows = torch.stack([dataset[index][0] for index in range(len(dataset))])
    assert rows.mean(0).abs().max() < 1e-4
    assert (rows.std(0) - 1).abs().max() < 1e-2


def test_reading_the_table_does_not_import_plotly() -> None:
    program = (
        "import sys; from loader_core.scenarios.table import Gapminder; from loader_core.scenarios.dials import Dials;"
        "Gapminder(dials=Dials()); sys.exit('plotly' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)


def test_without_plotly_it_says_where_the_table_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loader_core.scenarios.sources.find_spec", lambda name: None)
    with pytest.raises(DatasetError, match="comes with the package plotly, which is not installed"):
        Gapminder(dials=Dials())


@pytest.mark.parametrize("dtype", ["float32", "uint8", ">i4", "bool", "complex64", "float16"])
def test_an_entry_is_the_files_entry(tmp_path: Path, dtype: str) -> None:
    array = np.arange(24).reshape(4, 2, 3).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    dataset = ArrayRows(tmp_path / "a.npy", dials=Dials())
    assert len(dataset) == 4
    assert dataset[2].shape == (2, 3)
    assert np.array_equal(dataset[2].numpy(), array[2])
    assert dataset[2].numpy().dtype == array.dtype.newbyteorder("=")


def test_entries_may_be_single_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([3.5, 4.5]))
    assert ArrayRows(tmp_path / "a.npy", dials=Dials())[1].item() == 4.5


def test_a_pickled_dataset_carries_the_path_and_not_the_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((5, 100_000), np.float32))
    dataset = ArrayRows(tmp_path / "a.npy", dials=Dials())
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 2000
    again = pickle.loads(pickled)
    assert torch.equal(again[3], dataset[3])


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.array([{"a": 1}], object), "Python objects in dtype"),
        (np.array(["text"]), "holds <U4: only numbers and booleans become tensors"),
        (np.array(7), r"has shape \(\): its first axis must count"),
        (np.empty((0, 3)), r"has shape \(0, 3\): its first axis must count"),
    ],
)
def test_what_cannot_be_samples_is_refused_with_its_name(tmp_path: Path, array: np.ndarray, why: str) -> None:
    path = tmp_path / "bad.npy"
    np.save(path, array, allow_pickle=True)
    with pytest.raises(DatasetError, match=rf"^{path} .*{why}"):
        ArrayRows(path, dials=Dials())


def test_a_file_that_is_no_array_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "bad.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00 and then nothing of the kind")
    with pytest.raises(DatasetError, match=rf"^{path} cannot be mapped as an array of numbers"):
        ArrayRows(path, dials=Dials())
    path.write_bytes(b"")
    with pytest.raises(DatasetError, match=rf"^{path} cannot be mapped as an array of numbers"):
        ArrayRows(path, dials=Dials())


def test_the_file_is_mapped_and_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(40_000, 50_000)).flush()  # sparse, 8 GB
    dataset = ArrayRows(path, dials=Dials())
    assert dataset[39_999].sum() == 0
