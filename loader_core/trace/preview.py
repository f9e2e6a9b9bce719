"""Previews: what is in a batch, for a viewer who asked.

`previews/<number>.json` holds the fields of the wire's Preview, and `previews/<number>.jpg` a sheet of thumbnails when
the batch has images. Arrays are known by what they can do (shape, dtype, numpy()), not by their type: this module
never imports torch. Imported when a preview is first made, because it imports Pillow.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PREVIEWS = "previews"
"""Folder in the run directory."""

MAX_PREVIEWS = 48
"""Previews kept; the oldest gives way."""

MAX_TILES = 32
"""Samples of a batch that are looked at: tiles, labels, texts, and what minimum, maximum and mean are taken of."""

TILE_PIXELS = 96
COLUMNS = 8
MAX_LEAVES = 64
_MAX_DEPTH = 8
_MAX_TEXT = 200
_SMALLEST_IMAGE_PIXELS = 4
_CHANNELS = (1, 3, 4)
_BACKGROUND = (24, 24, 24)
_LABEL_NAMES = ("label", "labels", "target", "targets", "class", "y")

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One leaf of a batch: `array` has its first `MAX_TILES` samples, `texts` the first of its texts."""

    path: str
    kind: str
    dtype: str
    shape: list[int]
    array: Array | None = None
    texts: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """The fields of the wire's TensorInfo."""
        low, high, mean = _range(self.array)
        return {
            "path": self.path,
            "kind": self.kind,
            "dtype": self.dtype,
            "shape": self.shape,
            "minimum": low,
            "maximum": high,
            "mean": mean,
            "sample": _sample(self),
        }


class PreviewWriter:
    """Writes previews of batches into a run directory, numbered from 1.

    Used by the thread that iterates. At most `MAX_PREVIEWS` are kept, and of a batch at most `MAX_TILES` samples and
    `MAX_LEAVES` leaves are looked at.
    """

    def __init__(self, directory: Path) -> None:
        self._folder = directory / PREVIEWS
        self._folder.mkdir(exist_ok=True)
        self._number = 0

    def write(
        self,
        batch: Any,
        *,
        at_ns: int,
        epoch: int,
        batch_number: int,
        indices: Sequence[int] | None,
        classes: Sequence[str],
    ) -> int:
        """Write one preview and return its size in bytes. `at_ns` is run time. Raises what the batch's types raise."""
        self._number += 1
        leaves = list(_leaves(batch))[:MAX_LEAVES]
        sheet, tiles = _sheet(leaves)
        preview = {
            "number": self._number,
            "at_ns": at_ns,
            "batch": batch_number,
            "epoch": epoch,
            "indices": _integers(indices),
            "indices_total": 0 if indices is None else len(indices),
            "labels": _labels(leaves, classes),
            "texts": next((list(leaf.texts) for leaf in leaves if leaf.texts), []),
            "leaves": [leaf.described() for leaf in leaves],
            "sheet": bool(sheet),
            "tile": TILE_PIXELS,
            "columns": COLUMNS,
            "tiles": tiles,
        }
        written = json.dumps(preview, allow_nan=False).encode()
        if sheet:
            self._place(f"{self._number:06d}.jpg", sheet)
        self._place(f"{self._number:06d}.json", written)  # last: who finds it finds its sheet
        for ending in ("json", "jpg"):
            (self._folder / f"{self._number - MAX_PREVIEWS:06d}.{ending}").unlink(missing_ok=True)
        return len(written) + len(sheet)

    def _place(self, name: str, content: bytes) -> None:
        unfinished = self._folder / (name + ".new")
        unfinished.write_bytes(content)
        os.replace(unfinished, self._folder / name)


# --- what is in a batch -----------------------------------------------------------------------------------------------


def _leaves(value: Any, path: str = "", depth: int = 0) -> Iterator[_Leaf]:
    """The leaves of a tree of mappings, sequences, named tuples and dataclasses, named like attribute access."""
    children = None if depth >= _MAX_DEPTH else _children(value)
    if children is None:
        yield _leaf(value, path or "batch")
        return
    for name, child in children:
        yield from _leaves(child, f"{path}.{name}" if path else name, depth + 1)


def _children(value: Any) -> list[tuple[str, Any]] | None:
    """A node's first children by name; None for a leaf. A list of texts is one leaf."""
    if isinstance(value, Mapping):
        return [(str(name), child) for name, child in list(value.items())[:MAX_LEAVES]]
    if is_dataclass(value) and not isinstance(value, type):
        return [(each.name, getattr(value, each.name)) for each in fields(value)[:MAX_LEAVES]]
    if isinstance(value, (list, tuple)) and not _is_texts(value):
        names = getattr(value, "_fields", None) or map(str, range(len(value)))
        return list(zip(names, value[:MAX_LEAVES], strict=False))
    return None


def _is_texts(value: Sequence[Any]) -> bool:
    return bool(value) and all(isinstance(text, (str, bytes)) for text in value[:MAX_TILES])


def _leaf(value: Any, path: str) -> _Leaf:
    if isinstance(value, (str, bytes)):
        return _Leaf(path, "text", type(value).__name__, [], texts=(_shortened(value),))
    if isinstance(value, (list, tuple)) and _is_texts(value):
        texts = tuple(_shortened(text) for text in value[:MAX_TILES])
        return _Leaf(path, "text", type(value[0]).__name__, [len(value)], texts=texts)
    if isinstance(value, (bool, int, float)):
        return _Leaf(path, "number", type(value).__name__, [], array=np.asarray(value))
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        dtype = str(value.dtype).removeprefix("torch.")
        return _Leaf(path, "tensor", dtype, [int(side) for side in value.shape], array=_array(value))
    return _Leaf(path, "other", type(value).__name__, [])


def _array(value: Any) -> Array | None:
    """The first `MAX_TILES` samples of an array or tensor of any device; None for what is not numbers."""
    head = value[:MAX_TILES] if len(value.shape) else value
    if hasattr(head, "detach"):
        head = head.detach().cpu()
        try:
            head = head.numpy()
        except TypeError:  # a dtype that numpy does not have: bfloat16, float8
            head = head.float().numpy()
    array = np.asarray(head)
    return array if array.dtype.kind in "biuf" else None


def _shortened(text: str | bytes) -> str:
    whole = text.decode(errors="replace") if isinstance(text, bytes) else text
    return whole if len(whole) <= _MAX_TEXT else whole[: _MAX_TEXT - 1] + "…"


def _range(array: Array | None) -> tuple[float | None, float | None, float | None]:
    """Minimum, maximum and mean of the finite values; None where there are none."""
    if array is None or not array.size:
        return None, None, None
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        array = array[np.isfinite(array)]
        if not array.size:
            return None, None, None
    mean = float(array.mean(dtype=np.float64))
    return float(array.min()), float(array.max()), mean if math.isfinite(mean) else None


def _sample(leaf: _Leaf) -> str:
    """The first values or texts, shortened."""
    if leaf.texts:
        return _shortened(" | ".join(leaf.texts[:3]))
    if leaf.array is None:
        return ""
    return ", ".join(f"{number:.4g}" for number in leaf.array.ravel()[:6])


def _integers(indices: Sequence[int] | None) -> list[int]:
    """The first indices; none when a sampler's keys are no integers."""
    try:
        return [] if indices is None else [int(index) for index in indices[:MAX_TILES]]
    except (TypeError, ValueError):
        return []


def _labels(leaves: Sequence[_Leaf], classes: Sequence[str]) -> list[str]:
    """Class names of the first samples, from the integer leaf `(B,)`: the one named so, or else the last."""
    integers = [leaf for leaf in leaves if leaf.array is not None and leaf.array.dtype.kind in "iu"]
    columns = [leaf for leaf in reversed(integers) if len(leaf.shape) == 1]
    columns.sort(key=lambda leaf: leaf.path.rpartition(".")[2].lower() not in _LABEL_NAMES)
    if not columns or columns[0].array is None:
        return []
    return [classes[n] if 0 <= n < len(classes) else str(n) for n in columns[0].array.tolist()]


# --- the sheet --------------------------------------------------------------------------------------------------------


def _sheet(leaves: Sequence[_Leaf]) -> tuple[bytes, int]:
    """The JPEG of the first leaf that looks like images, and its number of tiles; empty without one."""
    images = next((found for leaf in leaves if (found := _images(leaf)) is not None), None)
    if images is None:
        return b"", 0
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE_PIXELS, rows * TILE_PIXELS), _BACKGROUND)
    for number, pixels in enumerate(images):
        tile = _tile(pixels)
        row, column = divmod(number, COLUMNS)
        left = column * TILE_PIXELS + (TILE_PIXELS - tile.width) // 2
        top = row * TILE_PIXELS + (TILE_PIXELS - tile.height) // 2
        sheet.paste(tile, (left, top))
    buffer = BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue(), len(images)


def _images(leaf: _Leaf) -> Array | None:
    """`(n, H, W, C) uint8` of a leaf `(B, C, H, W)` or `(B, H, W, C)`; None when it does not look like images.

    Numbers outside 0..1 (and not uint8) are stretched from their minimum and maximum over the whole batch.
    """
    array = leaf.array
    if array is None or array.ndim != 4 or not array.size:
        return None
    if array.shape[1] in _CHANNELS:
        array = array.transpose(0, 2, 3, 1)
    if array.shape[3] not in _CHANNELS or min(array.shape[1:3]) < _SMALLEST_IMAGE_PIXELS:
        return None
    step = max(1, min(array.shape[1:3]) // (2 * TILE_PIXELS))
    array = array[:, ::step, ::step]
    if array.dtype == np.uint8:
        return array
    low, high, _ = _range(array)
    if low is None or high is None:
        low, high = 0.0, 1.0
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = (array.astype(np.float32) - low) * (255 / max(high - low, 1e-12))
    pixels: Array = np.nan_to_num(scaled, nan=0, posinf=255, neginf=0).clip(0, 255).astype(np.uint8)
    return pixels


def _tile(pixels: Array) -> Image.Image:
    """One image, `(H, W, C) uint8`, as large as fits a tile."""
    gray = pixels.shape[2] == 1
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if gray else pixels)).convert("RGB")
    scale = TILE_PIXELS / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BILINEAR)
