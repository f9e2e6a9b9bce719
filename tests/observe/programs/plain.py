"""A training as people write them: two loaders, a model, losses printed to the last bit.

python plain.py WORKERS CONTEXT PERSISTENT [EPOCHS]
"""

from __future__ import annotations

import random
import sys

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    """Samples that depend on all random states of whoever fetches them."""

    def __init__(self, size):
        self.inputs = torch.randn(size, 4)

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        noise = torch.rand(4) + random.random() + float(np.random.rand())
        return self.inputs[index] + noise, self.inputs[index].sum()


def main(workers, context, persistent, epochs=2):
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    more = {"multiprocessing_context": context, "persistent_workers": persistent} if workers else {}
    train_loader = DataLoader(Noisy(48), batch_size=8, shuffle=True, num_workers=workers, **more)
    val_loader = DataLoader(Noisy(16), batch_size=8, num_workers=workers, **more)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for epoch in range(epochs):
        for inputs, targets in train_loader:
            loss = nn.functional.mse_loss(model(inputs)[:, 0], targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            print(epoch, loss.item().hex())
        with torch.no_grad():
            for inputs, targets in val_loader:
                print("val", nn.functional.mse_loss(model(inputs)[:, 0], targets).item().hex())
    print(torch.rand(1).item().hex(), random.random().hex(), float(np.random.rand()).hex(), type(iter(train_loader)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3] == "persistent", *map(int, sys.argv[4:]))
