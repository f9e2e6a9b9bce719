"""`observe`: the one call by which a loader of any make is recorded."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from loader_core.observe.iterable import ObservedIterable, SizedObservedIterable, observed_iteration
from loader_core.start import swallow
from loader_core.trace import Detail, Recording

L = TypeVar("L", bound=Iterable[Any])


def observe(loader: L, recording: Recording | None = None, *, name: str = "", detail: Detail | str | None = None) -> L:
    """Record what `loader` does, from its next iteration on::

        loader = observe(DataLoader(dataset, num_workers=4))

    A `torch.utils.data.DataLoader` is returned as the very object that it was: same batches in the same order, same
    random states, same exceptions and types. Its workers, queues, pin thread and consumer are seen. Of any other
    iterable (and of a loader whose class makes its own iterators) comes a stand-in that iterates as often as the
    original does; there, waiting and working are seen, and no workers. A generator gives a generator.

    recording: where to record; its owner finishes it. Without one a run is made in the folder of runs at the first
        iteration, named by the line that called `observe`, and finished when the interpreter ends. A loader made anew
        at the same line (in each epoch) goes on in the same run; two with data of their own, or iterated at once, are
        two runs.
    name: what the run is called instead.
    detail: `"batch"`, `"sample"` (each sample too) or `"stage"` (also parts of samples, and lines of code by sampling);
        a viewer may change it while it runs. Default: as it is set already, for a new run `"stage"`.

    It starts no thread and opens no socket in this process. Parts of the training step are marked with
    `with stage("forward"):` between two batches. What fails in here is logged once and never reaches the training; only
    a wrong argument raises (ValueError). Inside a worker process it does nothing.
    """
    wanted = Detail[detail.upper()] if isinstance(detail, str) and detail.upper() in Detail.__members__ else detail
    if isinstance(wanted, str):
        raise ValueError(f"detail is {detail!r}; it is one of {', '.join(level.name.lower() for level in Detail)}")
    try:
        return _observe(loader, _RunOf(recording, name, wanted))
    except Exception:  # noqa: BLE001 - the loader works without us
        swallow("observing a loader")
        return loader


class _RunOf:
    """Gives the run that an iteration is recorded into."""

    def __init__(self, recording: Recording | None, name: str, detail: Detail | None) -> None:
        self._recording = recording
        self._name = name
        self._detail = detail
        self._known: Recording | None = None

    def __call__(self, loader: Any) -> Recording | None:
        run = self._recording
        if run is None:
            from loader_core.observe import script

            run = script.run_of(loader)
        if run is not None and run is not self._known:
            self._known = run
            if self._name:
                run.update(name=self._name)
            if self._detail is not None:
                run.control.detail = self._detail
        return run

    def note(self, loader: Any) -> None:
        """Remember where the user made it, when it has no recording yet."""
        if self._recording is None:
            from loader_core.observe import script

            _finish_at_exit(script.finish)
            script.note(loader)


def _observe(loader: L, run_of: _RunOf) -> L:
    from torch.utils.data import DataLoader, get_worker_info

    from loader_core.observe.torch_loader import watch

    if get_worker_info() is not None:
        return loader
    if isinstance(loader, DataLoader) and watch(loader, run_of):
        run_of.note(loader)
        return loader
    sized = hasattr(type(loader), "__len__")
    stand_in = (SizedObservedIterable if sized else ObservedIterable)(loader, run_of)
    run_of.note(stand_in)
    if hasattr(type(loader), "__next__"):
        run = run_of(stand_in)
        if run is None:
            return loader
        return observed_iteration(loader, run, epoch=run.begin_epoch())  # type: ignore[return-value]
    return stand_in  # type: ignore[return-value] # it has all that the original has


_registered = False


def _finish_at_exit(finish: Callable[[], None]) -> None:
    """Before the first iterator is watched, so that it runs after all of them are let go."""
    global _registered
    if not _registered:
        _registered = True
        atexit.register(finish)
