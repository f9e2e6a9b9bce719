"""The ladder below a DataLoader: each rung does what the built-in or torch's thing of that name does."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.engine.iteration import Enumerate, PlainLoader, enumerate_lazily, fibonacci
from loader_core.errors import SettingsError
from loader_core.trace.event import Kind, Role
from loader_core.trace.recorder import Recorder
from loader_core.trace.segment import SegmentReader


@given(st.lists(st.text()), st.integers(-5, 5))
def test_all_three_enumerates_agree(values: list[str], start: int) -> None:
    expected = list(enumerate(values, start))
    assert list(Enumerate(values, start)) == expected
    assert list(enumerate_lazily(values, start)) == expected


def test_an_iterable_gives_independent_iterators_and_an_iterator_gives_itself() -> None:
    letters = Enumerate("abc")
    one, other = iter(letters), iter(letters)
    assert next(one) == (0, "a")
    assert next(one) == (1, "b")
    assert next(other) == (0, "a")
    assert iter(one) is one
    assert list(letters) == [(0, "a"), (1, "b"), (2, "c")]


@pytest.mark.parametrize("enumerated", [Enumerate, enumerate_lazily])
def test_enumerate_takes_what_has_no_length_and_asks_only_when_asked(enumerated: type[Enumerate[int]]) -> None:
    asked = []

    def endless() -> Iterator[int]:
        for number in itertools.count(10):
            asked.append(number)
            yield number

    walk = iter(enumerated(endless()))
    assert asked == []
    assert [next(walk), next(walk)] == [(0, 10), (1, 11)]
    assert asked == [10, 11]


def test_an_exhausted_iterator_stays_exhausted() -> None:
    walk = iter(Enumerate("a"))
    next(walk)
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(walk)


def test_fibonacci_has_no_end_and_starts_anew_each_time() -> None:
    assert list(itertools.islice(fibonacci(), 10)) == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]
    thousandth = next(itertools.islice(fibonacci(), 1000, None))
    assert len(str(thousandth)) == 209
    assert next(fibonacci()) == 0


@given(st.lists(st.integers(), max_size=60), st.integers(1, 20), st.booleans(), st.integers(0, 99))
def test_each_sample_comes_exactly_once_per_epoch(dataset: list[int], size: int, shuffle: bool, seed: int) -> None:
    loader = PlainLoader(dataset, size, shuffle=shuffle, seed=seed)
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader) == math.ceil(len(dataset) / size)
        assert all(len(batch) == size for batch in batches[:-1])
        drawn = [sample for batch in batches for sample in batch]
        assert sorted(drawn) == sorted(dataset)
        assert shuffle or drawn == dataset


def test_shuffling_touches_neither_the_dataset_nor_the_global_generator() -> None:
    dataset = list(range(50))
    random.seed(3)
    before = random.getstate()
    first, second = (list(itertools.chain(*PlainLoader(dataset, 7, shuffle=True, seed=seed))) for seed in (1, 2))
    assert dataset == list(range(50))
    assert random.getstate() == before
    assert first != second != dataset


def test_the_same_seed_gives_the_same_epochs_and_each_epoch_its_own_order() -> None:
    def epochs() -> list[list[list[int]]]:
        loader = PlainLoader(range(30), 4, shuffle=True, seed=8)
        return [list(loader) for _ in range(3)]

    one, other = epochs(), epochs()
    assert one == other
    assert one[0] != one[1] != one[2]


def test_two_walks_at_once_do_not_disturb_each_other() -> None:
    loader = PlainLoader(range(20), 5, shuffle=True, seed=1)
    alone = list(PlainLoader(range(20), 5, shuffle=True, seed=1))
    one, other = iter(loader), iter(loader)
    mixed = [batch for pair in zip(one, other, strict=True) for batch in pair]
    assert mixed[::2] == alone
    assert sorted(itertools.chain(*mixed[1::2])) == list(range(20))


@pytest.mark.parametrize("size", [0, -3])
def test_a_batch_of_nothing_is_refused(size: int) -> None:
    with pytest.raises(SettingsError, match=f"batch_size is {size}, but a batch holds at least one sample"):
        PlainLoader([1, 2], size)


def recorded(directory: Path) -> np.ndarray:
    (segment,) = directory.glob("*.events")
    return SegmentReader(segment).take()


def test_a_plain_loader_records_what_it_draws_and_fetches(tmp_path: Path) -> None:
    record = Recorder(tmp_path, role=Role.MAIN)
    loader = PlainLoader("abcde", 2, record=record)
    list(loader)
    list(loader)
    record.close()
    rows = recorded(tmp_path)
    draws = rows[rows["kind"] == Kind.DRAW]
    assert draws["value"].tolist() == [2, 2, 1] * 2
    assert draws["epoch"].tolist() == [0, 0, 0, 1, 1, 1]
    items = rows[(rows["kind"] == Kind.ITEM) & (rows["epoch"] == 1)]
    assert items["sample"].tolist() == [0, 1, 2, 3, 4]
    assert items["batch"].tolist() == [0, 0, 1, 1, 2]
    fetches = rows[rows["kind"] == Kind.FETCH]
    assert fetches["batch"].tolist() == [0, 1, 2] * 2
    assert (np.diff(rows["end"]) >= 0).all()


@pytest.mark.parametrize("rung", ["iterator", "generator", "fibonacci"])
def test_each_rung_records_the_values_it_was_asked_for(tmp_path: Path, rung: str) -> None:
    record = Recorder(tmp_path, role=Role.MAIN)
    walks = {
        "iterator": iter(Enumerate("abcdef", record=record)),
        "generator": enumerate_lazily("abcdef", record=record),
        "fibonacci": fibonacci(record=record),
    }
    list(itertools.islice(walks[rung], 3))
    record.close()
    rows = recorded(tmp_path)
    assert rows["sample"][rows["kind"] == Kind.ITEM].tolist() == [0, 1, 2]
