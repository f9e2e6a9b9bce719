"""The disk, full or gone, during an observed training: the training does not notice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from loader_core.observe import observe
from loader_core.trace import Recording, Trace
from tests.observe.datasets import Noise
from tests.observe.experience import experience
from tests.trace.test_disk_full import small_disk

__all__ = ["small_disk"]


def make(workers: int, **more: Any) -> DataLoader[Any]:
    return DataLoader(Noise(400), batch_size=4, shuffle=True, num_workers=workers, **more)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk_changes_nothing(workers: int, small_disk: Path) -> None:
    without = experience(lambda: make(workers), epochs=5)
    recording = Recording.create(small_disk / "run", run_id="run")
    seen = experience(lambda: make(workers), epochs=5, observed=lambda loader: observe(loader, recording))
    recording.finish("finished")
    assert seen == without
    assert "No space left on device" in Trace.open(small_disk / "run").truncated


@pytest.mark.parametrize("workers", [0, 2])
def test_a_disk_that_was_full_before_changes_nothing(workers: int, small_disk: Path) -> None:
    without = experience(lambda: make(workers), epochs=1)
    recording = Recording.create(small_disk / "run", run_id="run")
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(bytes(1 << 20))
    seen = experience(lambda: make(workers), epochs=1, observed=lambda loader: observe(loader, recording))
    recording.finish("finished")
    assert seen == without


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_directory_that_is_deleted_changes_nothing(workers: int, tmp_path: Path) -> None:
    more: dict[str, Any] = {"persistent_workers": True} if workers else {}
    without = experience(lambda: make(workers, **more))
    recording = Recording.create(tmp_path / "run", run_id="run")
    observed = []

    def watch(loader: DataLoader[Any]) -> DataLoader[Any]:
        observed.append(observe(loader, recording))
        return loader

    seen = experience(lambda: Deleting(make(workers, **more), tmp_path / "run").loader, observed=watch)
    recording.finish("finished")
    assert seen == without


class Deleting:
    """A loader whose run directory is deleted once its first epoch has begun."""

    def __init__(self, loader: DataLoader[Any], directory: Path) -> None:
        self.loader = loader
        draw = loader.batch_sampler
        assert draw is not None
        self._directory = directory
        object.__setattr__(loader, "batch_sampler", self)
        self._draw = draw

    def __iter__(self) -> Iterator[Any]:
        for number, indices in enumerate(self._draw):
            if number == 30:
                shutil.rmtree(self._directory, ignore_errors=True)
            yield indices

    def __len__(self) -> int:
        return len(self._draw)  # type: ignore[arg-type] # a BatchSampler
