"""What a run can load: the workloads that come with us, and the user's own.

`entries` lists them without importing torch, for a server; `build` makes one, in the process of the run. An id is
opaque: it names an entry of this list and never a path, so no client can reach a file that the command line did not
name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from loader_core.diagnose.bilingual import Bilingual
from loader_core.errors import DatasetError, SettingsError
from loader_core.scenarios import folder, photographs, sources
from loader_core.scenarios.dials import Dials

if TYPE_CHECKING:
    import torch

    from loader_core.scenarios.training import Training
    from loader_core.trace.control import Control

Kind = Literal["images", "text", "table", "array"]

MOST_ARRAYS = 32
"""`.npy` files of one directory that become entries; a directory with more is refused."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A dataset with what belongs to it, made for one run."""

    dataset: Any
    """Map-style: `len()` and `[index]`."""
    kind: Kind
    classes: list[str]
    """Names of the labels, by number; empty where samples have none."""
    pad: Callable[[Sequence[Any]], Any] | None = None
    """The collate function for samples that differ in length; None where they do not."""

    def collate_fn(self, collate: Literal["default", "pad"]) -> Callable[[Sequence[Any]], Any] | None:
        """What to give a DataLoader as `collate_fn`. Raises SettingsError where `collate` does not fit the samples."""
        if collate == "default" and self.pad is not None:
            raise SettingsError(
                "these samples differ in length, so the default collate cannot stack them into one tensor: "
                "use collate 'pad', which fills the shorter ones up"
            )
        if collate == "pad" and self.pad is None:
            raise SettingsError("these samples are all of one shape, there is nothing to pad: use collate 'default'")
        return self.pad

    def training(self, *, seed: int, device: torch.device | str = "cpu") -> Training:
        """A model that learns the classes of this workload. Raises SettingsError where samples have no labels."""
        if self.kind == "array":
            raise SettingsError("these samples have no labels to learn: use consumer 'step' or 'none'")
        from loader_core.scenarios.training import make_training

        return make_training(self.kind, classes=len(self.classes), seed=seed, device=device)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the catalogue."""

    id: str
    title: Bilingual
    about: Bilingual
    kind: Kind
    make: Callable[[Choices], Workload]
    samples: int | None = None
    """How many; None where they are counted only when the workload is built."""
    nbytes: int | None = None
    """Size of the files; None where there are none, or not yet."""

    @property
    def needs_pad(self) -> bool:
        """Samples differ in length."""
        return self.kind == "text"

    @property
    def trains(self) -> bool:
        """Samples have labels to learn."""
        return self.kind != "array"


@dataclass(frozen=True, slots=True)
class Choices:
    """What a run chooses about its samples."""

    image_size: int
    augment: bool
    dials: Dials


def entries(roots: Sequence[Path] = ()) -> list[Entry]:
    """Everything there is to load, ours first, then what each of the user's `roots` holds.

    A root is a directory or a file. Raises DatasetError for one that is missing or holds nothing of use.
    """
    return list(_entries(roots))


def build(
    identifier: str,
    *,
    roots: Sequence[Path] = (),
    image_size: int = 160,
    augment: bool = True,
    control: Control | None = None,
) -> Workload:
    """The workload with this id, its samples slowed as the `control` page says.

    Raises SettingsError for an id that is not in the catalogue, and DatasetError where the samples cannot be read.
    """
    known = []
    for entry in _entries(roots):
        if entry.id == identifier:
            return entry.make(Choices(image_size, augment, Dials(control)))
        known.append(entry.id)
    raise SettingsError(f"there is no dataset {identifier!r}; there are {', '.join(known)}")


def _entries(roots: Sequence[Path]) -> Iterator[Entry]:
    """Lazily: a run of ours need not search the user's folders."""
    yield from _ours()
    for root in roots:
        yield from _of_root(root.resolve())


# --- ours -------------------------------------------------------------------------------------------------------------


def _ours() -> Iterator[Entry]:
    """Each is made when it is asked for: a run of the first need not read the others to count them."""
    yield Entry(
        "photographs",
        Bilingual("Fotografías", "Photographs"),
        Bilingual(
            f"{photographs.TOTAL} recortes JPEG de {len(photographs.NAMES)} fotografías, de tamaño y calidad "
            "distintos. Cada uno se lee del disco, se decodifica y se transforma.",
            f"{photographs.TOTAL} JPEG crops of {len(photographs.NAMES)} photographs, of differing size and "
            "quality. Each is read from disk, decoded and transformed.",
        ),
        "images",
        _photographs,
        samples=photographs.TOTAL,
        nbytes=photographs.cached_nbytes(),
    )
    paragraphs, _, _ = sources.topic_paragraphs()
    yield Entry(
        "help",
        Bilingual("Ayuda de Python", "Python's help"),
        Bilingual(
            "Los párrafos de la ayuda que trae Python, como secuencias de tokens de longitud distinta: hay que "
            "rellenarlas para formar un lote.",
            "The paragraphs of the help that comes with Python, as sequences of tokens that differ in length: "
            "they must be padded to form a batch.",
        ),
        "text",
        _help,
        samples=len(paragraphs),
        nbytes=sum(map(len, paragraphs)),
    )
    rows, nbytes = _size_of_table()
    yield Entry(
        "gapminder",
        Bilingual("Tabla Gapminder", "Gapminder table"),
        Bilingual(
            "Filas de una tabla en memoria: muestras diminutas, en las que cuenta el trabajo del propio cargador.",
            "Rows of a table in memory: tiny samples, where the loader's own work is what counts.",
        ),
        "table",
        _gapminder,
        samples=rows,
        nbytes=nbytes,
    )


def _size_of_table() -> tuple[int, int] | tuple[None, None]:
    """Rows and bytes; nothing is known of it where plotly is not installed, and only a run that wants it fails."""
    try:
        path = sources.table_path()
    except DatasetError:
        return None, None
    return len(sources.table_rows(path)[0]), path.stat().st_size


def _photographs(choices: Choices) -> Workload:
    directory, crops = photographs.crops()
    return _image_files(
        [directory / crop.file for crop in crops], [crop.label for crop in crops], list(photographs.NAMES), choices
    )


def _help(choices: Choices) -> Workload:
    from loader_core.scenarios.text import HelpTopics, pad_collate

    dataset = HelpTopics(dials=choices.dials)
    return Workload(dataset, "text", dataset.classes, pad_collate)


def _gapminder(choices: Choices) -> Workload:
    from loader_core.scenarios.table import Gapminder

    dataset = Gapminder(dials=choices.dials)
    return Workload(dataset, "table", dataset.classes)


# --- the user's -------------------------------------------------------------------------------------------------------


def _of_root(root: Path) -> Iterator[Entry]:
    contents = folder.look(root)
    if contents.images:
        yield _images_of(root, contents.images)
    if contents.texts:
        yield _texts_of(root, contents.texts)
    if len(contents.arrays) > MOST_ARRAYS:
        raise DatasetError(
            f"{root} holds {len(contents.arrays)} .npy files, more than the {MOST_ARRAYS} that are listed: "
            "name the files themselves"
        )
    for found in contents.arrays:
        yield _array_of(found)


def _images_of(root: Path, images: list[folder.Found]) -> Entry:
    def make(choices: Choices) -> Workload:
        paths = [found.path for found in images]
        labels, classes = folder.label_by_folder(root, paths)
        return _image_files(paths, labels, classes, choices)

    return Entry(
        _opaque("images", root),
        Bilingual(f"Imágenes de {root.name}", f"Images of {root.name}"),
        Bilingual(
            f"{len(images):,} imágenes propias; la clase de cada una es la carpeta en que está.",
            f"{len(images):,} images of your own; the class of each is the folder that it is in.",
        ),
        "images",
        make,
        samples=len(images),
        nbytes=sum(found.nbytes for found in images),
    )


def _texts_of(root: Path, texts: list[folder.Found]) -> Entry:
    def make(choices: Choices) -> Workload:
        from loader_core.scenarios.text import TextLines, pad_collate

        paths = [found.path for found in texts]
        labels, classes = folder.label_by_folder(root, paths)
        return Workload(TextLines(paths, labels, dials=choices.dials), "text", classes, pad_collate)

    return Entry(
        _opaque("text", root),
        Bilingual(f"Texto de {root.name}", f"Text of {root.name}"),
        Bilingual(
            f"Las líneas de {len(texts):,} archivos de texto propios, como secuencias de tokens.",
            f"The lines of {len(texts):,} text files of your own, as sequences of tokens.",
        ),
        "text",
        make,
        nbytes=sum(found.nbytes for found in texts),
    )


def _array_of(found: folder.Found) -> Entry:
    def make(choices: Choices) -> Workload:
        from loader_core.scenarios.arrays import ArrayRows

        return Workload(ArrayRows(found.path, dials=choices.dials), "array", [])

    return Entry(
        _opaque("array", found.path),
        Bilingual(f"Matriz {found.path.name}", f"Array {found.path.name}"),
        Bilingual(
            "Un archivo .npy propio, leído por partes: una muestra por cada entrada de su primer eje.",
            "A .npy file of your own, read piece by piece: a sample per entry of its first axis.",
        ),
        "array",
        make,
        nbytes=found.nbytes,
    )


def _image_files(paths: list[Path], labels: list[int], classes: list[str], choices: Choices) -> Workload:
    from loader_core.scenarios.images import ImageFiles, Transform

    transform = Transform(choices.image_size, choices.augment)
    return Workload(ImageFiles(paths, labels, transform=transform, dials=choices.dials), "images", classes)


def _opaque(kind: Kind, path: Path) -> str:
    """The same id for the same path in each process, from which the path cannot be read."""
    return f"{kind}-{sha256(str(path).encode()).hexdigest()[:12]}"
