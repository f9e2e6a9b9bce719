"""Text as samples of differing length."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import default_collate

from loader_core.errors import DatasetError
from loader_core.scenarios import text
from loader_core.scenarios.dials import Dials
from loader_core.scenarios.text import LONGEST, VOCABULARY, HelpTopics, TextLines, pad_collate, tokenize


@given(st.text())
def test_tokens_are_in_the_vocabulary_and_never_padding(words: str) -> None:
    tokens = tokenize(words)
    assert tokens.dtype == torch.int64
    assert len(tokens) <= LONGEST
    assert ((tokens > 0) & (tokens < VOCABULARY)).all()


def test_tokens_are_the_same_in_every_process() -> None:
    assert tokenize("Import this, import THAT.").tolist() == [6331, 6619, 2683, 6331, 84, 6381]


def test_padding_fills_up_behind(tmp_path: Path) -> None:
    tokens, labels = pad_collate([(torch.tensor([5, 6, 7]), 1), (torch.tensor([8]), 0), (torch.tensor([9, 9]), 3)])
    assert tokens.tolist() == [[5, 6, 7], [8, 0, 0], [9, 9, 0]]
    assert labels.tolist() == [1, 0, 3]


def test_the_help_topics_differ_in_length_so_only_padding_collates_them() -> None:
    dataset = HelpTopics(dials=Dials())
    assert len(dataset) > 2000
    assert len(dataset.classes) > 70
    samples = [dataset[index] for index in range(32)]
    assert len({len(tokens) for tokens, _ in samples}) > 5
    with pytest.raises(RuntimeError, match="equal size"):
        default_collate(samples)
    tokens, labels = pad_collate(samples)
    assert tokens.shape == (32, max(len(tokens) for tokens, _ in samples))
    assert dataset.classes[labels[0]] == min(dataset.classes)


def test_lines_are_read_from_their_own_place_in_their_own_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_bytes("primera línea\n\n   \nsecond\r\n".encode())
    other.write_bytes(b"third, without an end")
    dataset = TextLines([one, other], [4, 2], dials=Dials())
    assert len(dataset) == 3
    expected = [("primera línea", 4), ("second", 4), ("third, without an end", 2)]
    for index, (line, label) in enumerate(expected):
        tokens, its_label = dataset[index]
        assert tokens.tolist() == tokenize(line).tolist()
        assert its_label == label


def test_files_without_text_are_refused(tmp_path: Path) -> None:
    blank = tmp_path / "blank.txt"
    blank.write_text("\n \n")
    with pytest.raises(DatasetError, match=rf"no line with text in 1 files, the first of them {blank}"):
        TextLines([blank], [0], dials=Dials())


def test_too_much_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / "long.txt"
    with long.open("wb") as file:
        file.truncate(3 * 2**30)  # sparse: it takes no space
    with pytest.raises(DatasetError, match=r"1 text files hold 3\.0 GiB, more than the 2 GiB that are indexed"):
        TextLines([long], [0], dials=Dials())


def test_a_file_that_has_gone_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("words\n")
    dataset = text.TextLines([path], [0], dials=Dials())
    path.unlink()
    with pytest.raises(DatasetError, match=rf"cannot read {path}: No such file"):
        dataset[0]
