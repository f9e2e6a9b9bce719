"""Lightning and Hugging Face: callbacks that split the training step into its parts.

    trainer = lightning.pytorch.Trainer(callbacks=[lightning_callback()])
    trainer = transformers.Trainer(..., callbacks=[transformers_callback()])

Under `loaderscope run` both are added by themselves. The frameworks are imported when a callback is asked for, and
never before. Each part is a STAGE within the STEP of the loader that gave the last batch. All times are the host's: on
a GPU, where work is queued, a part is as long as it took to queue it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import Any

from loader_core.observe import step
from loader_core.observe.step import BACKWARD, FORWARD, OPTIMIZER, TRANSFER
from loader_core.start import unseen

# --- Lightning --------------------------------------------------------------------------------------------------------


def lightning_callback(package: str = "lightning.pytorch") -> Any:
    """A callback for `Trainer(callbacks=[...])`. `package`: `pytorch_lightning` for those who import it by that name.

    Raises ImportError where it is not installed.
    """
    return _lightning_class(package)()


@cache
def _lightning_class(package: str) -> type[Any]:
    import importlib

    base = importlib.import_module(f"{package}.callbacks").Callback

    class StepParts(base):  # type: ignore[misc, valid-type]
        """Marks transfer, forward, backward and optimizer of each training step, and forward of other loops."""

        def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
            step.watch()
            step.drop()
            move = trainer.strategy.batch_to_device
            if not isinstance(move, partial):
                trainer.strategy.batch_to_device = partial(_as_part, TRANSFER, move)

        def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
            vars(trainer.strategy).pop("batch_to_device", None)
            step.drop()

        def on_train_batch_start(self, *_: Any) -> None:
            step.begin(FORWARD)

        def on_before_zero_grad(self, *_: Any) -> None:
            step.end(FORWARD)

        def on_before_backward(self, *_: Any) -> None:
            step.end(FORWARD)
            step.begin(BACKWARD)

        def on_after_backward(self, *_: Any) -> None:
            step.end(BACKWARD)

        def on_before_optimizer_step(self, *_: Any) -> None:
            step.begin(OPTIMIZER)  # and torch's own hook ends it

        def on_train_batch_end(self, *_: Any) -> None:
            step.end(FORWARD)
            step.end(OPTIMIZER)

        def _begin_other(self, *_: Any) -> None:
            step.begin(FORWARD)

        def _end_other(self, *_: Any) -> None:
            step.end(FORWARD)

        on_validation_batch_start = on_test_batch_start = on_predict_batch_start = _begin_other
        on_validation_batch_end = on_test_batch_end = on_predict_batch_end = _end_other

    return StepParts


def join_lightning(module: ModuleType) -> None:
    """Add the callback to every Trainer that is made from here on. `module`: Lightning's callback connector."""
    find = module._load_external_callbacks
    package = module.__name__.partition(".trainer.")[0]

    def found(group: str) -> list[Any]:
        """What Lightning finds by itself, and ours after it."""
        callbacks: list[Any] = find(group)
        return [*callbacks, lightning_callback(package)]

    module._load_external_callbacks = found  # type: ignore[attr-defined]


# --- Hugging Face -----------------------------------------------------------------------------------------------------


def transformers_callback() -> Any:
    """A callback for `transformers.Trainer(callbacks=[...])`. Raises ImportError where it is not installed."""
    return _transformers_class()()


@cache
def _transformers_class() -> type[Any]:
    from transformers.trainer_callback import TrainerCallback

    class StepParts(TrainerCallback):  # type: ignore[misc]
        """Marks forward, backward and optimizer of each training step."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            step.watch()  # forward ends where torch's backward begins
            step.drop()

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            step.begin(FORWARD)

        def on_substep_end(self, *_: Any, **__: Any) -> None:
            step.begin(FORWARD)  # the next share of the accumulated batch follows at once

        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            step.end(FORWARD)
            step.begin(OPTIMIZER)

        def on_optimizer_step(self, *_: Any, **__: Any) -> None:
            step.end(OPTIMIZER)

        def on_step_end(self, *_: Any, **__: Any) -> None:
            step.end(FORWARD)

    return StepParts


def join_transformers(module: ModuleType) -> None:
    """Add the callback to every Trainer that is made from here on. `module`: transformers.trainer."""
    module.DEFAULT_CALLBACKS = [*module.DEFAULT_CALLBACKS, _transformers_class()]  # type: ignore[attr-defined]


# --- accelerate -------------------------------------------------------------------------------------------------------


def join_accelerate(module: ModuleType) -> None:
    """See how long its loaders take to move a batch to the device. `module`: accelerate.data_loader."""
    module.send_to_device = partial(_as_part, TRANSFER, module.send_to_device)  # type: ignore[attr-defined]


def _as_part(part: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    began = step.begin(part)
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        unseen(error)
        raise
    finally:
        if began:
            step.end(part)
