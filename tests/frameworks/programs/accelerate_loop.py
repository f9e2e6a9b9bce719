"""A loop as users of accelerate write it. python accelerate_loop.py WORKERS CONTEXT PERSISTENT"""

from __future__ import annotations

import sys

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader, TensorDataset


def main(workers, context, persistent):
    set_seed(7)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    more = {"multiprocessing_context": context, "persistent_workers": persistent} if workers else {}
    features = torch.randn(44, 4)
    train = DataLoader(TensorDataset(features, features.sum(1)), 8, shuffle=True, num_workers=workers, **more)
    val = DataLoader(TensorDataset(features[:16], features[:16].sum(1)), 8, num_workers=workers, **more)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    model, optimizer, train, val = accelerator.prepare(model, optimizer, train, val)
    for _ in range(2):
        for inputs, targets in train:
            with accelerator.accumulate(model):
                loss = torch.nn.functional.mse_loss(model(inputs)[:, 0], targets)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
                print(loss.item().hex(), accelerator.sync_gradients)
        with torch.no_grad():
            for inputs, targets in val:
                print("val", torch.nn.functional.mse_loss(model(inputs)[:, 0], targets).item().hex())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3] == "persistent")
