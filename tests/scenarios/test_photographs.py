"""The cache of crops: the same everywhere, whole or not there at all, and licensed as we say."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

from loader_core.errors import DatasetError
from loader_core.scenarios import photographs

SOURCE = Path(str(files("loader_core.scenarios"))) / "photographs_source"


def test_each_photograph_is_listed_with_its_licence_and_hash() -> None:
    provenance = (SOURCE / "PROVENANCE.md").read_text(encoding="utf-8")
    hashes = dict(reversed(line.split()) for line in provenance.splitlines() if re.match(r"^[0-9a-f]{64}  ", line))
    rows = {match[1]: match[2] for match in re.finditer(r"^\| `(\w+\.jpg)` .*\| (.+) \|$", provenance, re.MULTILINE)}
    shipped = {path.name: path for path in SOURCE.glob("*.jpg")}
    assert set(shipped) == set(hashes) == {f"{name}.jpg" for name in photographs.NAMES}
    for name, path in shipped.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == hashes[name]
        assert rows[name] in {"CC0", "CC0 1.0", "public domain"}
        with Image.open(path) as image:
            assert max(image.size) <= 512
    assert f"{sum(path.stat().st_size for path in shipped.values())} bytes" in provenance


def test_the_crops_differ_in_size_and_quality_and_lie_within_bounds(home: Path) -> None:
    directory, crops = photographs.crops()
    assert directory.is_relative_to(home)
    assert len(crops) == photographs.TOTAL == 792
    sizes, tables = set(), set()
    for crop in crops:
        with Image.open(directory / crop.file) as image:
            assert all(photographs.SHORTEST_PX <= side <= photographs.LONGEST_PX for side in image.size)
            sizes.add(image.size)
            tables.add(tuple(image.quantization[0]))
        assert crop.file.startswith(photographs.NAMES[crop.label])
    assert len(sizes) > 600
    assert len(tables) == len(photographs.QUALITIES)


def test_cutting_again_gives_the_same_files_and_says_how_far_it_is(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, crops = photographs.crops()
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path))
    told: list[tuple[int, int]] = []
    again, same = photographs.crops(progress=lambda done, total: told.append((done, total)))
    assert same == crops
    assert all((again / crop.file).read_bytes() == (directory / crop.file).read_bytes() for crop in crops)
    assert told[-1] == (792, 792)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    told.clear()
    photographs.crops(progress=lambda done, total: told.append((done, total)))
    assert told == []


@pytest.mark.parametrize("damage", ["a file is missing", "a file is cut short", "no index", "a foreign index"])
def test_a_damaged_cache_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path))
    monkeypatch.setattr(photographs, "CROPS_PER_PHOTOGRAPH", 2)
    directory, crops = photographs.crops()
    victim = directory / crops[5].file
    if damage == "a file is missing":
        victim.unlink()
    elif damage == "a file is cut short":
        os.truncate(victim, 10)
    elif damage == "no index":
        (directory / "index.json").unlink()
    else:
        (directory / "index.json").write_text('{"not": "a list"}')
    _, again = photographs.crops()
    assert again == crops
    assert victim.stat().st_size == crops[5].nbytes


def test_an_interrupted_cut_leaves_nothing_that_could_be_taken_for_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path))

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        photographs.crops(progress=interrupt)
    assert list((tmp_path / "cache").iterdir()) == []


def test_processes_that_cut_at_once_all_get_a_whole_cache(tmp_path: Path) -> None:
    count = "from loader_core.scenarios import photographs as p; d, c = p.crops(); print(len(list(d.glob('*.jpg'))))"
    environment = os.environ | {"LOADERSCOPE_HOME": str(tmp_path)}
    cutters = [
        subprocess.Popen([sys.executable, "-c", count], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [cutter.communicate(timeout=50)[0].strip() for cutter in cutters] == ["792"] * 3
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["photographs-1"]


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("LOADERSCOPE_HOME", str(blocked))
    with pytest.raises(DatasetError, match=rf"cannot write the crops of the photographs to {blocked}.*10 MB"):
        photographs.crops()


def test_without_a_home_the_crops_belong_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOADERSCOPE_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    if sys.platform == "linux":
        assert photographs.cache_directory() == Path("/somewhere/loaderscope/photographs-1")
