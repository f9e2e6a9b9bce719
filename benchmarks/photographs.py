"""JPEG files like those of a large data set, and what is done to each of them on its way into a batch.

The files are crops of our own photographs, enlarged to about 500x375 pixels and written once into the user's cache.
The operations differ in what decodes, what resizes and how the pixels become float32; one operation is the same in all
engines that run it. All give `(3, 224, 224) float32`, normalised as is usual for ImageNet.
"""

from __future__ import annotations

import io
import os
import random
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from loader_core.scenarios.photographs import NAMES, cache_directory

SIDE = 224
SHAPE = (3, SIDE, SIDE)
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)

_RECIPE = 1
"""Raise it whenever `_write` changes."""

_QUALITIES = (75, 85, 95)
_SCALE = (1 / (255 * DEVIATION)).reshape(3, 1, 1)
_SHIFT = (-MEAN / DEVIATION).reshape(3, 1, 1)

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Operation = Callable[[bytes, Floats], Floats]
"""JPEG file -> image. It may write into the `SHAPE` memory that is given, and returns where the image is."""


# --- files ------------------------------------------------------------------------------------------------------------


def jpegs(count: int) -> list[Path]:
    """The first `count` files, always the same ones; writes those that are not there yet (some 10 ms each)."""
    directory = cache_directory().with_name(f"benchmark-jpeg-{_RECIPE}")
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            _write(number, path)
    return paths


def label(number: int) -> int:
    """The class of file `number`: which photograph it is from."""
    return number % len(NAMES)


def _write(number: int, path: Path) -> None:
    draw = random.Random(number)
    photograph = _photograph(NAMES[label(number)])
    width, height = photograph.size
    across = draw.randint(width // 2, width)
    down = min(height, across * 3 // 4)
    left, top = draw.randint(0, width - across), draw.randint(0, height - down)
    size = (draw.randint(460, 540), draw.randint(345, 405))
    image = photograph.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + across, top + down))
    descriptor, beside = tempfile.mkstemp(suffix=".part", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        image.save(file, "JPEG", quality=draw.choice(_QUALITIES))
    Path(beside).rename(path)


@cache
def _photograph(name: str) -> Image.Image:
    with files("loader_core.scenarios").joinpath("photographs_source", f"{name}.jpg").open("rb") as stream:
        return Image.open(stream).convert("RGB")


# --- operations -------------------------------------------------------------------------------------------------------


def pillow(jpeg: bytes, _: Floats) -> Floats:
    """Pillow decodes and resizes; numpy normalises as it is written in most tutorials, one new array per step."""
    image = np.asarray(_with_pillow(jpeg)).astype(np.float32) / 255
    return np.ascontiguousarray(((image - MEAN) / DEVIATION).transpose(2, 0, 1))


def pillow_fused(jpeg: bytes, out: Floats) -> Floats:
    """Pillow decodes and resizes; two passes normalise into `out`."""
    return _normalised(np.asarray(_with_pillow(jpeg)), out)


def simplejpeg_cv2(jpeg: bytes, out: Floats) -> Floats:
    """simplejpeg (libjpeg-turbo) decodes, OpenCV resizes; two passes normalise into `out`.

    OpenCV's bilinear filter does not smooth when it shrinks: these are not the pixels that Pillow gives.
    """
    import cv2
    import simplejpeg

    pixels = simplejpeg.decode_jpeg(jpeg, "RGB", fastdct=True, fastupsample=True)
    left, top, right, bottom = _middle(pixels.shape[1], pixels.shape[0])
    small = cv2.resize(pixels[top:bottom, left:right], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return _normalised(small, out)


def _with_pillow(jpeg: bytes) -> Image.Image:
    with Image.open(io.BytesIO(jpeg)) as image:
        image.load()
        return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=_middle(*image.size))


def _middle(width: int, height: int) -> tuple[int, int, int, int]:
    """`(left, top, right, bottom)` of the largest square in the middle."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def _normalised(pixels: Pixels, out: Floats) -> Floats:
    """`(side, side, 3) uint8` -> `out`, channels first, without another array."""
    np.multiply(pixels.transpose(2, 0, 1), _SCALE, out=out)
    np.add(out, _SHIFT, out=out)
    return out
