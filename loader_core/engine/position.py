"""Position: which batches of an epoch have been delivered, so that a later loader goes on behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loader_core.engine.task import Notes, StreamState


@dataclass(slots=True)
class Position:
    """All batches below `done` were delivered, and those in `beyond` (out of order, or between failed ones).

    `streams` says, by worker, how far its iterable dataset was delivered.
    """

    done: int = 0
    beyond: set[int] = field(default_factory=set)
    streams: dict[int, StreamState] = field(default_factory=dict)
    over: bool = False
    """The epoch has no batches left."""

    def delivered(self, number: int) -> None:
        """Batch `number` is with the consumer, or never will be."""
        self.beyond.add(number)
        while self.done in self.beyond:
            self.beyond.remove(self.done)
            self.done += 1

    def stream_delivered(self, worker: int, notes: Notes) -> None:
        """A batch of `worker`'s stream is with the consumer."""
        before = self.streams.get(worker, StreamState())
        self.streams[worker] = StreamState(before.batches + 1, notes.stream)

    def state_dict(self) -> dict[str, Any]:
        """As plain values, for a checkpoint."""
        return {
            "done": self.done,
            "beyond": sorted(self.beyond),
            "streams": {worker: (stream.batches, stream.state) for worker, stream in self.streams.items()},
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Position:
        """The inverse of `state_dict`."""
        return cls(
            state["done"],
            set(state["beyond"]),
            {int(worker): StreamState(*stream) for worker, stream in state["streams"].items()},
        )
