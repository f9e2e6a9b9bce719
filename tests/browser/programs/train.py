"""A training with two loaders, one slow sample, and a dataset that keeps what it should let go: for the Diagnose view.

python train.py SECONDS
"""

from __future__ import annotations

import sys
import threading
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from loader_core.trace import stage

SLOW = 37
SLOW_S = 0.3


class Pictures(Dataset):
    """96 random pictures, of which one takes long. Each reading leaves a little behind."""

    def __init__(self, size):
        self.size = size
        self.kept = []

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        with stage("decode"):
            picture = torch.rand(3, 48, 48)
            if index == SLOW:
                threading.Event().wait(SLOW_S)
        with stage("augment"):
            picture = picture.flip(2).clamp(0.1, 0.9)
        self.kept.append(bytearray(200_000))
        return picture, index % 10


def main(seconds):
    torch.manual_seed(3)
    torch.set_num_threads(1)
    train_loader = DataLoader(Pictures(96), batch_size=8, shuffle=True, num_workers=2, persistent_workers=True)
    val_loader = DataLoader(Pictures(24), batch_size=8)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for pictures, labels in train_loader:
            with stage("forward"):
                loss = nn.functional.cross_entropy(model(pictures), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            for pictures, labels in val_loader:
                nn.functional.cross_entropy(model(pictures), labels)


if __name__ == "__main__":
    main(float(sys.argv[1]))
