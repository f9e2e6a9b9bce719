"""The engine: how a batch gets from the dataset to you."""

from loader_core.engine.device import Simulated
from loader_core.engine.loader import DataLoader

__all__ = ["DataLoader", "Simulated"]
