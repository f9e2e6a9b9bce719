"""PrefetchWindow: which batches are in flight, at which worker, and which is next.

Pure bookkeeping: no clock, no thread, no queue. Pools move bytes, the window decides. It assigns batches to workers
exactly as `torch.utils.data.DataLoader` does, since the assignment decides which random numbers a sample sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class _Flight:
    worker: int
    arrived: bool = False


@dataclass(slots=True)
class PrefetchWindow:
    """The batches between dispatch and hand-over.

    Numbers count the batches of one epoch, from `first` on. At most `prefetch_factor * num_workers` are in flight: each
    delivered batch (and each worker that runs out of samples) allows one more dispatch.

    In order, a batch is handed over when all before it were. Out of order, batches are handed over as they arrive.
    """

    num_workers: int
    prefetch_factor: int
    in_order: bool = True
    first: int = 0
    _flights: dict[int, _Flight] = field(default_factory=dict)
    _arrivals: list[int] = field(default_factory=list)
    _active: list[bool] = field(default_factory=list)
    _load: list[int] = field(default_factory=list)
    _turn: int = 0
    _credits: int = 0
    _sent: int = 0
    _next: int = 0

    def __post_init__(self) -> None:
        self._active = [True] * self.num_workers
        self._load = [0] * self.num_workers
        self._credits = self.capacity
        self._sent = self._next = self.first
        self._turn = self.first % self.num_workers

    @property
    def capacity(self) -> int:
        """The most batches that are ever in flight."""
        return self.prefetch_factor * self.num_workers

    @property
    def in_flight(self) -> int:
        """Batches dispatched and not yet handed over."""
        return len(self._flights)

    @property
    def ready(self) -> int:
        """Batches that could be handed over now, one after the other, without waiting."""
        if not self.in_order:
            return len(self._arrivals)
        count = 0
        number = self._skip_to_next()
        while (flight := self._flights.get(number)) is not None and flight.arrived:
            count, number = count + 1, number + 1
        return count

    @property
    def is_ready(self) -> bool:
        """Whether `next_ready` would give a batch."""
        if not self.in_order:
            return bool(self._arrivals)
        flight = self._flights.get(self._skip_to_next())
        return flight is not None and flight.arrived

    def offer(self) -> int | None:
        """The worker that should make the next batch, or None if the window is full or no worker has samples left.

        The caller must answer with `dispatched`, or not at all if it has no more indices.
        """
        if self._credits <= 0:
            return None
        for step in range(self.num_workers):
            worker = (self._turn + step) % self.num_workers
            if self._active[worker] and (self.in_order or self._has_capacity(worker)):
                self._turn = (worker + 1) % self.num_workers
                return worker
        return None

    def dispatched(self, worker: int) -> int:
        """Note that the next batch was given to `worker`; returns the batch's number."""
        number = self._sent
        self._flights[number] = _Flight(worker)
        self._load[worker] += 1
        self._credits -= 1
        self._sent += 1
        return number

    def arrived(self, number: int) -> None:
        """Note that batch `number` is here. It may not be its turn yet."""
        self._flights[number].arrived = True
        if not self.in_order:
            self._arrivals.append(number)

    def next_ready(self) -> int | None:
        """Hand over: the number of the next batch that is ready and whose turn it is, or None if there is none."""
        if not self.in_order:
            if not self._arrivals:
                return None
            number = self._arrivals.pop(0)
        else:
            number = self._skip_to_next()
            flight = self._flights.get(number)
            if flight is None or not flight.arrived:
                return None
            self._next = number + 1
        self._load[self._flights.pop(number).worker] -= 1
        self._credits += 1
        return number

    def is_next(self, number: int) -> bool:
        """Whether batch `number` would be handed over as soon as it is here."""
        return not self.in_order or number == self._skip_to_next()

    def worker_done(self, worker: int) -> list[int]:
        """`worker` has no samples left. Returns the numbers of its batches that will never come."""
        if not self._active[worker]:
            return []
        self._active[worker] = False
        self._credits += 1
        return self._drop(worker)

    def worker_died(self, worker: int) -> list[int]:
        """`worker` is gone. Returns the numbers of the batches that were lost with it, in order."""
        self._active[worker] = False
        return self._drop(worker)

    def owner(self, number: int) -> int:
        """The worker that batch `number` was given to."""
        return self._flights[number].worker

    def outstanding(self, worker: int) -> list[int]:
        """The batches given to `worker` that have not arrived, oldest first."""
        return [number for number, flight in self._flights.items() if flight.worker == worker and not flight.arrived]

    def _has_capacity(self, worker: int) -> bool:
        return self._load[worker] < self.capacity // max(1, sum(self._active))

    def _skip_to_next(self) -> int:
        while self._next < self._sent and self._next not in self._flights:
            self._next += 1
        return self._next

    def _drop(self, worker: int) -> list[int]:
        lost = self.outstanding(worker)
        for number in lost:
            del self._flights[number]
            self._load[worker] -= 1
        return lost
