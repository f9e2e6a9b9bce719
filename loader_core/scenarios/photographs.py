"""Real JPEG files without a download: crops of eleven photographs, cut once into the user's cache.

The photographs are CC0 or in the public domain; `photographs_source/PROVENANCE.md` names each one's author and source.
Their crops differ in size, in shape and in JPEG quality, so that the time to decode one differs as it does in a real
data set. Imports no torch.

The cache is a directory that appears whole or not at all: crops are cut beside it and the directory is renamed at the
end. Its name carries `VERSION`, so a change of the recipe never mixes with older crops.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from PIL import Image
from platformdirs import user_cache_path

from loader_core.errors import DatasetError

NAMES = ("astronaut", "brick", "camera", "cell", "chelsea", "clock", "coffee", "grass", "gravel", "hubble", "retina")
"""The photographs, and so the classes of their crops."""

CROPS_PER_PHOTOGRAPH = 72
TOTAL = CROPS_PER_PHOTOGRAPH * len(NAMES)
QUALITIES = (50, 75, 95)
"""JPEG quality, in turn from crop to crop."""
SHORTEST_PX = 96
LONGEST_PX = 384
"""Bounds of a crop's width and of its height, drawn apart from each other; no more than the photograph has."""

VERSION = 1
"""Raise it whenever the recipe below changes."""

_INDEX = "index.json"

Progress = Callable[[int, int], None]
"""Called with how many crops are cut and how many there will be, after each photograph."""


@dataclass(frozen=True, slots=True)
class Crop:
    """One file of the cache: its name, the number of its photograph in `NAMES`, its size."""

    file: str
    label: int
    nbytes: int


def cache_directory() -> Path:
    """Where the crops belong: under `LOADERSCOPE_HOME` if it is set, else in the user's cache folder."""
    home = os.environ.get("LOADERSCOPE_HOME")
    base = Path(home) / "cache" if home else user_cache_path("loaderscope")
    return base / f"photographs-{VERSION}"


def crops(*, progress: Progress | None = None) -> tuple[Path, list[Crop]]:
    """The directory of the crops and what is in it, always in the same order; cuts them where they are not yet.

    Takes about a second the first time, and a few milliseconds later. Any number of processes may call it at once: each
    cuts its own copy, and the first one done wins. Raises DatasetError where the cache cannot be written.
    """
    directory = cache_directory()
    found = _read(directory)
    if found is None:
        _cut(directory, progress)
        found = _read(directory)
    if found is None:
        raise DatasetError(f"the crops in {directory} are incomplete though they were just cut: delete that directory")
    return directory, found


def cached_nbytes() -> int | None:
    """Size of the crops, or None while they are not cut."""
    found = _read(cache_directory())
    return None if found is None else sum(crop.nbytes for crop in found)


def _read(directory: Path) -> list[Crop] | None:
    """What the cache holds, or None unless each of its files is there in full."""
    try:
        listed = [Crop(*entry) for entry in json.loads((directory / _INDEX).read_text(encoding="utf-8"))]
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(directory)}
    except (OSError, ValueError, TypeError):
        return None
    return listed if all(sizes.get(crop.file) == crop.nbytes for crop in listed) else None


def _cut(directory: Path, progress: Progress | None) -> None:
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="cutting-", dir=directory.parent, ignore_cleanup_errors=True) as beside:
            whole = Path(beside) / directory.name
            whole.mkdir()
            listed = list(_cut_all(whole, progress))
            index = json.dumps([(crop.file, crop.label, crop.nbytes) for crop in listed])
            (whole / _INDEX).write_text(index, encoding="utf-8")
            _put_in_place(whole, directory)
    except OSError as error:
        raise DatasetError(
            f"cannot write the crops of the photographs to {directory}: {error}. They need about 10 MB; set "
            "LOADERSCOPE_HOME to a directory that has them"
        ) from error


def _put_in_place(whole: Path, directory: Path) -> None:
    """Rename `whole` to `directory`, unless another process was faster and its crops are whole."""
    if directory.exists() and _read(directory) is None:
        shutil.rmtree(directory)
    try:
        whole.rename(directory)
    except OSError:  # a directory is never renamed onto one that has files in it
        if _read(directory) is None:
            raise


def _cut_all(directory: Path, progress: Progress | None) -> Iterator[Crop]:
    for label, name in enumerate(NAMES):
        source = files("loader_core.scenarios").joinpath("photographs_source", f"{name}.jpg")
        with source.open("rb") as stream, Image.open(stream) as photograph:
            photograph.load()
            for number, window in enumerate(_windows(name, *photograph.size)):
                path = directory / f"{name}-{number:03}.jpg"
                photograph.crop(window).save(path, quality=QUALITIES[number % len(QUALITIES)])
                yield Crop(path.name, label, path.stat().st_size)
        if progress is not None:
            progress((label + 1) * CROPS_PER_PHOTOGRAPH, TOTAL)


def _windows(name: str, width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """`(left, top, right, bottom)` of each crop in pixels: always the same ones for the same photograph."""
    rng = random.Random(f"{VERSION}/{name}")
    for _ in range(CROPS_PER_PHOTOGRAPH):
        across = rng.randint(SHORTEST_PX, min(LONGEST_PX, width))
        down = rng.randint(SHORTEST_PX, min(LONGEST_PX, height))
        left, top = rng.randint(0, width - across), rng.randint(0, height - down)
        yield left, top, left + across, top + down
