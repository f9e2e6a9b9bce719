"""The user's own samples: what lies in a directory, or the one file, that the command line named.

Only lists and checks; the datasets are in `images`, `arrays` and `text`. Imports no torch. A path never comes from a
client: `catalogue` gives each one an opaque id.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from loader_core.errors import DatasetError

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
ARRAY_SUFFIXES = frozenset({".npy"})
TEXT_SUFFIXES = frozenset({".txt", ".md", ".rst"})

MOST_FILES = 1_000_000
"""Files that one directory is searched for; a larger one is refused rather than listed in part."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file and its size."""

    path: Path
    nbytes: int


@dataclass(slots=True)
class Contents:
    """The files of a root, by what they can be read as, each list sorted by path."""

    root: Path
    images: list[Found] = field(default_factory=list)
    arrays: list[Found] = field(default_factory=list)
    texts: list[Found] = field(default_factory=list)


def look(root: Path) -> Contents:
    """What is in `root`, a directory (searched with all that is below it) or one file.

    Hidden files and directories are passed over, links to directories are not followed. Raises DatasetError where
    `root` is missing or unreadable, holds nothing that can be read, or holds more than `MOST_FILES` files.
    """
    contents = Contents(root)
    by_suffix = (
        (IMAGE_SUFFIXES, contents.images),
        (ARRAY_SUFFIXES, contents.arrays),
        (TEXT_SUFFIXES, contents.texts),
    )
    for found in _sorted_files(root):
        for suffixes, files in by_suffix:
            if found.path.suffix.lower() in suffixes:
                files.append(found)
    if not (contents.images or contents.arrays or contents.texts):
        wanted = " ".join(sorted(IMAGE_SUFFIXES | ARRAY_SUFFIXES | TEXT_SUFFIXES))
        raise DatasetError(f"{root} has no file that can be read as a sample: looked for {wanted}")
    return contents


def label_by_folder(root: Path, paths: Iterable[Path]) -> tuple[list[int], list[str]]:
    """`(labels, classes)`: a file's class is the first folder on its way down from `root`, as in ImageFolder.

    Files that lie in `root` itself are of a class named after it.
    """
    names = []
    for path in paths:
        parts = path.relative_to(root).parts if path != root else ()
        names.append(parts[0] if len(parts) > 1 else root.name)
    classes = sorted(set(names))
    number = {name: label for label, name in enumerate(classes)}
    return [number[name] for name in names], classes


def _sorted_files(root: Path) -> list[Found]:
    try:
        if root.is_file():
            return [Found(root, root.stat().st_size)]
        found = []
        for file in _walk(root):
            found.append(file)
            if len(found) > MOST_FILES:
                raise DatasetError(f"{root} holds more than {MOST_FILES:,} files: name a smaller directory")
    except OSError as error:
        raise DatasetError(f"cannot read {root}: {error.strerror}") from error
    return sorted(found, key=lambda file: file.path)


def _walk(directory: Path) -> Iterator[Found]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            elif entry.is_file():
                yield Found(Path(entry.path), entry.stat().st_size)
