"""The photographs, cut once for all tests of this process, and one torch thread so that none is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from loader_core.scenarios import photographs
from loader_core.trace.control import Control

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def crop_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LOADERSCOPE_HOME that has the crops."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOADERSCOPE_HOME", str(home))
        photographs.crops()
    return home


@pytest.fixture
def home(crop_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as this test's LOADERSCOPE_HOME. To be read only."""
    monkeypatch.setenv("LOADERSCOPE_HOME", str(crop_cache))
    return crop_cache


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """The control page of a run."""
    page = Control.create(tmp_path)
    yield page
    page.close()
