"""The linter: a finding for each fault, and none for what is as it should be."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from loader_core.diagnose.bilingual import Bilingual
from loader_core.diagnose.diagnosis import examine
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.findings import LintFinding
from loader_core.diagnose.memory import Limits
from loader_core.diagnose.rows import Rows
from loader_core.trace.event import NO_BATCH, Kind
from loader_core.trace.facts import Fact
from tests.diagnose.rows import FIRST_WORKER, row, rows_of
from tests.diagnose.simulated import MS, Loader, excerpt_of, lanes_of, marks

MIB = 1 << 20


def lint(*facts: Fact, rows: Rows | None = None, limits: Limits = Limits(), **more: Any) -> list[LintFinding]:  # noqa: B008
    excerpt = excerpt_of(rows_of() if rows is None else rows, **more)
    return examine(excerpt, Facts.of(list(facts)), limits).findings


def only(findings: list[LintFinding]) -> LintFinding:
    (finding,) = findings
    for text in (finding.sentence, finding.seen, finding.advice, *(number.name for number in finding.evidence)):
        assert text.es
        assert text.en
        assert text.es != text.en
        assert not re.search(r"[{}]", text.es + text.en)
    return finding


def dataset(length: int | None = 1_000, **more: Any) -> Fact:
    said = {"sampler": "MySampler", "batch_size": 32, "drop_last": False, "iterable": False, "world_size": 1}
    return {"kind": "dataset", "length": length, "type": "D", **said, **more}


def epoch_of(indices: list[int], epoch: int = 0, *, complete: bool = True) -> Fact:
    drawn = {
        "drawn": len(indices),
        "distinct": len(set(indices)),
        "first": indices[:8],
        "digest": str(hash(tuple(indices))),
    }
    return {"kind": "epoch", "epoch": epoch, "complete": complete, **drawn}


# --- indices ----------------------------------------------------------------------------------------------------------


def test_an_index_drawn_again_in_place_of_another_is_found() -> None:
    finding = only(lint(dataset(), epoch_of([*range(990), *range(10)])))
    assert (finding.code, finding.level, finding.epoch) == ("DUPLICATED_INDEX", "warning", 0)
    assert finding.sentence.en == (
        "In epoch 0 the sampler drew 1,000 indices, 10 of them again: only 990 distinct samples, and the others never "
        "came."
    )
    assert finding.seen.en == "by counting the indices that MySampler drew in epoch 0"


def test_the_last_samples_left_out_are_found() -> None:
    finding = only(lint(dataset(), epoch_of(list(range(999)))))
    assert (finding.code, finding.level) == ("MISSING_INDEX", "note")
    assert finding.sentence.en == "Epoch 0 left out 1 of 1,000 samples: 999 came."


def test_drop_last_without_a_shuffle_always_leaves_out_the_same() -> None:
    said = dataset(length=1_000, drop_last=True, sampler="SequentialSampler")
    finding = only(lint(said, epoch_of(list(range(992)))))
    assert finding.code == "MISSING_INDEX"
    assert finding.advice.en.startswith("drop_last=True without a shuffle")
    shuffled = np.random.default_rng(0).permutation(1_000)[:992].tolist()
    assert lint(dataset(length=1_000, drop_last=True, sampler="RandomSampler"), epoch_of(shuffled)) == []


@pytest.mark.parametrize(
    "facts",
    [
        [dataset(), epoch_of(list(range(500)), complete=False)],
        [dataset(), epoch_of(list(range(800)))],
        [dataset(sampler="WeightedRandomSampler"), epoch_of([1] * 1_000)],
        [dataset(replacement=True), epoch_of([1] * 1_000)],
        [dataset(weighted=True), epoch_of([1] * 1_000)],
        [dataset(), epoch_of([*range(1_000), *range(500)])],
        [dataset(length=None), epoch_of([1, 1, 1])],
        [dataset(), {**epoch_of(list(range(1_000))), "distinct": None}],
        [epoch_of([1, 1, 1])],
        [],
    ],
    ids=[
        "left early",
        "a subset",
        "weighted",
        "replacement",
        "weights",
        "oversampled",
        "no length",
        "unknown",
        "no",
        "none",
    ],
)
def test_what_a_sampler_means_to_do_is_no_finding(facts: list[Fact]) -> None:
    assert lint(*facts) == []


def facts_of(sampler: Sampler[int], length: int, *, batch_size: int, drop_last: bool, epochs: int) -> list[Fact]:
    """What an observer notes of a sampler that is asked for whole epochs, and told each epoch if it wants to be."""
    said = dataset(
        length,
        sampler=type(sampler).__name__,
        batch_size=batch_size,
        drop_last=drop_last,
        world_size=getattr(sampler, "num_replicas", 1),
        replacement=getattr(sampler, "replacement", False),
        weighted=hasattr(sampler, "weights"),
        shuffle=getattr(sampler, "shuffle", "Random" in type(sampler).__name__),
        has_set_epoch=hasattr(sampler, "set_epoch"),
    )
    facts = [said]
    for epoch in range(epochs):
        if isinstance(sampler, DistributedSampler):
            sampler.set_epoch(epoch)
            if epoch:
                facts.append({"kind": "set_epoch", "epoch": epoch})
        drawn = [index for batch in BatchSampler(sampler, batch_size, drop_last) for index in batch]
        facts.append(epoch_of(drawn, epoch))
    return facts


@st.composite
def torch_samplers(draw: st.DrawFn) -> tuple[Sampler[int], int]:
    length = draw(st.integers(1, 300))
    ranks = draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1_000)))
    indices = range(length)
    samplers: list[Sampler[int]] = [
        RandomSampler(indices, generator=generator),
        RandomSampler(indices, replacement=True, generator=generator),
        SequentialSampler(indices),
        SubsetRandomSampler(list(indices[: max(1, length // 2)]), generator=generator),
        WeightedRandomSampler([1.0] * length, length, generator=generator),
        DistributedSampler(
            indices, num_replicas=ranks, rank=draw(st.integers(0, ranks - 1)), shuffle=draw(st.booleans())
        ),
    ]
    return draw(st.sampled_from(samplers)), length


@given(torch_samplers(), st.integers(1, 40), st.integers(1, 3))
def test_torch_s_samplers_used_as_they_should_be_are_never_found_fault_with(
    made: tuple[Sampler[int], int], batch_size: int, epochs: int
) -> None:
    sampler, length = made
    assert lint(*facts_of(sampler, length, batch_size=batch_size, drop_last=False, epochs=epochs)) == []
    shuffled = facts_of(sampler, length, batch_size=batch_size, drop_last=True, epochs=epochs)
    findings = lint(*shuffled)
    # With drop_last only an order that is the same each time leaves the same samples out.
    assert {finding.code for finding in findings} <= {"MISSING_INDEX"}
    if not isinstance(sampler, SequentialSampler | DistributedSampler) and length > 20:
        assert findings == []


# --- set_epoch --------------------------------------------------------------------------------------------------------

SHUFFLED = [5, 2, 9, 1, 7, 0, 3, 8]


def distributed(**more: Any) -> Fact:
    said = {"sampler": "DistributedSampler", "shuffle": True, "has_set_epoch": True, "world_size": 2}
    return dataset(16, **{**said, **more})


def test_two_epochs_in_one_order_are_a_forgotten_set_epoch() -> None:
    finding = only(lint(distributed(), epoch_of(SHUFFLED, 0), epoch_of(SHUFFLED, 1)))
    assert (finding.code, finding.level, finding.epoch) == ("NO_SET_EPOCH", "error", 1)
    assert "the same 8 indices in the same order, because nobody called set_epoch" in finding.sentence.en
    assert "loader.sampler.set_epoch(epoch)" in finding.advice.en


@pytest.mark.parametrize(
    "facts",
    [
        [distributed(), epoch_of(SHUFFLED, 0)],
        [distributed(), epoch_of(SHUFFLED, 0), epoch_of(SHUFFLED[::-1], 1)],
        [distributed(), epoch_of(SHUFFLED, 0), epoch_of(SHUFFLED, 1, complete=False)],
        [distributed(), {"kind": "set_epoch", "epoch": 1}, epoch_of(SHUFFLED, 0), epoch_of(SHUFFLED, 1)],
        [distributed(shuffle=False), epoch_of(SHUFFLED, 0), epoch_of(SHUFFLED, 1)],
        [distributed(), epoch_of(sorted(SHUFFLED), 0), epoch_of(sorted(SHUFFLED), 1)],
        [dataset(16, sampler="LengthSorted"), epoch_of(SHUFFLED, 0), epoch_of(SHUFFLED, 1)],
        [distributed(), epoch_of([1, 0], 0), epoch_of([1, 0], 1)],
    ],
    ids=["one epoch", "differs", "left early", "told", "no shuffle", "in order", "sorted", "too short"],
)
def test_other_orders_are_no_forgotten_set_epoch(facts: list[Fact]) -> None:
    assert [finding for finding in lint(*facts) if finding.code == "NO_SET_EPOCH"] == []


# --- random streams ---------------------------------------------------------------------------------------------------


def seed(worker: int, when: str, epoch: int = 0, **states: str) -> Fact:
    return {"kind": "worker_seed", "worker": worker, "epoch": epoch, "when": when, **states}


def test_workers_that_draw_alike_are_found_for_certain() -> None:
    facts = [
        seed(worker, when, numpy=when, torch=f"{worker}{when}")
        for worker in range(3)
        for when in ("start", "first_batch")
    ]
    finding = only(lint(*facts))
    assert (finding.code, finding.level, finding.workers, finding.epoch) == (
        "SAME_RANDOM_STREAM",
        "error",
        [0, 1, 2],
        0,
    )
    assert (
        finding.sentence.en
        == "3 workers (0, 1 and 2) draw the same random numbers from numpy: their augmentations repeat."
    )
    assert "3 workers (0, 1 y 2)" in finding.sentence.es


def test_workers_that_began_alike_and_used_it_differently_are_a_warning() -> None:
    facts = [seed(0, "start", numpy="a"), seed(1, "start", numpy="a")]
    used = [seed(0, "first_batch", numpy="b"), seed(1, "first_batch", numpy="c")]
    assert only(lint(*facts, *used)).level == "warning"
    own = [{**fact, "own": fact["numpy"], "numpy": ""} for fact in (*facts, *used)]
    assert lint(*own) == [], "the dataset may seed its own generator for each sample"


def test_a_generator_that_was_copied_into_each_worker_is_found() -> None:
    facts = [seed(worker, when, own=when) for worker in range(2) for when in ("start", "first_batch")]
    finding = only(lint(*facts))
    assert "the dataset's own generator" in finding.sentence.en
    assert "made in __init__" in finding.advice.en


@pytest.mark.parametrize(
    "facts",
    [
        [seed(0, "start", numpy="a"), seed(1, "start", numpy="a")],
        [seed(worker, when, numpy="a") for worker in range(2) for when in ("start", "first_batch")],
        [seed(worker, when, numpy=f"{worker}{when}") for worker in range(4) for when in ("start", "first_batch")],
        [seed(0, when, epoch, numpy=when) for epoch in range(3) for when in ("start", "first_batch")],
        [seed(worker, when, worker, numpy=when) for worker in range(3) for when in ("start", "first_batch")],
    ],
    ids=["not used yet", "never used", "differ", "one worker", "other epochs"],
)
def test_random_states_that_harm_nobody_are_no_finding(facts: list[Fact]) -> None:
    assert lint(*facts) == []


# --- streams ----------------------------------------------------------------------------------------------------------


def stream(worker: int, first: list[str], epoch: int = 0) -> Fact:
    return {"kind": "stream", "worker": worker, "epoch": epoch, "first": first}


def test_a_stream_that_each_worker_begins_anew_is_found() -> None:
    finding = only(lint(*(stream(worker, ["a", "b", "c"]) for worker in range(4))))
    assert (finding.code, finding.level, finding.workers) == ("REPEATED_STREAM", "error", [0, 1, 2, 3])
    assert "each sample comes 4 times" in finding.sentence.en
    assert finding.seen.en == "the first 3 samples of each were the same, byte for byte (epoch 0)"


@pytest.mark.parametrize(
    "facts",
    [
        [stream(0, ["a", "b"]), stream(1, ["c", "d"])],
        [stream(0, ["a", "a", "a"]), stream(1, ["a", "a", "a"])],
        [stream(0, ["a"]), stream(1, ["a"])],
        [stream(0, ["a", "b"]), stream(1, [])],
        [stream(0, ["a", "b"])],
        [stream(0, ["a", "b"], 0), stream(1, ["a", "b"], 1)],
    ],
    ids=["divided", "all samples alike", "one sample", "no sample", "one worker", "other epochs"],
)
def test_streams_that_may_well_be_divided_are_no_finding(facts: list[Fact]) -> None:
    assert lint(*facts) == []


# --- workers without work ---------------------------------------------------------------------------------------------


def with_an_idle_worker(*, busy: int, idle: int, batches: int = 12) -> Rows:
    rows = Loader(busy, [5 * MS] * batches).rows()
    end = int(rows["end"].max())
    waits = [row(Kind.WAIT_TASK, 0, end, lane=FIRST_WORKER + busy + number) for number in range(idle)]
    return np.concatenate([rows, rows_of(*waits)])


def test_workers_that_made_nothing_in_a_whole_epoch_are_found() -> None:
    rows = with_an_idle_worker(busy=2, idle=2)
    finding = only(lint(dataset(None, iterable=True), rows=rows, workers=4))
    assert (finding.code, finding.level, finding.workers) == ("IDLE_WORKER", "warning", [2, 3])
    assert finding.sentence.en == ("2 of 4 workers (2 and 3) made no batch: the others made the 12 batches of epoch 0.")
    assert finding.advice.en == "The stream has fewer shards than workers: use num_workers=2, or more shards."
    assert only(lint(rows=rows, workers=4)).level == "note"


@given(st.integers(1, 4), st.integers(5, 30))
def test_workers_that_all_work_are_never_idle(workers: int, batches: int) -> None:
    rows = Loader(workers, [5 * MS] * max(batches, workers)).rows()
    assert lint(rows=rows, workers=workers) == []


def test_an_epoch_that_is_not_seen_whole_tells_of_no_idle_worker() -> None:
    rows = with_an_idle_worker(busy=2, idle=1)
    assert lint(rows=rows[rows["batch"] != 0], workers=3) == []
    assert lint(rows=rows[(rows["kind"] != Kind.WAIT_BATCH) | (rows["batch"] != NO_BATCH)], workers=3) == []
    assert lint(rows=rows, workers=3, lost=1) == []


def test_workers_of_another_loader_of_the_same_run_are_not_idle() -> None:
    """The run went on with two workers, after an epoch with three."""
    first = Loader(3, [5 * MS] * 9)
    rows = first.rows()
    second = Loader(2, [5 * MS] * 9, epoch=1, begin_ns=int(rows["end"].max()) + 100 * MS)
    assert lint(rows=np.concatenate([rows, second.rows()]), workers=3) == []


# --- batches, memory, descriptors -------------------------------------------------------------------------------------


def tensors(count: int) -> Rows:
    return rows_of(
        row(Kind.TENSORS, 5, lane=FIRST_WORKER, batch=0, value=count),
        row(Kind.SEND, 0, 40 * MS, lane=FIRST_WORKER, batch=0, value=1_000),
        row(Kind.RECEIVE, 40 * MS, 100 * MS, lane=0, batch=0, value=1_000),
    )


def test_batches_of_very_many_tensors_are_found_with_their_cost() -> None:
    fact = {"kind": "tensors", "worker": 0, "count": 10_000, "bytes": 80_000}
    finding = only(lint(fact, rows=tensors(10_000)))
    assert (finding.code, finding.level) == ("MANY_TENSORS", "warning")
    assert finding.sentence.en == (
        "Each batch is made of 10,000 tensors, of 8 B on average: each travels on its own, and to send and receive a "
        "batch takes 100 ms."
    )
    assert only(lint(rows=tensors(112))).level == "note"
    assert lint(rows=tensors(5)) == []


def test_many_tensors_cost_nothing_where_nothing_is_sent() -> None:
    excerpt = excerpt_of(tensors(10_000))
    threads = lanes_of(2)
    for lane in threads:
        lane.pids[:] = [100]
    alone = excerpt_of(tensors(10_000))
    object.__setattr__(alone, "lanes", threads)
    assert examine(alone, Facts.of([]), Limits()).findings == []
    assert examine(excerpt, Facts.of([]), Limits()).findings != []


def test_memory_that_grows_is_found_and_is_urgent_when_its_end_is_near() -> None:
    rows = marks(Kind.MEMORY, [(100 + 3 * i) * MIB for i in range(40)], every_ns=1_000 * MS)
    assert only(lint(rows=rows)).level == "note"
    finding = only(lint(rows=rows, limits=Limits(memory_available_bytes=3_000 * MIB)))
    assert (finding.code, finding.level, finding.workers) == ("MEMORY_GROWTH", "warning", [0])
    assert "will be used up in 16.7 min" in finding.sentence.en
    assert lint(rows=marks(Kind.MEMORY, [100 * MIB] * 40, every_ns=1_000 * MS)) == []


def test_descriptors_near_their_limit_are_found() -> None:
    rows = marks(Kind.FILES, [900] * 30, every_ns=1_000 * MS)
    finding = only(lint(rows=rows, limits=Limits(files=1_024)))
    assert (finding.code, finding.level, finding.workers) == ("FILES_NEAR_LIMIT", "warning", [0])
    assert lint(rows=rows, limits=Limits(files=65_536)) == []
    assert lint(rows=rows) == []


def faults(worker: int, *, batches: int = 40, pages: int = 900, system_ms: int = 1_500) -> Fact:
    """What a worker of 4 s of CPU time used, `pages` per sample of batches of 32."""
    used = {"faults": batches * 32 * pages, "cpu_ns": 4_000_000_000, "system_ns": system_ms * 1_000_000}
    return {"kind": "page_faults", "worker": worker, "batches": batches, **used}


def test_memory_that_comes_and_goes_with_each_sample() -> None:
    finding = only(lint(faults(0, batches=20), faults(0), faults(1)))
    assert (finding.code, finding.level, finding.workers) == ("PAGE_FAULTS", "note", [])
    assert finding.sentence.en.startswith(
        "38 % of the workers' CPU time is the kernel's, which gives them 28,800 pages"
    )
    assert finding.seen.en.endswith("(getrusage) in 2 workers over 80 batches"), "the latest of each counts"
    assert "MALLOC_MMAP_THRESHOLD_=33554432" in finding.advice.en


@pytest.mark.parametrize("few", [{"pages": 20}, {"system_ms": 400}])
def test_a_kernel_that_reads_files_or_hardly_works_is_no_allocator(few: dict[str, int]) -> None:
    assert lint(faults(0, **few), faults(1, **few)) == []


def test_the_worst_comes_first() -> None:
    found = lint(
        *(stream(worker, ["a", "b"]) for worker in range(2)),
        dataset(),
        epoch_of([*range(990), *range(10)]),
        rows=tensors(112),
    )
    assert [finding.level for finding in found] == ["error", "warning", "note"]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["kind", "epoch", "worker", "drawn", "first", "count", "length", "when"]),
            st.one_of(
                st.none(),
                st.integers(-5, 5),
                st.text(max_size=3),
                st.lists(st.integers(), max_size=3),
                st.sampled_from(["dataset", "epoch", "worker_seed", "stream", "tensors", "limits", "set_epoch"]),
            ),
            max_size=6,
        ),
        max_size=6,
    )
)
def test_damaged_facts_break_nothing(facts: list[Fact]) -> None:
    assert isinstance(lint(*facts), list)


def test_texts_are_bilingual() -> None:
    from loader_core.diagnose import linter_texts

    texts = {name: text for name, text in vars(linter_texts).items() if isinstance(text, Bilingual)}
    assert len(texts) > 30
    for name, text in texts.items():
        placeholders = [sorted(re.findall(r"{(\w+)}", one)) for one in (text.es, text.en)]
        assert sorted(set(placeholders[0])) == sorted(set(placeholders[1])), name
