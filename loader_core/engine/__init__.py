"""The engine: how a batch gets from the dataset to you."""

from loader_core.engine.device import Simulated
from loader_core.engine.loader import DataLoader
from loader_core.engine.packed import PackedList
from loader_core.engine.sampler import PermutationSampler

__all__ = ["DataLoader", "PackedList", "PermutationSampler", "Simulated"]
