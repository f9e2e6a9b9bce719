"""The parts of a training step that torch itself tells of: backward and optimizer, in any script.

`watch` is called once per process, when the first loader of a script is observed. It wraps `torch.autograd.backward`,
through which every `loss.backward()` goes, and adds torch's own hooks around `Optimizer.step`. Neither changes what is
computed, and code that torch compiles sees neither.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from loader_core.observe import device_copies
from loader_core.start import unseen
from loader_core.trace import stage

TRANSFER, FORWARD, BACKWARD, OPTIMIZER = "transfer", "forward", "backward", "optimizer"
"""The names that these parts have wherever they come from; a training loop's own `stage(...)` may use them too."""


class _Open(threading.local):
    def __init__(self) -> None:
        self.parts: dict[str, stage] = {}


_open = _Open()
_watched = False


def begin(part: str) -> bool:
    """This part of the step begins, in the calling thread. False when it has begun already: a framework was first."""
    if part in _open.parts:
        return False
    _open.parts[part] = stage(part).begin()
    if part == TRANSFER:
        device_copies.begin()
    return True


def end(part: str) -> None:
    """It ends. Nothing if it has not begun."""
    begun = _open.parts.pop(part, None)
    if begun is not None:
        if part == TRANSFER:
            device_copies.end()
        begun.end()


@contextmanager
def transfer() -> Iterator[None]:
    """The part of a step in which a loop written by hand moves its batch to the device::

        with transfer():
            images = images.to(device, non_blocking=True)

    A STAGE of the step on the host's clock and, where there is an accelerator, a COPY on the device's.
    """
    began = begin(TRANSFER)
    try:
        yield
    finally:
        if began:
            end(TRANSFER)


def drop() -> None:
    """Forget what has begun and was never ended: a step was broken off by an exception."""
    _open.parts.clear()


def watch() -> None:
    """See backward and optimizer from here on. Only the first call counts."""
    global _watched
    if _watched:
        return
    _watched = True
    torch.autograd.backward = _seen(torch.autograd.backward)
    register_optimizer_step_pre_hook(_before_step)
    register_optimizer_step_post_hook(_after_step)


def _seen(backward: Any) -> Any:
    @wraps(backward)
    def seen(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return backward(*args, **kwargs)
        end(FORWARD)
        began = begin(BACKWARD)
        try:
            return backward(*args, **kwargs)
        except BaseException as error:
            unseen(error)
            raise
        finally:
            if began:
                end(BACKWARD)

    return seen


def _before_step(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
    if closure is None and not torch.compiler.is_compiling():  # with a closure, forward and backward are inside
        begin(OPTIMIZER)


def _after_step(*_: Any) -> None:
    if not torch.compiler.is_compiling():
        end(OPTIMIZER)
