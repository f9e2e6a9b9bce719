"""The same events from loaders that are not ours."""

from loader_core.observe.iterable import observe

__all__ = ["observe"]
