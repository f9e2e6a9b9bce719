"""The engines that are compared: torch's loader, ours, and the other loaders that are installed.

Each opens a `Work` as an iterable that gives the batches of one epoch each time it is iterated. Where an engine can run
Python, it runs the same data set and the same collate function as torch; what differs is said in `Engine.differs`.
Two workers everywhere but where the name says "inline".
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from benchmarks.photographs import DEVIATION, MEAN, SIDE, label
from benchmarks.workloads import ArrayTable, Pictures, Work, found

Open = Callable[[Work], AbstractContextManager[Iterable[Any]]]

TORCH = "torch"
"""What the others are compared with."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A loader, and how to have it load a Work."""

    name: str
    title: str
    open: Open
    needs: tuple[str, ...] = ()
    """Modules of packages that are not ours."""
    differs: str = ""
    """What it does not do as torch's loader does: without it the ratio would say too much."""
    own_pixels: bool = False
    """Its features are not exactly torch's."""
    only: tuple[str, ...] = ()
    """The workloads that it can run, if not all."""

    @property
    def installed(self) -> bool:
        """Whether the packages it needs are there."""
        return all(found(module) for module in self.needs)

    def runs(self, workload: str) -> bool:
        """Whether it can be measured on that workload."""
        return not self.only or workload in self.only


# --- torch's and ours -------------------------------------------------------------------------------------------------


def _torchs_arguments(work: Work, workers: int) -> dict[str, Any]:
    return {
        "batch_size": work.batch_size,
        "shuffle": work.shuffle,
        "num_workers": workers,
        "collate_fn": work.collate if work.whole_batches else None,
        "persistent_workers": workers > 0,
        "multiprocessing_context": "fork" if workers else None,
    }


@contextmanager
def _torch(work: Work, *, inline: bool = False) -> Iterator[Iterable[Any]]:
    from torch.utils.data import DataLoader

    yield DataLoader(work.dataset, **_torchs_arguments(work, 0 if inline else work.workers))  # type: ignore[arg-type]  # any object with its two methods will do


@contextmanager
def _ours(
    work: Work, *, method: Literal["process", "thread", "inline"] = "process", recorded: bool = False
) -> Iterator[Iterable[Any]]:
    from loader_core.engine import DataLoader

    arguments = _torchs_arguments(work, 0 if method == "inline" else work.workers)
    if method == "thread":
        arguments |= {"worker_method": "thread", "multiprocessing_context": None}
    if not recorded:
        yield DataLoader(work.dataset, **arguments)
        return
    from loader_core.trace import Detail, Recording

    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        with Recording.create(Path(home, "run"), run_id="benchmark") as recording:
            recording.control.detail = Detail.SAMPLE
            yield DataLoader(work.dataset, **arguments, recording=recording)


# --- loaders that run the same Python ---------------------------------------------------------------------------------


@contextmanager
def _stateful(work: Work) -> Iterator[Iterable[Any]]:
    from torchdata.stateful_dataloader import StatefulDataLoader

    yield StatefulDataLoader(work.dataset, **_torchs_arguments(work, work.workers))


@contextmanager
def _nodes(work: Work, *, method: Literal["thread", "process"]) -> Iterator[Iterable[Any]]:
    from torchdata import nodes

    batches = nodes.IterableWrapper(_IndexBatches(work))
    made = nodes.ParallelMapper(
        batches, work.make, work.workers, method=method, multiprocessing_context="fork" if method == "process" else None
    )
    yield nodes.Loader(nodes.Prefetcher(made, 2 * work.workers))


@dataclass(frozen=True, slots=True)
class _IndexBatches:
    """The batches' indices, as often as they are asked for."""

    work: Work

    def __iter__(self) -> Iterator[list[int]]:
        return self.work.index_batches()


@contextmanager
def _spdl_threads(work: Work) -> Iterator[Iterable[Any]]:
    from spdl.dataloader import DataLoader

    yield DataLoader(
        _IndexBatches(work),
        preprocessor=work.make,
        buffer_size=2 * work.workers,
        num_threads=work.workers,
        output_order="input",
    )


@contextmanager
def _spdl_subprocess(work: Work) -> Iterator[Iterable[Any]]:
    from spdl.pipeline import PipelineBuilder, SharedMemorySegmentPool, run_pipeline_in_subprocess

    features, labels = work.make(next(work.index_batches()))
    pipeline = (
        PipelineBuilder()
        .add_source(_IndexBatches(work))
        .pipe(work.make, concurrency=work.workers, output_order="input")
        .add_sink(2 * work.workers)
        .get_config()
    )
    pool = SharedMemorySegmentPool(features.nbytes + labels.nbytes + 4096, 2 * work.workers + 4)
    yield run_pipeline_in_subprocess(pipeline, num_threads=work.workers, mp_context="fork", arena=pool)


@contextmanager
def _grain(work: Work, *, processes: bool) -> Iterator[Iterable[Any]]:
    import grain

    _parse_flags()
    batches = grain.MapDataset.source(work.dataset).batch(work.batch_size)
    if processes:
        read = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
        yield batches.to_iter_dataset(read).mp_prefetch(grain.MultiprocessingOptions(work.workers, 2))
    else:
        yield batches.to_iter_dataset(grain.ReadOptions(work.workers, 2 * work.workers))


def _parse_flags() -> None:
    """Grain's processes read absl's flags, which are there only when a program's arguments have been parsed."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["benchmark"])


# --- loaders with operations of their own -----------------------------------------------------------------------------


@contextmanager
def _tensorflow_arrays(work: Work) -> Iterator[Iterable[Any]]:
    import tensorflow

    assert isinstance(work.dataset, ArrayTable)
    slices = tensorflow.data.Dataset.from_tensor_slices((work.dataset.features, work.dataset.column))
    yield slices.batch(work.batch_size).prefetch(2 * work.workers)


@contextmanager
def _tensorflow_pictures(work: Work) -> Iterator[Iterable[Any]]:
    import tensorflow

    def image(path: Any, label: Any) -> tuple[Any, Any]:
        pixels = tensorflow.io.decode_jpeg(tensorflow.io.read_file(path), channels=3, dct_method="INTEGER_FAST")
        height, width = tensorflow.shape(pixels)[0], tensorflow.shape(pixels)[1]
        side = tensorflow.minimum(height, width)
        square = tensorflow.image.crop_to_bounding_box(pixels, (height - side) // 2, (width - side) // 2, side, side)
        small = tensorflow.image.resize(square, (SIDE, SIDE))
        return tensorflow.transpose((small / 255 - MEAN) / DEVIATION, (2, 0, 1)), label

    files = tensorflow.data.Dataset.from_tensor_slices(_files(work))
    yield files.map(image, num_parallel_calls=work.workers).batch(work.batch_size).prefetch(2 * work.workers)


def _files(work: Work) -> tuple[list[str], list[int]]:
    assert isinstance(work.dataset, Pictures)
    paths = work.dataset.paths
    return [str(path) for path in paths], [label(number) for number in range(len(paths))]


@contextmanager
def _dali(work: Work) -> Iterator[Iterable[Any]]:
    from nvidia.dali import fn, pipeline_def, types

    paths, labels = _files(work)

    @pipeline_def(batch_size=work.batch_size, num_threads=work.workers, device_id=None, prefetch_queue_depth=2)  # type: ignore[untyped-decorator,unused-ignore]  # typed only where it is installed
    def pipeline() -> Any:
        jpegs, classes = fn.readers.file(files=paths, labels=labels, name="files")
        pixels = fn.decoders.image(jpegs, device="cpu", output_type=types.RGB, use_fast_idct=True)
        small = fn.resize(pixels, resize_shorter=SIDE, antialias=False)
        mean, deviation = (255 * MEAN).tolist(), (255 * DEVIATION).tolist()
        return fn.crop_mirror_normalize(
            small, crop=(SIDE, SIDE), mean=mean, std=deviation, dtype=types.FLOAT, output_layout="CHW"
        ), classes

    built = pipeline()
    built.build()
    yield _DaliEpoch(built, len(paths) // work.batch_size)


@dataclass(frozen=True, slots=True)
class _DaliEpoch:
    """Runs of a DALI pipeline: each gives a batch that lives until the next run."""

    pipeline: Any
    batches: int

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self.batches):
            images, classes = self.pipeline.run()
            yield images.as_tensor(), np.asarray(classes.as_tensor())[:, 0]


@contextmanager
def _ffcv(work: Work) -> Iterator[Iterable[Any]]:
    from ffcv.fields import IntField, NDArrayField, RGBImageField
    from ffcv.fields.decoders import CenterCropRGBImageDecoder, IntDecoder, NDArrayDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import NormalizeImage, Squeeze, ToTensor, ToTorchImage
    from ffcv.writer import DatasetWriter

    if isinstance(work.dataset, Pictures):
        field = RGBImageField(write_mode="jpg", jpeg_quality=90)
        source: Any = _Decoded(work.dataset)
        normalise = NormalizeImage(255 * MEAN, 255 * DEVIATION, np.float32)
        features = [CenterCropRGBImageDecoder((SIDE, SIDE), ratio=1), normalise, ToTensor(), ToTorchImage()]
    else:
        field, source = NDArrayField(np.dtype(np.float32), work.dataset.shape), work.dataset
        features = [NDArrayDecoder(), ToTensor()]
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        file = str(Path(home, "samples.beton"))
        writer = DatasetWriter(file, {"features": field, "label": IntField()}, num_workers=work.workers)
        writer.from_indexed_dataset(source)
        yield Loader(
            file,
            batch_size=work.batch_size,
            num_workers=work.workers,
            order=OrderOption.SEQUENTIAL,
            pipelines={"features": features, "label": [IntDecoder(), ToTensor(), Squeeze(1)]},
        )


@dataclass(frozen=True, slots=True)
class _Decoded:
    """The pictures as ffcv's writer wants them: `(height, width, 3) uint8` and a label. It encodes them anew."""

    pictures: Pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return np.asarray(Image.open(self.pictures.paths[index])), label(index)


# --- all of them ------------------------------------------------------------------------------------------------------

_RATES = ("W1", "W1-listed", "W1-arrays", "W2", "W2-fused", "W2-turbo", "W3")
_ALL_BUT_MEMORY = (*_RATES, "slow", "start", "epoch")
_WITHOUT_GETITEMS = ("W1", "W2", "W2-fused", "W2-turbo", "W3", "slow", "start", "epoch")

ENGINES = {
    engine.name: engine
    for engine in (
        Engine(TORCH, "torch", _torch),
        Engine("torch-inline", "torch, no workers", partial(_torch, inline=True), only=(*_RATES, "slow")),
        Engine("ours", "Loaderscope", _ours),
        Engine("ours-recorded", "Loaderscope, recorded", partial(_ours, recorded=True), only=_ALL_BUT_MEMORY),
        Engine("ours-threads", "Loaderscope threads", partial(_ours, method="thread"), only=_ALL_BUT_MEMORY),
        Engine(
            "ours-threads-recorded",
            "Loaderscope threads, recorded",
            partial(_ours, method="thread", recorded=True),
            only=_RATES,
        ),
        Engine("ours-inline", "Loaderscope, no workers", partial(_ours, method="inline"), only=(*_RATES, "slow")),
        Engine(
            "ours-inline-recorded",
            "Loaderscope, no workers, recorded",
            partial(_ours, method="inline", recorded=True),
            only=_RATES,
        ),
        Engine("stateful", "torchdata StatefulDataLoader", _stateful, ("torchdata",), only=_ALL_BUT_MEMORY),
        Engine(
            "nodes-threads",
            "torchdata.nodes threads",
            partial(_nodes, method="thread"),
            ("torchdata",),
            only=_ALL_BUT_MEMORY,
        ),
        Engine(
            "nodes-processes",
            "torchdata.nodes processes",
            partial(_nodes, method="process"),
            ("torchdata",),
            only=_ALL_BUT_MEMORY,
        ),
        Engine("spdl-threads", "SPDL threads", _spdl_threads, ("spdl.pipeline",), only=_ALL_BUT_MEMORY),
        Engine(
            "spdl-subprocess",
            "SPDL, threads in a subprocess, arena",
            _spdl_subprocess,
            ("spdl.pipeline",),
            only=_ALL_BUT_MEMORY,
        ),
        Engine(
            "grain-threads",
            "Grain threads",
            partial(_grain, processes=False),
            ("grain",),
            "batches of numpy arrays",
            only=_WITHOUT_GETITEMS,
        ),
        Engine(
            "grain-processes",
            "Grain processes",
            partial(_grain, processes=True),
            ("grain",),
            "batches of numpy arrays",
            only=_WITHOUT_GETITEMS,
        ),
        Engine(
            "tf-arrays",
            "tf.data",
            _tensorflow_arrays,
            ("tensorflow",),
            "slices of arrays in C++, no Python data set",
            only=("W1-arrays",),
        ),
        Engine(
            "tf-pictures",
            "tf.data",
            _tensorflow_pictures,
            ("tensorflow",),
            "its own decoder and filter, no Python",
            own_pixels=True,
            only=("W2-turbo",),
        ),
        Engine(
            "dali",
            "DALI on the CPU",
            _dali,
            ("nvidia.dali",),
            "its own decoder and filter, no Python",
            own_pixels=True,
            only=("W2-turbo",),
        ),
        Engine(
            "ffcv",
            "ffcv",
            _ffcv,
            ("ffcv",),
            "its own file format, written beforehand (pictures at quality 90); compiled, no Python data set",
            own_pixels=True,
            only=("W1-arrays", "W2-turbo"),
        ),
    )
}
