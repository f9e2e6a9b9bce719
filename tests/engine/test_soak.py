"""A thousand random kills, stops, breaks and resumes: nothing is lost, nothing comes twice, nothing hangs.

python3 run.py test -m soak tests/engine
"""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from loader_core.engine import DataLoader
from loader_core.engine.journey import MOST_DEATHS
from tests.engine.datasets import Numbers

SIZE, BATCH = 48, 4


class Abused(RuleBasedStateMachine):
    """One loader with process workers, and whatever may happen to it between two batches."""

    @initialize(in_order=st.booleans(), persistent=st.booleans(), prefetch=st.integers(1, 3))
    def make(self, in_order: bool, persistent: bool, prefetch: int) -> None:
        self.arguments: dict[str, Any] = {
            "in_order": in_order, "persistent_workers": persistent, "prefetch_factor": prefetch,
        }  # fmt: skip
        self.loader = self.fresh()
        self.batches: Any = None
        self.seen: list[int] = []
        self.kept: list[Any] = []
        self.kills = [0, 0]

    def fresh(self) -> DataLoader[Any]:
        return DataLoader(Numbers(SIZE), BATCH, num_workers=2, on_worker_death="restart", **self.arguments)

    @rule(count=st.integers(1, 6))
    def take(self, count: int) -> None:
        if self.batches is None:
            self.batches, self.seen, self.kills = iter(self.loader), [], [0, 0]
        for _ in range(count):
            batch = next(self.batches, None)
            if batch is None:
                assert sorted(self.seen) == list(range(SIZE))
                self.batches = None
                return
            self.seen += batch.tolist()

    @rule(worker=st.integers(0, 1))
    def kill(self, worker: int) -> None:
        # A third death at the same batch is taken to be the batch's doing, and raised.
        if self.batches is not None and self.kills[worker] < MOST_DEATHS - 1:
            self.kills[worker] += 1
            os.kill(self.batches.pids()[worker], signal.SIGKILL)

    @rule(worker=st.integers(0, 1))
    def stop_and_go(self, worker: int) -> None:
        if self.batches is not None:
            pid = self.batches.pids()[worker]
            os.kill(pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGCONT)

    @rule()
    def keep_one(self) -> None:
        if self.batches is not None and (batch := next(self.batches, None)) is not None:
            self.seen += batch.tolist()
            self.kept = [*self.kept[-5:], (batch, batch.tolist())]

    @rule()
    def break_off(self) -> None:
        self.batches = None

    @rule()
    def resume_elsewhere(self) -> None:
        if self.batches is None:
            return
        state = self.loader.state_dict()
        self.batches = None
        self.loader = self.fresh()
        self.loader.load_state_dict(state)
        self.batches = iter(self.loader)

    @invariant()
    def nothing_comes_twice_and_what_is_kept_stays(self) -> None:
        assert len(set(self.seen)) == len(self.seen)
        assert all(batch.tolist() == values for batch, values in self.kept)

    def teardown(self) -> None:
        self.batches = None
        del self.loader


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_thousand_mishaps() -> None:
    class Case(Abused.TestCase):
        settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

    Case().runTest()
