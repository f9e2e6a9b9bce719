"""The process of a run: `python -m app.runner RUN_DIRECTORY`.

It makes what the run's order says (samples, loader, consumer), iterates until the run is over, and obeys the control
page meanwhile. Everything happens in its main thread, beside workers and what torch does; the server only ever reads
the directory. torch is imported after the recording has begun, so that a run is seen to start at once.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from app.order import RunOrder
from app.wire import LIVE_FIELDS, RunSettings
from loader_core.errors import SettingsError, last_line
from loader_core.scenarios import catalogue
from loader_core.scenarios.dials import pass_time
from loader_core.trace import NOT_MEASURED, Control, Kind, Recording, now

if TYPE_CHECKING:
    import torch

    from loader_core.scenarios.catalogue import Workload
    from loader_core.scenarios.training import Training

FAILED = 1
USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """Run what lies in the directory that `arguments` name; the process's exit code.

    The reason of a failure is written into run.json, and its traceback to stderr.
    """
    if len(arguments) != 1:
        print("usage: python -m app.runner RUN_DIRECTORY", file=sys.stderr)
        return USAGE
    directory = Path(arguments[0])
    try:
        order = RunOrder.read(directory)
        recording = Recording.create(
            directory,
            run_id=directory.name,
            name=order.settings.name,
            settings=order.settings.model_dump(mode="json"),
            budget_bytes=order.budget_bytes,
        )
    except (OSError, ValidationError) as error:
        print(f"cannot run what is in {directory}: {error}", file=sys.stderr)
        return FAILED
    return _finish(recording, Run(recording, order))


def _finish(recording: Recording, run: Run) -> int:
    """Run it, and write down how it ended."""
    signals = _Signals(recording.control)
    try:
        with signals:
            with signals.held():
                import torch  # noqa: F401 - its C++ side aborts the process, or raises another error, for an interrupt
            run.run()
    except (Interrupted, Exception) as error:  # noqa: BLE001 - whatever a dataset raises is the reason of the end
        if signals.arrived is not None:  # also when a library made another error of the interrupt
            recording.finish("stopped", f"stopped by {signals.arrived.name}")
            return 128 + signals.arrived
        traceback.print_exc()
        recording.finish("failed", last_line(error))
        return FAILED
    recording.finish("stopped" if recording.control.stop else "finished")
    return 0


# --- signals ----------------------------------------------------------------------------------------------------------


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived. No Exception, so nothing that handles failures takes it for one."""


class _Signals:
    """Within it, the first SIGINT or SIGTERM tells the run to stop and interrupts what the main thread waits for."""

    def __init__(self, control: Control) -> None:
        self.arrived: signal.Signals | None = None
        """The signal that came, if one did."""
        self._control = control
        self._pid = os.getpid()
        self._held = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it a signal waits: it interrupts at the end."""
        self._held = True
        yield
        self._held = False
        if self.arrived is not None:
            raise Interrupted

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupt)

    def __exit__(self, *_: object) -> None:
        self._ignore_more()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a forked worker inherits this handler
            if number == signal.SIGINT:  # Ctrl-C reaches the whole group; the run ends its workers by itself
                return
            os._exit(128 + number)
        # Python drops an exception that it raises inside a finalizer; the page then ends the run with its next batch.
        self._control.stop = True
        self._ignore_more()
        self.arrived = signal.Signals(number)
        if not self._held:
            raise Interrupted

    @staticmethod
    def _ignore_more() -> None:
        """From here on the run only tidies up, which a second signal must not break off."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


# --- the run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setup:
    """What is made from the settings, and made anew when one of them changes that is not live."""

    loader: Any
    """torch's DataLoader, or ours, which is one."""
    consume: Callable[[Any], float | None]
    """What the training loop does with a batch; its loss, if it has one."""


class Run:
    """A run from its first batch to its last. Belongs to the main thread."""

    def __init__(self, recording: Recording, order: RunOrder) -> None:
        self.recording = recording
        self.control = recording.control
        self.order = order
        self.generation = 0
        """Of the order that we follow. The page's may be ahead already: then we read the order again at once."""
        self.epochs_begun = 0
        self.epochs_done = 0
        self.began_ns = 0
        self._training: tuple[tuple[str, str], Training] | None = None

    @property
    def settings(self) -> RunSettings:
        """The settings as they are now."""
        return self.order.settings

    def run(self) -> None:
        """Iterate until the settings' epochs or seconds are over, or a viewer stops the run.

        Raises what the dataset, the loader or the training raise, and SettingsError, DatasetError.
        """
        self.order.turn(self.control)
        setup = self._make()
        self.began_ns = now()
        while True:
            try:
                self._iterate(setup)
            finally:
                _end_workers(getattr(setup.loader, "_iterator", None))
            if self._over():
                return
            setup = self._make()

    def _over(self) -> bool:
        """A pause does not count as time, nor does what came before the first batch was asked for."""
        settings = self.settings
        ran_ns = now() - self.began_ns - self.recording.paused_ns
        return self.control.stop or 0 < settings.epochs <= self.epochs_done or 0 < settings.seconds <= ran_ns / 1e9

    # --- settings that change while it runs ---

    def _take_changes(self) -> bool:
        """Read the order again if it was replaced. True if the loader must be made anew for it."""
        if self.control.generation == self.generation:
            return False
        self.generation = self.control.generation
        before, self.order = self.settings, RunOrder.read(self.recording.directory)
        now_set = self.settings.model_dump(mode="json")
        changed = {name: value for name, value in now_set.items() if value != before.model_dump(mode="json")[name]}
        if not changed:
            return False
        restart = not LIVE_FIELDS.issuperset(changed)
        self.order.turn(self.control)
        self.recording.change(changed, restarted_loader=restart)
        self.recording.update(name=self.settings.name, settings=now_set)
        return restart

    # --- what the settings make ---

    def _make(self) -> Setup:
        """Samples, loader and consumer, as the settings are now."""
        import torch

        # One thread: our models are small, and a second one would wait at each barrier for a core that a worker has.
        torch.set_num_threads(1)
        torch.manual_seed(self.settings.seed)
        workload = catalogue.build(
            self.settings.dataset,
            roots=self.order.data_roots,
            image_size=self.settings.image_size,
            augment=self.settings.augment,
            control=self.control,
        )
        self.recording.update(classes=workload.classes)
        return Setup(make_loader(self.settings, workload, self.recording), self._consumer(workload))

    def _consumer(self, workload: Workload) -> Callable[[Any], float | None]:
        if self.settings.consumer == "train":
            return self._train(workload).step
        if self.settings.consumer == "step":
            return lambda batch: pass_time(self.control.step_ns, self.control)
        return lambda batch: None

    def _train(self, workload: Workload) -> Training:
        """The training that is going on, if it fits the samples: a loader made anew does not make it forget."""
        fits = (self.settings.dataset, self.settings.device)
        if self._training is None or self._training[0] != fits:
            self._training = (fits, workload.training(seed=self.settings.seed, device=_model_device(self.settings)))
        return self._training[1]

    # --- iterating ---

    def _iterate(self, setup: Setup) -> None:
        """Epoch after epoch, until the run is over or the loader must be made anew."""
        while not self._over():
            batches = 0
            with closing(self._epoch(setup.loader)) as epoch:
                for batch in epoch:
                    self._consume(setup, batch, batches)
                    del batch  # while the next one is waited for, its memory can be used again
                    batches += 1
                    if self._take_changes():
                        return
                    if self._over():
                        return
            if batches == 0 and not self.control.stop:
                raise SettingsError(_no_batch(setup.loader))
            self.epochs_done += 1

    def _epoch(self, loader: Any) -> Generator[Any, None, None]:
        """The batches of the next epoch. A walk that is left early takes the loader's workers with it."""
        number = self.epochs_begun
        self.epochs_begun += 1
        if hasattr(loader.sampler, "set_epoch"):
            loader.sampler.set_epoch(number)
        if self.settings.engine == "loaderscope":
            loader.epoch = number
        self.recording.next_epoch = number
        iterator = iter(loader)
        to_the_end = False
        try:
            yield from iterator
            to_the_end = True
        finally:
            if not to_the_end:
                _end_workers(iterator)

    def _consume(self, setup: Setup, batch: Any, number: int) -> None:
        loss = setup.consume(batch)
        if loss is not None:
            value = round(loss * 1e6) if math.isfinite(loss) else NOT_MEASURED
            self.recording.consumer.mark(Kind.LOSS, number, value=value)


def make_loader(settings: RunSettings, workload: Workload, recording: Recording) -> Any:
    """The DataLoader that the settings describe: ours, which records by itself, or torch's, which is observed.

    Raises SettingsError where the settings contradict each other.
    """
    arguments = loader_arguments(settings, workload)
    if settings.engine == "torch":
        from torch.utils.data import DataLoader as TorchDataLoader

        from loader_core.observe.torch_loader import watch

        loader: Any = TorchDataLoader(workload.dataset, **arguments)
        watch(loader, lambda _: recording, obeys=True)
        return loader
    from loader_core.engine.device import Simulated
    from loader_core.engine.loader import DataLoader

    devices = {"none": None, "simulated": Simulated(settings.device_gb_per_s), "accelerator": "accelerator"}
    return DataLoader(
        workload.dataset,
        worker_method=settings.worker_method,
        device=devices[settings.device],
        recording=recording,
        **arguments,
    )


def loader_arguments(settings: RunSettings, workload: Workload) -> dict[str, Any]:
    """The settings as arguments of torch's DataLoader; those that need workers only where there are some."""
    import torch

    arguments: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "shuffle": settings.shuffle,
        "drop_last": settings.drop_last,
        "num_workers": settings.num_workers,
        "collate_fn": workload.collate_fn(settings.collate),
        "pin_memory": settings.pin_memory,
        "in_order": settings.in_order,
        "generator": torch.Generator().manual_seed(settings.seed),
    }
    if settings.num_workers:
        arguments["prefetch_factor"] = settings.prefetch_factor
        arguments["persistent_workers"] = settings.persistent_workers
        if settings.worker_method == "process" and settings.multiprocessing_context != "default":
            arguments["multiprocessing_context"] = settings.multiprocessing_context
    if settings.engine == "torch":
        if settings.num_workers and settings.worker_method != "process":
            raise SettingsError("torch's DataLoader has no thread workers: use worker_method 'process', or our engine")
        if settings.device == "simulated":
            raise SettingsError("torch's DataLoader copies nothing to a device: use device 'none', or our engine")
    return arguments


def _model_device(settings: RunSettings) -> torch.device | str:
    import torch

    if settings.device != "accelerator":
        return "cpu"
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if found is None:
        raise SettingsError("this host has no accelerator that torch can use: use device 'simulated' or 'none'")
    return found


def _end_workers(iterator: Any) -> None:
    """End the workers of a loader's iterator now, and not when it is collected. Iterators without workers have none.

    torch has no public name for it; this one is torch's own, which Lightning calls too.
    """
    shut_down = getattr(iterator, "_shutdown_workers", None)
    if shut_down is not None:
        shut_down()


def _no_batch(loader: Any) -> str:
    return (
        f"the dataset has {len(loader.dataset)} samples, too few for a batch of {loader.batch_size} with drop_last: "
        "use a smaller batch_size, or drop_last False"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
