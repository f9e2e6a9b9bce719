"""Each fault is really there: seen in what was recorded, and by no verdict."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loader_core.diagnose.verdict_types import Code
from loader_core.errors import RecordingError
from loader_core.scenarios.faults import (
    ENGINES,
    FAULTS,
    HEALTHY,
    STEP,
    STRENGTHS,
    THIN_WINDOWS,
    Case,
    Engine,
    Fault,
    fault_of,
    record,
)
from loader_core.scenarios.faults.waiting import STUCK_AT
from loader_core.trace import NO_BATCH, Flag, Kind, Role, Trace
from loader_core.trace.facts import read_facts

ALL = (*FAULTS, *HEALTHY, *THIN_WINDOWS)
LIGHT = ("service", "thin")
"""Faults that are recorded in every run of the tests, within a few seconds together; the others are `soak`."""


@dataclass
class Seen:
    """A recording, in numbers. Times in ms per batch."""

    directory: Path

    @cached_property
    def trace(self) -> Trace:
        return Trace.open(self.directory)

    @cached_property
    def rows(self) -> Any:
        return self.trace.window(-(1 << 62), 1 << 62)

    def of(self, kind: Kind) -> Any:
        return self.rows[self.rows["kind"] == kind]

    def mean(self, kind: Kind) -> float:
        rows = self.of(kind)
        return float((rows["end"] - rows["start"]).mean()) / 1e6 if len(rows) else 0.0

    @property
    def steps(self) -> int:
        return len(self.of(Kind.STEP))

    @property
    def wait_share(self) -> float:
        waits, steps = (self._total(kind) for kind in (Kind.WAIT_BATCH, Kind.STEP))
        return waits / (waits + steps)

    def _total(self, kind: Kind) -> float:
        rows = self.of(kind)
        return float((rows["end"] - rows["start"]).sum())

    @property
    def computing(self) -> float:
        """Of the time in FETCH, that which is CPU time."""
        return float(self.of(Kind.FETCH)["value"].sum()) / self._total(Kind.FETCH)

    @property
    def workers(self) -> int:
        return len([lane for lane in self.trace.lanes if lane.role is Role.WORKER])

    def stage(self, name: str) -> float:
        """Of the time in FETCH, that which is in this stage."""
        rows = self.of(Kind.STAGE)
        (number,) = (number for number, known in self.trace.stages.items() if known == name)
        own = rows[rows["value"] == number]
        return float((own["end"] - own["start"]).sum()) / self._total(Kind.FETCH)

    def ranks(self, kind: Kind) -> list[float]:
        """The mean of each rank, in ms."""
        rows = self.of(kind)
        by_lane = {lane.lane: lane.rank for lane in self.trace.lanes}
        ranks = np.array([by_lane[lane] for lane in rows["lane"].tolist()])
        took = rows["end"] - rows["start"]
        return [float(took[ranks == rank].mean()) / 1e6 for rank in (0, 1)]


def workers_compute(seen: Seen, case: Case) -> bool:
    return they_decode(seen) and seen.wait_share > 0.15 and seen.mean(Kind.FETCH) > 5 * seen.mean(Kind.COLLATE)


def they_decode(seen: Seen) -> bool:
    return seen.stage("decode") + seen.stage("transform") > 0.7


def one_worker(seen: Seen, case: Case) -> bool:
    return seen.workers == 1 and workers_compute(seen, case)


def a_crowd(seen: Seen, case: Case) -> bool:
    return seen.workers >= 6 and seen.computing < 0.6 and they_decode(seen)


def collate_computes(seen: Seen, case: Case) -> bool:
    return seen.mean(Kind.COLLATE) > 10 * seen.mean(Kind.FETCH) and seen.wait_share > 0.15


def a_huge_picture(seen: Seen, case: Case) -> bool:
    items = seen.of(Kind.ITEM)
    took = items["end"] - items["start"]
    huge = items["sample"] % 24 == 12
    return bool(took[huge].min() > 3 * np.median(took[~huge])) and took[huge].sum() > 0.4 * took.sum()


def storage_is_slow(seen: Seen, case: Case) -> bool:
    return seen.computing < 0.4 and seen.stage("read") > 0.8 and seen.workers == 8 and seen.wait_share > 0.15


def a_service_is_far(seen: Seen, case: Case) -> bool:
    return seen.computing < 0.3 and seen.stage("request") > 0.8 and seen.mean(Kind.FETCH) > 8 * 4


def a_slow_file_holds_others(seen: Seen, case: Case) -> bool:
    held = seen.of(Kind.HOLD)
    items = seen.of(Kind.ITEM)
    took = items["end"] - items["start"]
    slow = items["sample"] % 100 == 99
    return len(held) > 5 and bool(np.median(took[slow]) > 10 * np.median(took[~slow]))


def a_lock_is_held(seen: Seen, case: Case) -> bool:
    if case.engine == "ours":
        # Threads: together they compute no more than one core's worth, and the loop waits. Processes would compute on
        # more. Whether a thread waits for the lock inside a FETCH or before it is the host's business.
        made = seen.of(Kind.FETCH)
        cores = float(made["value"].sum()) / float(made["end"].max() - made["start"].min())
        return seen.workers >= 2 and cores < 1.1 and seen.wait_share > 0.05
    ready = seen.of(Kind.WAIT_BATCH)
    ready = ready[(ready["batch"] != NO_BATCH) & (ready["value"] > 0)]
    return len(ready) > 10 and float((ready["end"] - ready["start"]).mean()) > 4e6 > 1e6 * seen.mean(Kind.FETCH)


def the_sampler_is_slow(seen: Seen, case: Case) -> bool:
    return seen.mean(Kind.DRAW) > 0.7 * seen.mean(Kind.WAIT_BATCH) and seen.wait_share > 0.15


def the_start_is_slow(seen: Seen, case: Case) -> bool:
    waits = np.sort(seen.of(Kind.WAIT_BATCH), order="start")
    took = waits["end"] - waits["start"]
    return bool(took[0] > 0.6 * took.sum()) and took[0] > 300e6


def workers_are_made_anew(seen: Seen, case: Case) -> bool:
    starts = seen.of(Kind.START)
    workers = [lane.lane for lane in seen.trace.lanes if lane.role is Role.WORKER]
    epochs = len(np.unique(seen.of(Kind.STEP)["epoch"]))
    return epochs > 5 and int(np.isin(starts["lane"], workers).sum()) >= 4 * (epochs - 1)


def tensors_travel(seen: Seen, case: Case) -> bool:
    return seen.mean(Kind.RECEIVE) > 5 * (seen.mean(Kind.FETCH) + 0.1) and seen.wait_share > 0.15


def a_sample_never_comes(seen: Seen, case: Case) -> bool:
    waits = seen.of(Kind.WAIT_BATCH)
    last = waits[np.argmax(waits["end"])]
    return last["batch"] == NO_BATCH and last["end"] - last["start"] > 10e9 and seen.steps == STUCK_AT // 8


def pinning_is_slow(seen: Seen, case: Case) -> bool:
    made = seen.mean(Kind.FETCH) + seen.mean(Kind.COLLATE) + seen.mean(Kind.SEND)
    large = int(seen.of(Kind.PIN)["value"].min()) >= 24 << 20
    return large and seen.mean(Kind.PIN) > 3 * made and seen.wait_share > 0.15


def the_bus_is_slow(seen: Seen, case: Case) -> bool:
    copies = seen.of(Kind.COPY)
    simulated = bool((copies["flags"] & Flag.SIMULATED).all())
    return simulated and seen.mean(Kind.COPY) > 15 and int(copies["value"].min()) == 4 << 20


def memory_grows(seen: Seen, case: Case) -> bool:
    rows, workers = seen.of(Kind.MEMORY), [lane.lane for lane in seen.trace.lanes if lane.role is Role.WORKER]
    grown = [rows[rows["lane"] == lane]["value"] for lane in workers]
    return len(grown) == 2 and all(len(one) > 10 and one[-1] - one[len(one) // 2] > 1 << 20 for one in grown)


def files_run_out(seen: Seen, case: Case) -> bool:
    (limit,) = (fact["files"] for fact in read_facts(seen.directory) if fact["kind"] == "limits")
    return limit == 256 and int(seen.of(Kind.FILES)["value"].max()) > 0.8 * limit


def a_rank_is_late(seen: Seen, case: Case) -> bool:
    first, second = seen.ranks(Kind.FETCH)
    waited, late = seen.ranks(Kind.WAIT_BATCH)
    return second > 3 * first and late > 2 * waited


def nothing_is_wrong(seen: Seen, case: Case) -> bool:
    return seen.wait_share < 0.15


def too_few_steps(seen: Seen, case: Case) -> bool:
    return seen.steps == {"mild": 10, "clear": 4, "severe": 1}[case.strength]


THERE: dict[str, Callable[[Seen, Case], bool]] = {
    "decoding": workers_compute,
    "one-worker": one_worker,
    "crowd": a_crowd,
    "tokenising": collate_computes,
    "huge-picture": a_huge_picture,
    "disk": storage_is_slow,
    "service": a_service_is_far,
    "slow-file": a_slow_file_holds_others,
    "no-answer": a_sample_never_comes,
    "python-lock": a_lock_is_held,
    "bucketing": the_sampler_is_slow,
    "slow-start": the_start_is_slow,
    "short-epochs": workers_are_made_anew,
    "tiny-tensors": tensors_travel,
    "page-locking": pinning_is_slow,
    "slow-bus": the_bus_is_slow,
    "leak": memory_grows,
    "open-files": files_run_out,
    "skewed-shards": a_rank_is_late,
    **{fault.id: nothing_is_wrong for fault in HEALTHY},
    "thin": too_few_steps,
}


def check(case: Case, directory: Path) -> None:
    record(case, directory)
    seen = Seen(directory)
    assert seen.trace.run.state == ("stopped" if case.fault == "no-answer" else "finished")
    assert THERE[case.fault](seen, case), f"{case}: {seen.steps} steps, waits {seen.wait_share:.0%}"


# --- all of them ------------------------------------------------------------------------------------------------------


def test_there_is_a_fault_for_each_code() -> None:
    assert {fault.code for fault in ALL} == {code.value for code in Code}
    assert len(HEALTHY) >= 4
    assert {fault.id for fault in ALL} == set(THERE)
    assert len({fault.id for fault in ALL}) == len(ALL)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_has_all_strengths_and_says_which_engine_cannot_have_it(fault: Fault) -> None:
    assert fault.strengths == STRENGTHS
    assert set(fault.engines()) | set(fault.impossible) == set(ENGINES)
    assert fault.engines()
    for why in fault.impossible.values():
        assert why.en.endswith(".")
        assert why.es.endswith(".")
        assert why.es != why.en


def test_what_an_engine_cannot_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Our engine has no thread that page-locks"):
        fault_of("page-locking").case("mild", "ours", tmp_path)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LIGHT)
def test_it_is_really_there(name: str, engine: Engine, home: Path, tmp_path: Path) -> None:
    check(fault_of(name).case("clear", engine, tmp_path / "files"), tmp_path / "run")


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fault", ALL, ids=lambda fault: fault.id)
def test_it_is_really_there_at_each_strength(fault: Fault, engine: Engine, home: Path, tmp_path: Path) -> None:
    if engine in fault.impossible:
        pytest.skip(fault.impossible[engine].en)
    for strength in fault.strengths:
        check(fault.case(strength, engine, tmp_path / "files"), tmp_path / strength)


# --- recording --------------------------------------------------------------------------------------------------------


def test_a_recording_says_how_its_loader_was_made(home: Path, tmp_path: Path) -> None:
    case = fault_of("thin").case("severe", "ours", tmp_path / "files")
    record(case, tmp_path / "run", {"num_workers": 1, "prefetch_factor": 3, STEP: 0.05})
    header = json.loads((tmp_path / "run" / "run.json").read_text())
    assert header["name"] == "thin/severe/ours"
    loader = header["loader"]
    assert (loader["num_workers"], loader["prefetch_factor"], loader["batch_size"]) == (1, 3, 16)
    assert loader[STEP] == 0.05
    assert (loader["engine"], loader["worker_method"], loader["in_order"]) == ("ours", "process", True)


def test_a_process_that_fails_is_told_with_what_it_said(home: Path, tmp_path: Path) -> None:
    case = fault_of("thin").case("severe", "torch", tmp_path / "files")
    with pytest.raises(RecordingError, match=r"thin/severe/torch could not be recorded[\s\S]*num_workers"):
        record(case, tmp_path / "run", {"num_workers": -1})


def test_nothing_of_this_process_is_changed(home: Path, tmp_path: Path) -> None:
    threads, handler = threading.active_count(), signal.getsignal(signal.SIGCHLD)
    record(fault_of("thin").case("severe", "torch", tmp_path / "files"), tmp_path / "run")
    assert (threading.active_count(), signal.getsignal(signal.SIGCHLD)) == (threads, handler)
