"""Text as sequences of token ids that differ in length, and the collate function that such samples need.

Two sources: the topics of Python's own help (`pydoc_data`, part of each Python), and the user's text files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from loader_core.errors import DatasetError
from loader_core.scenarios.dials import Dials
from loader_core.scenarios.sources import topic_paragraphs
from loader_core.trace.stage import stage

VOCABULARY = 8192
"""Token ids are below this number. 0 is padding."""

LONGEST = 1024
"""Tokens of a sample; what a paragraph has beyond is cut off."""

MOST_BYTES = 2 * 2**30
"""Text that a directory may hold together; more is refused, because its lines are counted before the first batch."""

_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokenize(text: str) -> Tensor:
    """`(length,) int64` token ids, each in [1, VOCABULARY): words and single marks, lower case, by their hash.

    The hash is CRC-32, which is the same in each process and on each host, as Python's `hash` is not.
    """
    ids = [1 + crc32(token.encode()) % (VOCABULARY - 1) for token in _TOKEN.findall(text.lower())[:LONGEST]]
    return torch.tensor(ids, dtype=torch.int64)


def pad_collate(samples: Sequence[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """Samples of differing length -> `(B, longest) int64`, filled up with 0 behind each, and `(B,) int64` labels."""
    tokens = torch.nn.utils.rnn.pad_sequence([tokens for tokens, _ in samples], batch_first=True)
    return tokens, torch.tensor([label for _, label in samples], dtype=torch.int64)


class Texts(Dataset[tuple[Tensor, int]]):
    """Texts by number: `((length,) int64, label)`, where the length differs from sample to sample."""

    labels: Sequence[int]
    dials: Dials

    def read(self, index: int) -> bytes:
        """The UTF-8 text of sample `index`."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with stage("read"):
            encoded = self.read(index)
            self.dials.hold_back(index, len(encoded))
        with stage("tokenize"):
            tokens = tokenize(encoded.decode("utf-8", "replace"))
            self.dials.burn()
        return tokens, int(self.labels[index])


class HelpTopics(Texts):
    """The paragraphs of Python's help topics: which topic is this one from? They lie in memory."""

    def __init__(self, *, dials: Dials) -> None:
        self.paragraphs, self.labels, self.classes = topic_paragraphs()
        self.dials = dials

    def read(self, index: int) -> bytes:
        """The paragraph, encoded."""
        return self.paragraphs[index]


class TextLines(Texts):
    """The lines of the user's text files that are not blank, each read from its file when it is asked for.

    Raises DatasetError where the files have no such line, or more than `MOST_BYTES` together.
    """

    def __init__(self, paths: Sequence[Path], file_labels: Sequence[int], *, dials: Dials) -> None:
        self.paths = [str(path) for path in paths]
        self.dials = dials
        _check_size(paths)
        spans = [_lines(path) for path in paths]
        counts = [len(span) for span in spans]
        self.spans = np.concatenate(spans) if spans else np.empty((0, 2), np.int64)
        self.files = np.repeat(np.arange(len(paths)), counts)
        self.labels = np.repeat(np.asarray(file_labels, np.int64), counts).tolist()
        if not self.labels:
            raise DatasetError(f"no line with text in {len(paths)} files, the first of them {paths[0]}")

    def read(self, index: int) -> bytes:
        """The line, from its file."""
        start, end = self.spans[index].tolist()
        path = self.paths[self.files[index]]
        try:
            with Path(path).open("rb") as file:
                file.seek(start)
                return file.read(end - start)
        except OSError as error:
            raise DatasetError(f"cannot read {path}: {error.strerror}") from error


def _check_size(paths: Sequence[Path]) -> None:
    total = sum(path.stat().st_size for path in paths)
    if total > MOST_BYTES:
        raise DatasetError(
            f"{len(paths)} text files hold {total / 2**30:.1f} GiB, more than the {MOST_BYTES // 2**30} GiB that are "
            "indexed: name a smaller directory"
        )


def _lines(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """`(n, 2) int64` first byte and end of each line that is not blank."""
    spans, start = [], 0
    try:
        with path.open("rb") as file:
            for line in file:
                if not line.isspace():
                    spans.append((start, start + len(line)))
                start += len(line)
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error
    return np.array(spans, np.int64).reshape(-1, 2)
