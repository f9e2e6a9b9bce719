"""A rank of a distributed training: started by torchrun, or as a child of this program (`python ranks.py spawn`)."""

from __future__ import annotations

import os
import sys

import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler


def train(rank=None, port=None):
    if rank is not None:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        dist.init_process_group("gloo", rank=rank, world_size=2)
    else:
        dist.init_process_group("gloo")
    dataset = TensorDataset(torch.arange(32.0))
    sampler = DistributedSampler(dataset, shuffle=True, seed=1)
    loader = DataLoader(dataset, batch_size=4, sampler=sampler, num_workers=1)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        total = torch.zeros(1)
        for (batch,) in loader:
            total += batch.sum()
        dist.all_reduce(total)
        if dist.get_rank() == 0:
            print(epoch, total.item(), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    if sys.argv[1:2] == ["spawn"]:
        torch.multiprocessing.start_processes(train, (sys.argv[3],), nprocs=2, start_method=sys.argv[2])
    else:
        train()
