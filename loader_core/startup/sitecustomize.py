"""Observation where Loaderscope is not installed: `loaderscope run` puts this folder, and no other, on PYTHONPATH.

It leaves `sys.path` as it would be without it, runs the `sitecustomize` that it hides, and makes `loader_core` (alone)
importable. A python that is too old for us, which the script may start, is left as it is.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would cost each start 5 ms
_PACKAGE = os.path.dirname(_HERE)  # noqa: PTH120
_OLDEST_PYTHON = (3, 11)


class _OnlyOurs:
    """Finds the package that this file is part of, when nobody else has found one of that name."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def] # read by old pythons too
        """The spec of `loader_core`; None for all others."""
        if name != "loader_core":
            return None
        return spec_from_file_location(
            name,
            os.path.join(_PACKAGE, "__init__.py"),  # noqa: PTH118 - pathlib would cost each start milliseconds
            submodule_search_locations=[_PACKAGE],
        )


def _observe() -> None:
    sys.meta_path.append(_OnlyOurs)
    from loader_core import start

    if start.wanted():
        start.begin()


def _run_hidden() -> None:
    spec = PathFinder.find_spec(__name__, sys.path)
    if spec is not None and spec.loader is not None:
        hidden = sys.modules[__name__] = module_from_spec(spec)
        spec.loader.exec_module(hidden)


sys.path[:] = [entry for entry in sys.path if entry != _HERE]
if sys.version_info >= _OLDEST_PYTHON:
    _observe()
_run_hidden()
