"""Any iterable of batches, seen from where they are consumed: how long each was waited for, and worked on.

What happens before a batch arrives is the iterable's own business, so its workers' lanes stay empty.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any

from loader_core.observe.leaves import batch_nbytes, batch_samples
from loader_core.trace import NOT_MEASURED, Delivery, Kind, Recorder, Recording


def observe(iterable: Iterable[Any], recording: Recording, *, epoch: int = 0) -> Iterator[Any]:
    """Iterate over `iterable` once, and record into `recording` how long each batch was waited for and worked on.

    Use it in the place of the iterable: `for batch in observe(loader, recording, epoch=epoch)`. It obeys the
    recording's control page between two batches, and starts no thread and no process. It belongs to the thread that
    iterates; close it, or drop it, to leave early.
    """
    return recording.deliver(_deliveries(iterable, recording, epoch))


def _deliveries(iterable: Iterable[Any], recording: Recording, epoch: int) -> Generator[Delivery, None, None]:
    recorder = recording.consumer  # the mark is the main lane's; a chain of its own per epoch would be a waste of files
    number = 0
    for batch in iterable:
        recorder.epoch = epoch
        yield _delivery(batch, number, epoch, recorder)
        del batch  # else it would live until the next one is there
        number += 1  # noqa: SIM113 - enumerate() too would hold the batch for so long


def _delivery(batch: Any, number: int, epoch: int, recorder: Recorder) -> Delivery:
    nbytes = batch_nbytes(batch)
    recorder.mark(Kind.RECEIVE, number, value=nbytes)
    return Delivery(
        batch=batch,
        number=number,
        epoch=epoch,
        indices=None,
        samples=batch_samples(batch),
        nbytes=nbytes,
        ready=NOT_MEASURED,
    )
