"""Previews: what is in a batch, in the wire's own words, and never more than their bounds."""

from __future__ import annotations

import json
from collections import namedtuple
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.wire import Preview
from loader_core.trace.preview import MAX_LEAVES, MAX_PREVIEWS, MAX_TILES, TILE_PIXELS, PreviewWriter


@pytest.fixture
def writer(tmp_path: Path) -> PreviewWriter:
    return PreviewWriter(tmp_path)


def preview_of(directory: Path, batch: Any, **fields: Any) -> Preview:
    """The preview of one batch, checked against the wire's model, which refuses unknown and missing fields."""
    given = {"at_ns": 5, "epoch": 1, "batch_number": 7, "indices": None, "classes": ("cat", "dog"), **fields}
    size = PreviewWriter(directory).write(batch, **given)
    paths = sorted((directory / "previews").iterdir())
    assert size == sum(path.stat().st_size for path in paths)
    return Preview.model_validate_json((directory / "previews" / "000001.json").read_text())


def sheet(directory: Path) -> np.ndarray[Any, Any]:
    with Image.open(BytesIO((directory / "previews" / "000001.jpg").read_bytes())) as image:
        return np.asarray(image).astype(int)


def test_a_batch_of_images_and_labels(tmp_path: Path) -> None:
    images = torch.zeros(40, 3, 20, 30)
    images[0, 0] = 1
    images[9, 2] = 1
    preview = preview_of(tmp_path, (images, torch.tensor([0, 1, 2, -1] * 10)), indices=list(range(100, 140)))
    assert (preview.number, preview.at_ns, preview.batch, preview.epoch) == (1, 5, 7, 1)
    assert (preview.indices, preview.indices_total) == (list(range(100, 132)), 40)
    assert preview.labels == ["cat", "dog", "2", "-1"] * 8
    assert (preview.sheet, preview.tile, preview.columns, preview.tiles) == (True, TILE_PIXELS, 8, 32)
    assert [(leaf.path, leaf.kind, leaf.dtype, leaf.shape) for leaf in preview.leaves] == [
        ("0", "tensor", "float32", [40, 3, 20, 30]),
        ("1", "tensor", "int64", [40]),
    ]
    pixels = sheet(tmp_path)
    assert pixels.shape == (4 * 96, 8 * 96, 3)
    red, blue = pixels[48, 48], pixels[96 + 48, 96 + 48]
    assert red[0] > 200
    assert red[2] < 60
    assert blue[2] > 200
    assert blue[0] < 60
    assert pixels[2, 48].max() < 60, "the tile keeps the picture's shape"


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (torch.full((2, 3, 8, 8), 255, dtype=torch.uint8), 255),
        (np.full((2, 8, 8, 3), 128, np.uint8), 128),
        (np.full((2, 8, 8, 1), 0.5, np.float32), 128),
        (torch.full((2, 1, 8, 8), 0.25), 64),
        (np.full((2, 8, 8, 4), 1.0), 255),
    ],
)
def test_brightness_of_what_is_within_0_and_1_or_a_byte(tmp_path: Path, batch: Any, expected: int) -> None:
    assert preview_of(tmp_path, batch).tiles == 2
    assert abs(int(sheet(tmp_path)[48, 48].mean()) - expected) <= 2


def test_normalised_images_are_stretched_from_their_minimum_to_their_maximum(tmp_path: Path) -> None:
    batch = torch.full((2, 3, 8, 8), -2.0)
    batch[1] = 2.5
    batch[0, 0, 0, 0] = float("nan")
    preview = preview_of(tmp_path, batch)
    assert (preview.leaves[0].minimum, preview.leaves[0].maximum) == (-2, 2.5)
    pixels = sheet(tmp_path)
    assert pixels[60, 60].max() < 10
    assert pixels[60, 96 + 60].min() > 245


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(4, 5, 8, 8),
        torch.zeros(4, 3, 2, 2),
        torch.zeros(0, 3, 8, 8),
        torch.zeros(3, 8, 8),
        torch.zeros(()),
        np.array(["a", "b"]),
        None,
        [],
        {},
        object(),
    ],
)
def test_what_does_not_look_like_images_has_no_sheet(tmp_path: Path, batch: Any) -> None:
    preview = preview_of(tmp_path, batch)
    assert (preview.sheet, preview.tiles) == (False, 0)
    assert [path.name for path in (tmp_path / "previews").iterdir()] == ["000001.json"]


Point = namedtuple("Point", ["x", "y"])


@dataclass
class Sample:
    image: Any
    meta: dict[str, Any]


def test_leaves_are_named_by_the_way_to_them(tmp_path: Path) -> None:
    batch = Sample(torch.rand(2, 3, 8, 8), {"names": ["a", "b"], "at": Point(torch.ones(2), 3), "n": [1.5, None, b"x"]})
    preview = preview_of(tmp_path, batch)
    assert [(leaf.path, leaf.kind, leaf.dtype) for leaf in preview.leaves] == [
        ("image", "tensor", "float32"),
        ("meta.names", "text", "str"),
        ("meta.at.x", "tensor", "float32"),
        ("meta.at.y", "number", "int"),
        ("meta.n.0", "number", "float"),
        ("meta.n.1", "other", "NoneType"),
        ("meta.n.2", "text", "bytes"),
    ]
    assert preview.texts == ["a", "b"]


def test_texts_are_shortened_and_counted(tmp_path: Path) -> None:
    preview = preview_of(tmp_path, {"text": ["word " * 100] * 50, "label": torch.tensor([1] * 50)})
    assert len(preview.texts) == MAX_TILES
    assert all(len(text) == 200 and text.endswith("…") for text in preview.texts)
    assert preview.leaves[0].shape == [50]
    assert preview.labels == ["dog"] * MAX_TILES


def test_the_label_is_the_leaf_named_so_or_else_the_last(tmp_path: Path) -> None:
    ones, zeros = torch.ones(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)
    named = preview_of(tmp_path / "a", {"label": ones, "length": zeros}) if (tmp_path / "a").mkdir() is None else None
    assert named is not None
    assert named.labels == ["dog", "dog"]
    (tmp_path / "b").mkdir()
    assert preview_of(tmp_path / "b", (ones, zeros)).labels == ["cat", "cat"]


def test_numbers_are_of_the_finite_values(tmp_path: Path) -> None:
    values = torch.tensor([1.0, 3.0, float("inf"), float("nan")])
    [leaf] = preview_of(tmp_path, values).leaves
    assert (leaf.minimum, leaf.maximum, leaf.mean) == (1, 3, 2)
    assert leaf.sample == "1, 3, inf, nan"


def test_numbers_that_numpy_does_not_have(tmp_path: Path) -> None:
    [leaf] = preview_of(tmp_path, torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)).leaves
    assert (leaf.dtype, leaf.mean) == ("bfloat16", 1.5)


def test_keys_that_are_no_integers_are_counted_only(tmp_path: Path) -> None:
    preview = preview_of(tmp_path, None, indices=["a", "b"])
    assert (preview.indices, preview.indices_total) == ([], 2)


def test_bounds(writer: PreviewWriter, tmp_path: Path) -> None:
    deep: Any = torch.ones(1)
    for _ in range(50):
        deep = [deep]
    for _ in range(MAX_PREVIEWS + 5):
        writer.write(
            {"many": [torch.ones(1)] * 500, "deep": deep, "image": torch.rand(2, 3, 8, 8)},
            at_ns=0,
            epoch=0,
            batch_number=0,
            indices=None,
            classes=(),
        )
    names = sorted(path.name for path in (tmp_path / "previews").glob("*.json"))
    assert names == [f"{number:06d}.json" for number in range(6, MAX_PREVIEWS + 6)]
    assert len(json.loads((tmp_path / "previews" / names[-1]).read_text())["leaves"]) == MAX_LEAVES
    assert not list((tmp_path / "previews").glob("*.new"))


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.builds(
        lambda shape, dtype: np.zeros(shape, dtype),
        st.lists(st.integers(0, 5), max_size=5).map(tuple),
        st.sampled_from(["u1", "f4", "f8", "i8", "?", "U3", "c16", "M8[s]", "O"]),
    ),
    lambda tree: st.lists(tree, max_size=4) | st.dictionaries(st.text(max_size=4), tree, max_size=4) | st.tuples(tree),
    max_leaves=12,
)


@given(TREES)
def test_any_tree_has_a_preview(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    preview_of(tmp_path_factory.mktemp("run"), tree)
