"""Loaders that come and go: one made anew in each epoch, the same but kept, two that live at once on
one line with data of their own, two that are iterated at once, one that is never used.
"""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader, TensorDataset

numbers = TensorDataset(torch.arange(8))
unused = DataLoader(numbers)
for _epoch in range(3):
    loader = DataLoader(numbers, batch_size=2)
    for _batch in loader:
        pass
both = [DataLoader(part, batch_size=4) for part in (numbers, TensorDataset(torch.arange(4)))]
for each in both:
    for _batch in each:
        pass
kept = []
for _epoch in range(2):
    kept.append(DataLoader(numbers, batch_size=8))
    for _batch in kept[-1]:
        pass
at_once = [DataLoader(numbers, batch_size=8) for _ in range(2)]
for _pair in zip(*at_once, strict=True):
    pass
