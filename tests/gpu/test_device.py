"""On a real accelerator: page-locked slots, asynchronous copies, and memory that is not used again too early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from loader_core.engine import DataLoader
from loader_core.trace import Flag, Kind, Recording, Trace
from tests.engine.datasets import Images, Mixed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device: run on a host that has one"),
    pytest.mark.leaks(
        threads="CUDA's own", descriptors="CUDA's own", mapped_files="CUDA's own", processes="CUDA's own"
    ),
]

POOLS: list[dict[str, Any]] = [{}, {"num_workers": 2, "worker_method": "thread"}, {"num_workers": 2}]


@pytest.mark.parametrize("pool", POOLS, ids=["inline", "thread", "process"])
def test_batches_arrive_whole(pool: dict[str, Any]) -> None:
    loader = DataLoader(Images(), 4, device="cuda", pin_memory=True, **pool)
    for _ in range(5):
        for number, (images, labels) in enumerate(loader):
            assert images.device.type == "cuda"
            assert labels.tolist() == list(range(number * 4, number * 4 + 4))
            assert bool((images == labels.to(torch.uint8).view(-1, 1, 1, 1)).all())


@pytest.mark.parametrize("pool", POOLS, ids=["inline", "thread", "process"])
def test_slots_are_page_locked_so_that_nothing_is_copied_to_pin_it(pool: dict[str, Any]) -> None:
    loader = DataLoader(Images(), 4, pin_memory=True, **pool)
    for images, labels in loader:
        assert images.is_pinned()
        assert labels.is_pinned()


def test_a_batch_with_text_keeps_it() -> None:
    for batch in DataLoader(Mixed(), 8, num_workers=2, device="cuda", pin_memory=True):
        assert batch["tensor"].device.type == "cuda"
        assert batch["text"] == [f"sample {index}" for index in batch["number"].tolist()]


def test_memory_is_not_used_again_while_the_device_still_reads_it() -> None:
    # The consumer's stream is kept busy, so that copies are handed over long before anything reads them.
    loader = DataLoader(Images(), 4, num_workers=2, device="cuda", pin_memory=True)
    sums = []
    for images, _ in loader:
        torch.cuda._sleep(20_000_000)
        sums.append(images.float().mean(dim=(1, 2, 3)))
        del images
    assert torch.cat(sums).tolist() == list(range(48))


def test_copies_are_recorded_on_the_devices_clock(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="run") as recording:
        for _ in DataLoader(Images(), 4, num_workers=2, device="cuda", pin_memory=True, recording=recording):
            pass
    rows = Trace.open(tmp_path / "run").window(0, 2**62)
    copies = rows[rows["kind"] == Kind.COPY]
    assert sorted(copies["batch"].tolist()) == list(range(12))
    assert (copies["end"] > copies["start"]).all()
    assert not (copies["flags"] & Flag.SIMULATED).any()
    received = {int(row["batch"]): int(row["start"]) for row in rows[rows["kind"] == Kind.RECEIVE]}
    assert all(int(copy["end"]) > received[int(copy["batch"])] for copy in copies)
