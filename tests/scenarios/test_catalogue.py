"""The catalogue: ids that reveal no path, workloads that load and train, and words for what does not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from loader_core.errors import DatasetError, SettingsError
from loader_core.scenarios import catalogue
from loader_core.trace.control import Control


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder with two classes of images, text and an array."""
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.new("RGB", (40, 30), (number * 50, 0, 0)).save(tmp_path / name / f"{number}.png")
        (tmp_path / name / "words.txt").write_text(f"one line of {name}\nand another one\n")
    np.save(tmp_path / "rows.npy", np.ones((10, 4), np.float32))
    return tmp_path


def test_the_entries_of_ours_come_first_and_are_written_in_both_languages(home: Path) -> None:
    entries = catalogue.entries()
    assert [entry.id for entry in entries] == ["photographs", "help", "gapminder"]
    for entry in entries:
        assert all((entry.title.es, entry.title.en, entry.about.es, entry.about.en))
        assert entry.title.es != entry.title.en
    assert [entry.samples for entry in entries] == [len(catalogue.build(entry.id).dataset) for entry in entries]
    assert all(entry.nbytes for entry in entries)
    assert "11 photographs" in entries[0].about.en


def test_the_users_folder_becomes_one_entry_per_kind_with_an_opaque_id(own: Path) -> None:
    entries = {entry.kind: entry for entry in catalogue.entries([own])[3:]}
    assert list(entries) == ["images", "text", "array"]
    assert entries["images"].samples == 6
    assert (entries["text"].needs_pad, entries["images"].needs_pad) == (True, False)
    assert (entries["array"].trains, entries["images"].trains) == (False, True)
    for entry in entries.values():
        assert own.name not in entry.id
        assert "/" not in entry.id
        assert str(own) not in entry.title.en + entry.about.en
    again = {entry.kind: entry.id for entry in catalogue.entries([own])[3:]}
    assert again == {kind: entry.id for kind, entry in entries.items()}


def test_each_of_the_users_entries_loads(own: Path) -> None:
    for entry in catalogue.entries([own])[3:]:
        workload = catalogue.build(entry.id, roots=[own], image_size=16)
        collate = workload.collate_fn("pad" if entry.needs_pad else "default")
        batch = next(iter(DataLoader(workload.dataset, 4, collate_fn=collate)))
        assert len(batch[0] if entry.trains else batch) == 4
        assert workload.classes == (["cats", "dogs"] if entry.trains else [])


def test_an_unknown_id_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"there is no dataset '\.\./etc'; there are photographs, help, gapminder"):
        catalogue.build("../etc")


def test_a_run_of_ours_does_not_search_the_users_folders(home: Path, tmp_path: Path) -> None:
    missing = tmp_path / "gone"
    assert len(catalogue.build("photographs", roots=[missing]).dataset) == 792
    with pytest.raises(DatasetError, match=r"cannot read .*gone"):
        catalogue.build("anything else", roots=[missing])


def test_what_is_not_there_yet_has_no_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOADERSCOPE_HOME", str(tmp_path))
    monkeypatch.setattr("loader_core.scenarios.sources.find_spec", lambda name: None)
    sizes = {entry.id: (entry.samples, entry.nbytes) for entry in catalogue.entries()}
    assert sizes["photographs"] == (792, None)
    assert sizes["gapminder"] == (None, None)


def test_too_many_arrays_are_refused(tmp_path: Path) -> None:
    for number in range(33):
        np.save(tmp_path / f"{number}.npy", np.ones(1))
    with pytest.raises(DatasetError, match=r"holds 33 \.npy files, more than the 32 that are listed"):
        catalogue.entries([tmp_path])


def test_a_collate_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SettingsError, match="samples differ in length, so the default collate cannot stack them"):
        catalogue.build("help").collate_fn("default")
    with pytest.raises(SettingsError, match="all of one shape, there is nothing to pad"):
        catalogue.build("gapminder").collate_fn("pad")


def test_samples_without_labels_cannot_be_trained_on(own: Path) -> None:
    identifier = catalogue.entries([own / "rows.npy"])[-1].id
    workload = catalogue.build(identifier, roots=[own / "rows.npy"])
    with pytest.raises(SettingsError, match="no labels to learn: use consumer 'step' or 'none'"):
        workload.training(seed=0)


def test_the_dials_of_the_page_reach_the_samples(own: Path, control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[tuple[int, int]] = []
    monkeypatch.setattr("loader_core.scenarios.dials.pass_time", lambda duration_ns, page: held.append(duration_ns))
    control.storage_latency_ns = 123
    for entry in catalogue.entries([own]):
        if entry.id != "photographs":
            catalogue.build(entry.id, roots=[own], control=control).dataset[0]
    assert held == [123] * 5


@pytest.mark.parametrize(("identifier", "size"), [("photographs", 80), ("help", 0), ("gapminder", 0)])
def test_the_loss_falls(home: Path, identifier: str, size: int) -> None:
    workload = catalogue.build(identifier, image_size=size or 16)
    torch.manual_seed(1)
    loader = DataLoader(workload.dataset, 32, shuffle=True, collate_fn=workload.pad, drop_last=True)
    training = workload.training(seed=1)
    losses: list[float] = []
    while len(losses) < 50:
        losses.extend(training.step(batch) for batch in loader)
    first, last = np.mean(losses[:5]), np.mean(losses[-5:])
    assert last < 0.8 * first


def test_the_same_seed_makes_the_same_model_and_leaves_the_global_generator_alone(home: Path) -> None:
    workload = catalogue.build("gapminder")
    batch = next(iter(DataLoader(workload.dataset, 8)))
    before = torch.random.get_rng_state()
    one, other, third = (workload.training(seed=seed).step(batch) for seed in (4, 4, 5))
    assert one == other != third
    assert torch.equal(before, torch.random.get_rng_state())


def test_listing_needs_no_torch(own: Path) -> None:
    program = (
        "import sys, pathlib; from loader_core.scenarios import catalogue;"
        "catalogue.entries([pathlib.Path(sys.argv[1])]); sys.exit('torch' in sys.modules or 'plotly' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(own)], check=True, timeout=50)
