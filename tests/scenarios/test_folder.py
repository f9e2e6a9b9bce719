"""What is found in the user's folders, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader_core.errors import DatasetError
from loader_core.scenarios import folder


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_files_are_sorted_by_what_they_can_be_read_as(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.JPG", "a/1.png", "a/notes.txt", "x.npy", "a/.hidden.png", ".git/3.png", "program.exe")
    contents = folder.look(tmp_path)
    assert [found.path for found in contents.images] == [tmp_path / "a/1.png", tmp_path / "b/2.JPG"]
    assert [found.path for found in contents.arrays] == [tmp_path / "x.npy"]
    assert [found.path for found in contents.texts] == [tmp_path / "a/notes.txt"]
    assert [found.nbytes for found in contents.images] == [1, 1]


def test_a_root_may_be_one_file(tmp_path: Path) -> None:
    touch(tmp_path, "x.npy", "y.npy")
    assert [found.path for found in folder.look(tmp_path / "x.npy").arrays] == [tmp_path / "x.npy"]


def test_links_to_directories_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    (tmp_path / "a" / "round").symlink_to(tmp_path, target_is_directory=True)
    assert len(folder.look(tmp_path).images) == 1


def test_labels_are_the_first_folders(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("dogs/big/1.png", "cats/2.png", "3.png", "dogs/4.png")]
    labels, classes = folder.label_by_folder(tmp_path, paths)
    assert [classes[label] for label in labels] == ["dogs", "cats", tmp_path.name, "dogs"]
    assert classes == sorted(classes)
    assert folder.label_by_folder(paths[2], paths[2:3]) == ([0], ["3.png"])


def test_an_empty_folder_is_named_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"{tmp_path} has no file that can be read as a sample: looked for .*\.npy"):
        folder.look(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"cannot read {tmp_path / 'gone'}: No such file"):
        folder.look(tmp_path / "gone")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MOST_FILES", 3)
    touch(tmp_path, "1.png", "2.png", "3.png")
    assert len(folder.look(tmp_path).images) == 3
    touch(tmp_path, "4.png")
    with pytest.raises(DatasetError, match="holds more than 3 files: name a smaller directory"):
        folder.look(tmp_path)
