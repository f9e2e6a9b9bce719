"""Laws of the prefetch window, whatever the order in which workers answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader_core.engine.window import PrefetchWindow

shapes = st.tuples(st.integers(1, 5), st.integers(1, 4), st.booleans())


class Run:
    """A loader's use of a window, with the workers' answers in an order that hypothesis chooses."""

    def __init__(self, workers: int, prefetch: int, in_order: bool, batches: int) -> None:
        self.window = PrefetchWindow(workers, prefetch, in_order)
        self.left = batches
        self.inboxes: list[list[int]] = [[] for _ in range(workers)]
        self.delivered: list[int] = []
        self.fill()

    def fill(self) -> None:
        while self.left and (worker := self.window.offer()) is not None:
            self.inboxes[worker].append(self.window.dispatched(worker))
            self.left -= 1
            assert self.window.in_flight <= self.window.capacity

    def answer(self, worker: int) -> None:
        self.window.arrived(self.inboxes[worker].pop(0))

    def deliver(self) -> bool:
        number = self.window.next_ready()
        if number is None:
            return False
        self.delivered.append(number)
        self.fill()
        return True


@given(shape=shapes, batches=st.integers(0, 40), draw=st.data())
def test_each_batch_is_delivered_exactly_once_within_the_bound(
    shape: tuple[int, int, bool], batches: int, draw: st.DataObject
) -> None:
    run = Run(*shape, batches)
    while any(run.inboxes):
        busy = [worker for worker, inbox in enumerate(run.inboxes) if inbox]
        run.answer(draw.draw(st.sampled_from(busy)))
        ready, delivered = run.window.ready, 0
        while run.deliver():
            delivered += 1
        assert delivered >= ready
    assert sorted(run.delivered) == list(range(batches))
    assert run.window.in_flight == 0
    if shape[2]:
        assert run.delivered == list(range(batches))


@given(shape=shapes, batches=st.integers(1, 40), draw=st.data())
def test_a_dead_workers_batches_are_named_and_no_other_is_lost(
    shape: tuple[int, int, bool], batches: int, draw: st.DataObject
) -> None:
    run = Run(*shape, batches)
    victim = draw.draw(st.integers(0, shape[0] - 1))
    lost = run.window.worker_died(victim)
    assert lost == run.inboxes[victim]
    run.inboxes[victim] = []
    while any(run.inboxes):
        run.answer(next(worker for worker, inbox in enumerate(run.inboxes) if inbox))
        while run.deliver():
            pass
    assert sorted(run.delivered + lost) == list(range(batches - run.left))
    assert run.window.offer() != victim


def test_batches_are_given_out_in_turn_as_torch_does() -> None:
    window = PrefetchWindow(3, 2)
    assert [(worker, window.dispatched(worker)) for worker in iter(window.offer, None)] == [
        (0, 0), (1, 1), (2, 2), (0, 3), (1, 4), (2, 5),
    ]  # fmt: skip


def test_a_batch_waits_for_those_before_it() -> None:
    window = PrefetchWindow(2, 1)
    for worker in iter(window.offer, None):
        window.dispatched(worker)
    window.arrived(1)
    assert not window.is_next(1)
    assert window.next_ready() is None
    assert window.ready == 0
    window.arrived(0)
    assert window.ready == 2
    assert [window.next_ready(), window.next_ready(), window.next_ready()] == [0, 1, None]


def test_out_of_order_batches_do_not_wait() -> None:
    window = PrefetchWindow(2, 1, in_order=False)
    for worker in iter(window.offer, None):
        window.dispatched(worker)
    window.arrived(1)
    assert window.next_ready() == 1


@pytest.mark.parametrize("in_order", [True, False])
def test_a_worker_that_ran_out_is_given_nothing_more(in_order: bool) -> None:
    window = PrefetchWindow(2, 2, in_order)
    for worker in iter(window.offer, None):
        window.dispatched(worker)
    assert window.worker_done(0) == [0, 2]
    assert window.worker_done(0) == []
    assert window.offer() == 1
    assert window.in_flight == 2
