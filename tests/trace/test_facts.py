from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loader_core.trace.facts import FILENAME, MAX_FACTS_BYTES, append_fact, read_facts


def test_facts_come_back_in_their_order(tmp_path: Path) -> None:
    facts = [{"kind": "set_epoch", "epoch": epoch} for epoch in range(5)]
    assert all(append_fact(tmp_path, fact) for fact in facts)
    assert read_facts(tmp_path) == facts


def test_a_run_without_facts_has_none(tmp_path: Path) -> None:
    assert read_facts(tmp_path) == []


def test_lines_of_several_threads_do_not_mix(tmp_path: Path) -> None:
    def add(worker: int) -> None:
        for number in range(50):
            assert append_fact(tmp_path, {"kind": "stream", "worker": worker, "number": number})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(8)))
    facts = read_facts(tmp_path)
    assert len(facts) == 400
    for worker in range(8):
        assert [fact["number"] for fact in facts if fact["worker"] == worker] == list(range(50))


def test_what_is_cut_short_or_foreign_is_passed_over(tmp_path: Path) -> None:
    append_fact(tmp_path, {"kind": "dataset", "length": 3})
    with (tmp_path / FILENAME).open("ab") as file:
        file.write(b'[1]\n{"no":"kind"}\n\xff\xfe\n{"kind":"epo')
    assert read_facts(tmp_path) == [{"kind": "dataset", "length": 3}]


def test_a_full_file_takes_no_more_and_keeps_what_it_has(tmp_path: Path) -> None:
    fact = {"kind": "epoch", "first": "x" * 100_000}
    kept = 0
    while append_fact(tmp_path, fact):
        kept += 1
    assert (tmp_path / FILENAME).stat().st_size <= MAX_FACTS_BYTES
    assert len(read_facts(tmp_path)) == kept == 10
    assert append_fact(tmp_path, {"kind": "set_epoch", "epoch": 1}), "a short one has room"


def test_a_directory_that_is_gone_keeps_nothing_and_raises_nothing(tmp_path: Path) -> None:
    assert append_fact(tmp_path / "gone", {"kind": "epoch"}) is False


def test_what_json_cannot_hold_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        append_fact(tmp_path, {"kind": "epoch", "first": {1}})
