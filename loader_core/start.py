"""What an interpreter does at its start when LOADERSCOPE is set: wait for torch's DataLoader, and observe it.

`loaderscope.pth` in site-packages calls `begin`, as does `loader_core/startup/sitecustomize.py` where nothing is
installed. That is before the script's first line, so nothing heavy is imported here: scripts set OMP_NUM_THREADS,
CUDA_VISIBLE_DEVICES and the like before they import numpy or torch. What is needed is loaded when the script makes its
first DataLoader.
"""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial, wraps
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

ON = "LOADERSCOPE"
DETAIL = "LOADERSCOPE_DETAIL"
GROUP = "LOADERSCOPE_GROUP"
NAME = "LOADERSCOPE_NAME"
HEADROOM = "LOADERSCOPE_HEADROOM"
OVERRIDE = "LOADERSCOPE_OVERRIDE"
MOST_HEADROOM_STEPS = 10_000
VARIABLES = (DETAIL, GROUP, NAME, HEADROOM, OVERRIDE)
"""What can be set beside LOADERSCOPE itself; docs/settings.md says what each means."""

_SCRIPT = "loader_core.observe.script"
_FRAMEWORKS = "loader_core.observe.frameworks"
_said: set[str] = set()


def wanted() -> bool:
    """Whether the environment asks for observation: LOADERSCOPE is set, and not to 0."""
    return os.environ.get(ON, "") not in ("", "0")


def new_group() -> str:
    """A name for all that one command starts: its loaders, its ranks, its children."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(3).hex()}"


def begin() -> None:
    """Observe the loaders of this interpreter from here on. Called before the script begins; the first call counts."""
    if any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        return
    os.environ.setdefault(GROUP, new_group())  # so that what this process starts belongs to it
    waiting = _AfterImport(
        {
            "torch.utils.data.dataloader": _watch_loaders,
            "accelerate.data_loader": partial(_later, _FRAMEWORKS, "join_accelerate"),
            "transformers.trainer": partial(_later, _FRAMEWORKS, "join_transformers"),
            "lightning.pytorch.trainer.connectors.callback_connector": partial(_later, _FRAMEWORKS, "join_lightning"),
            "pytorch_lightning.trainer.connectors.callback_connector": partial(_later, _FRAMEWORKS, "join_lightning"),
        }
    )
    sys.meta_path.insert(0, waiting)
    atexit.register(_end)  # registered before all others, so it runs after them


def unseen(error: BaseException) -> None:
    """Take the calling frame out of the traceback of `error`, which it is about to raise again with a bare `raise`.

    What the user sees of an exception is then what he would see without us.
    """
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


def swallow(what: str) -> None:
    """Say once, on the log, that `what` failed with the exception in flight. The script goes on."""
    if what not in _said:
        _said.add(what)
        import logging

        from loader_core.errors import LoaderscopeError

        log, error = logging.getLogger("loaderscope"), sys.exc_info()[1]
        if isinstance(error, (LoaderscopeError, OSError)):  # says itself what is wrong
            log.warning("%s failed: %s; the script goes on without it", what, error)
        else:
            log.warning("%s failed; the script goes on without it", what, exc_info=error)


# --- after an import --------------------------------------------------------------------------------------------------


class _AfterImport:
    """A finder that finds nothing itself, and calls a function with a module right after that was executed."""

    def __init__(self, actions: dict[str, Callable[[ModuleType], None]]) -> None:
        self._actions = actions

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """The spec that the other finders give for a module that is waited for; None for all others."""
        if name not in self._actions:
            return None
        action = self._actions.pop(name)
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find and finder is not self else None
            if spec is not None:
                _act_after(spec, action)
                return spec
        return None


def _act_after(spec: ModuleSpec, action: Callable[[ModuleType], None]) -> None:
    loader = spec.loader
    if loader is None or not hasattr(loader, "exec_module"):
        return
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        try:
            execute(module)
        except BaseException as error:
            unseen(error)
            raise
        finally:
            del loader.exec_module  # the loader is as it was
        try:
            action(module)
        except Exception:  # noqa: BLE001 - the script's import succeeds whatever we make of the module
            swallow(f"observing {module.__name__}")

    loader.exec_module = exec_module  # type: ignore[method-assign]


def _later(home: str, name: str, module: ModuleType) -> None:
    getattr(importlib.import_module(home), name)(module)


# --- torch's DataLoader -----------------------------------------------------------------------------------------------


def _watch_loaders(module: ModuleType) -> None:
    """Notice each DataLoader at the end of its `__init__`, where it sets `_iterator` to None.

    `__init__` itself stays as it is: frameworks read its signature, and torch counts frames for its warnings.
    """
    cls = module.DataLoader
    set_attribute = cls.__setattr__

    @wraps(set_attribute)
    def __setattr__(self: Any, attr: str, val: Any) -> None:  # noqa: N807 - it takes that one's place
        try:
            set_attribute(self, attr, val)
        except BaseException as error:
            unseen(error)
            raise
        if attr == "_iterator" and val is None:
            try:
                importlib.import_module(_SCRIPT).loader_made(self)
            except Exception:  # noqa: BLE001 - nothing of ours reaches the training
                swallow("observing a DataLoader")

    cls.__setattr__ = __setattr__


def _end() -> None:
    script = sys.modules.get(_SCRIPT)
    if script is not None:
        script.finish()
