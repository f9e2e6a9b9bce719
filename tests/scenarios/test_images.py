"""Images as samples: what a model gets, and what is said of files that are none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from loader_core.errors import DatasetError
from loader_core.scenarios import catalogue
from loader_core.scenarios.dials import Dials
from loader_core.scenarios.images import RATIO, SCALE, ImageFiles, Transform, decode, random_box


def of_one(path: Path, *, size: int = 16, augment: bool = False) -> ImageFiles:
    return ImageFiles([path], [7], transform=Transform(size, augment), dials=Dials())


def claims(width: int, height: int) -> bytes:
    """The header of an image file that says it is this large; there are no pixels in it."""
    return f"P6 {width} {height} 255\n".encode()


def test_a_sample_is_the_middle_square_of_the_picture(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = (10, 200, 30)
    Image.fromarray(pixels).save(tmp_path / "middle.png")
    sample, label = of_one(tmp_path / "middle.png")[0]
    assert (sample.dtype, tuple(sample.shape), label) == (torch.uint8, (3, 16, 16), 7)
    assert sample.is_contiguous()
    assert sample[:, 8, 8].tolist() == [10, 200, 30]
    inside = sample[:, 1:-1, 1:-1]  # the resampling of the outermost pixels looks over the edge
    assert (inside == sample[:, 8:9, 8:9]).all()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_pictures_of_all_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    path = tmp_path / f"picture.{suffix}"
    Image.new(mode, (30, 20), 1).save(path)
    sample, _ = of_one(path)[0]
    assert sample.shape == (3, 16, 16)


def test_augmenting_draws_from_torchs_generator_alone(home: Path) -> None:
    workload = catalogue.build("photographs", image_size=64, augment=True)
    torch.manual_seed(5)
    first, other = workload.dataset[100][0], workload.dataset[100][0]
    torch.manual_seed(5)
    again = workload.dataset[100][0]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    plain = catalogue.build("photographs", image_size=64, augment=False)
    assert torch.equal(plain.dataset[100][0], plain.dataset[100][0])


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4),
)
def test_a_random_box_lies_in_the_picture(width: int, height: int, uniform: list[float]) -> None:
    left, top, right, bottom = random_box(width, height, uniform)
    slack = 1e-6 * max(width, height)
    assert 0 <= left < right <= width + slack
    assert 0 <= top < bottom <= height + slack
    share = (right - left) * (bottom - top) / (width * height)
    assert share <= SCALE[1] + 1e-6
    if right - left < width and bottom - top < height:
        assert share >= SCALE[0] - 1e-6
        assert RATIO[0] - 1e-6 <= (right - left) / (bottom - top) <= RATIO[1] + 1e-6


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"this is no image")
    with pytest.raises(DatasetError, match=rf"^{path} is not an image that Pillow can decode"):
        of_one(path)[0]


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    whole = io.BytesIO()
    Image.effect_noise((200, 200), 80).save(whole, "JPEG")
    path.write_bytes(whole.getvalue()[:2000])
    with pytest.raises(DatasetError, match=rf"^{path} is not an image that Pillow can decode.*truncated"):
        of_one(path)[0]


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=rf"^cannot read {tmp_path / 'gone.png'}: No such file"):
        of_one(tmp_path / "gone.png")[0]


@pytest.mark.parametrize("side", [9_000, 10_000, 60_000])
def test_an_image_that_is_too_large_is_refused_before_it_is_decoded(side: int) -> None:
    # 81 MP, past Pillow's warning, and past its error: always our text.
    path = Path("huge.ppm")
    with pytest.raises(DatasetError, match=r"^huge\.ppm has .* pixels, more than the 64 million that are decoded"):
        decode(claims(side, side), path)


def test_the_largest_image_is_not_called_too_large() -> None:
    with pytest.raises(DatasetError, match=r"is not an image that Pillow can decode: .*truncated"):
        decode(claims(8_000, 8_000), Path("large.ppm"))
