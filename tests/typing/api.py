"""The public API, used as a user would. mypy checks it; nothing runs it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import TensorDataset

from loader_core import DataLoader, PackedList, PermutationSampler, Recording, Simulated, Trace, stage
from loader_core.observe import observe

dataset = TensorDataset(torch.zeros(8, 2))

with Recording.create(Path("run"), run_id="run", name="typed") as recording:
    loader: DataLoader[tuple[torch.Tensor, ...]] = DataLoader(
        dataset,
        4,
        shuffle=True,
        num_workers=2,
        prefetch_factor=4,
        persistent_workers=True,
        worker_method="thread",
        device=Simulated(gb_per_s=12.0),
        recording=recording,
    )
    torchs_own: TorchDataLoader[tuple[torch.Tensor, ...]] = loader
    for batch in loader:
        print(batch)
    assert_type(observe([1, 2, 3], recording), list[int])
    assert_type(observe(loader, detail="batch"), DataLoader[tuple[torch.Tensor, ...]])

assert_type(recording, Recording)
assert_type(PackedList(["a", "b"])[0], str)
assert_type(list(PermutationSampler(10**12, seed=3)), list[int])


@stage("decode")
def decode(encoded: bytes) -> str:
    return encoded.decode()


assert_type(decode(b"x"), str)

with stage("augment"):
    pass

trace = Trace.open(Path("run"))
assert_type(trace, Trace)
assert_type(trace.refresh(), int)
assert_type(trace.batches, int)
assert_type(trace.duration_ns, int)
assert_type(trace.stages, dict[int, str])
assert_type(trace.truncated, str)

DataLoader(dataset, worker_method="fiber")  # type: ignore[arg-type]  # a wrong name is found before it runs
Recording.create("run", run_id="run")  # type: ignore[arg-type]  # a directory is a Path
trace.window("0", 1)  # type: ignore[arg-type]  # times are numbers
