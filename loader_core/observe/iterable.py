"""Any iterable of batches, seen from where they are consumed: how long each was waited for, and worked on.

What happens before a batch arrives is the iterable's own business, so its workers' lanes stay empty.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, TypeVar

from loader_core.observe.leaves import contents
from loader_core.start import swallow
from loader_core.trace import NOT_MEASURED, Delivery, Kind, Recorder, Recording

T = TypeVar("T")


class ObservedIterable(Generic[T]):
    """An iterable whose every iteration is recorded, as often as the original can be iterated.

    All else (its length, its attributes) is the original's.
    """

    def __init__(self, iterable: Iterable[T], run_of: Callable[[Any], Recording | None]) -> None:
        """`run_of` gives the run of an iteration when that begins; None: it is not recorded."""
        self.observed = iterable
        """The original."""
        self._run_of = run_of

    def __iter__(self) -> Iterator[T]:
        try:
            run = self._run_of(self)
        except Exception:  # noqa: BLE001 - without a run it is iterated all the same
            swallow("observing an iterable")
            run = None
        if run is None:
            return iter(self.observed)
        return observed_iteration(self.observed, run, epoch=run.begin_epoch())

    def __getattr__(self, name: str) -> Any:
        if name == "observed":  # not there yet: a copy is being made
            raise AttributeError(name)
        return getattr(self.observed, name)


class SizedObservedIterable(ObservedIterable[T]):
    """The same for one that has a length."""

    def __len__(self) -> int:
        return len(self.observed)  # type: ignore[arg-type] # it has one


def observed_iteration(iterable: Iterable[T], recording: Recording, *, epoch: int) -> Iterator[T]:
    """Iterate once, and record into `recording` how long each batch was waited for and worked on.

    It starts no thread and no process, and belongs to the thread that iterates; close it, or drop it, to leave early. A
    viewer cannot stop it.
    """
    return recording.deliver(_deliveries(iterable, recording, epoch), obeys=False)


def _deliveries(iterable: Iterable[Any], recording: Recording, epoch: int) -> Generator[Delivery, None, None]:
    recorder = recording.consumer  # the mark is the main lane's; a chain of its own per epoch would be a waste of files
    number = 0
    for batch in iterable:
        recorder.epoch = epoch
        yield _delivery(batch, number, epoch, recorder)
        del batch  # else it would live until the next one is there
        number += 1  # noqa: SIM113 - enumerate() too would hold the batch for so long


def _delivery(batch: Any, number: int, epoch: int, recorder: Recorder) -> Delivery:
    held = contents(batch)
    recorder.mark(Kind.RECEIVE, number, value=held.nbytes)
    return Delivery(
        batch=batch,
        number=number,
        epoch=epoch,
        indices=None,
        samples=held.samples,
        nbytes=held.nbytes,
        ready=NOT_MEASURED,
    )
