"""More than a thousand random kills, stops and breaks: nothing is lost, nothing comes twice, nothing hangs.

python3 run.py test -m soak tests/engine
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from loader_core.engine import DataLoader
from loader_core.engine.journey import MOST_DEATHS
from tests.engine.datasets import Numbers

SIZE, BATCH = 48, 4

MISHAPS = 1_000

done: Counter[str] = Counter()
"""What has really been done to loaders, of each kind."""

under_way = precondition(lambda abused: abused.batches is not None)


def send(pid: int, number: int) -> None:
    """A signal to a worker that may have ended meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


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

    def spared(self, worker: int) -> bool:
        """Whether one more death of `worker` would be too many: the third at one batch is taken for its doing."""
        self.kills[worker] += 1
        return self.kills[worker] >= MOST_DEATHS

    @under_way
    @rule(worker=st.integers(0, 1))
    def kill(self, worker: int) -> None:
        if not self.spared(worker):
            os.kill(self.batches.pids()[worker], signal.SIGKILL)
            done["kill"] += 1

    @under_way
    @rule(worker=st.integers(0, 1), count=st.integers(1, 6))
    def kill_meanwhile(self, worker: int, count: int) -> None:
        """While batches are taken, and not between two of them."""
        if not self.spared(worker):
            killer = threading.Thread(target=send, args=(self.batches.pids()[worker], signal.SIGKILL))
            killer.start()
            self.take(count)
            killer.join()
            done["kill meanwhile"] += 1

    @under_way
    @rule(worker=st.integers(0, 1), count=st.integers(0, 3))
    def stop_and_go(self, worker: int, count: int) -> None:
        """It stands still while somebody else may have batches that are ready, or have died."""
        pid = self.batches.pids()[worker]
        os.kill(pid, signal.SIGSTOP)
        waker = threading.Thread(target=send, args=(pid, signal.SIGCONT))
        waker.start()
        self.take(count)
        waker.join()
        done["stop"] += 1

    @under_way
    @rule()
    def keep_one(self) -> None:
        batch = next(self.batches, None)
        if batch is None:
            assert sorted(self.seen) == list(range(SIZE))
            self.batches = None
        else:
            self.seen += batch.tolist()
            self.kept = [*self.kept[-5:], (batch, batch.tolist())]

    @under_way
    @rule()
    def break_off(self) -> None:
        self.batches = None
        done["break"] += 1

    @under_way
    @rule()
    def resume_elsewhere(self) -> None:
        state = self.loader.state_dict()
        self.batches = None
        self.loader = self.fresh()
        self.loader.load_state_dict(state)
        self.batches, self.kills = iter(self.loader), [0, 0]
        done["resume"] += 1

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
        settings = settings(max_examples=150, stateful_step_count=50, deadline=None)

    done.clear()
    Case().runTest()
    assert done.total() - done["resume"] >= MISHAPS, done
