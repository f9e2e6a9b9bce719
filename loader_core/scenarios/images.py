"""Image files as a map-style dataset: read, decode, transform, as a vision pipeline does it.

The three steps are marked as stages of the sample, so that a timeline shows which of them takes the time.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.errors import DatasetError
from loader_core.scenarios.dials import Dials
from loader_core.trace.stage import stage

MOST_PIXELS = 64_000_000
"""A larger image is refused before it is decoded: 64 MP of RGB are 192 MB in memory."""

SCALE = (0.35, 1.0)
RATIO = (3 / 4, 4 / 3)
"""Share of the area and aspect of a random resized crop, after Szegedy et al., https://arxiv.org/abs/1409.4842; at
least 35 % instead of 8 %, because our photographs are crops already."""


@dataclass(frozen=True, slots=True)
class Transform:
    """From a picture to the square that a model gets, `size` pixels wide.

    With `augment` a random part of random shape, mirrored half of the time; else the square in the middle. Draws from
    torch's global generator, which a DataLoader seeds differently in each worker.
    """

    size: int
    augment: bool

    def __call__(self, picture: Image.Image) -> Tensor:
        """`(3, size, size) uint8` of an RGB picture."""
        width, height = picture.size
        mirrored = False
        if self.augment:
            *where, mirror = torch.rand(5).tolist()
            box = random_box(width, height, where)
            mirrored = mirror < 0.5
        else:
            side = min(width, height)
            left, top = (width - side) / 2, (height - side) / 2
            box = (left, top, left + side, top + side)
        picture = picture.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box)
        if mirrored:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(picture))
        return pixels.permute(2, 0, 1).contiguous()


def random_box(width: int, height: int, uniform: Sequence[float]) -> tuple[float, float, float, float]:
    """`(left, top, right, bottom)` of a random part of a picture, from four numbers in [0, 1).

    Its area is a share of the picture's within `SCALE`, its aspect within `RATIO` and as even in its logarithm; what
    would reach over the edge is cut to fit.
    """
    scale, shape, across, down = uniform
    area = width * height * (SCALE[0] + scale * (SCALE[1] - SCALE[0]))
    aspect = math.exp(math.log(RATIO[0]) + shape * (math.log(RATIO[1]) - math.log(RATIO[0])))
    wide = min(math.sqrt(area * aspect), width)
    tall = min(math.sqrt(area / aspect), height)
    left, top = across * (width - wide), down * (height - tall)
    return left, top, left + wide, top + tall


def decode(encoded: bytes, path: Path) -> Image.Image:
    """The RGB picture in an image file's bytes. Raises DatasetError that names the file."""
    try:
        picture = Image.open(io.BytesIO(encoded))
        width, height = picture.size
        if width * height <= MOST_PIXELS:
            return picture.convert("RGB")
        size = f"{width} x {height}"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        size = "far too many"
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"{path} is not an image that Pillow can decode: {error}") from error
    raise DatasetError(
        f"{path} has {size} pixels, more than the {MOST_PIXELS // 10**6} million that are decoded: make it smaller"
    )


class ImageFiles(Dataset[tuple[Tensor, int]]):
    """One image file per sample: `((3, size, size) uint8, label)`.

    uint8 because it is a quarter of float32 to move from a worker; the training step scales it on the way in. Safe to
    use from several threads and processes.

    Raises DatasetError, naming the file, from `__getitem__` for one that cannot be read, decoded or is too large.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[int],
        *,
        transform: Transform,
        dials: Dials,
    ) -> None:
        self.paths = [str(path) for path in paths]
        self.labels = np.asarray(labels, np.int64)
        self.transform = transform
        self.dials = dials

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = Path(self.paths[index])
        with stage("read"):
            encoded = self._read(path)
            self.dials.hold_back(index, len(encoded))
        with stage("decode"):
            picture = decode(encoded, path)
        with stage("transform"):
            pixels = self.transform(picture)
            self.dials.burn()
        return pixels, int(self.labels[index])

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise DatasetError(f"cannot read {path}: {error.strerror}") from error
