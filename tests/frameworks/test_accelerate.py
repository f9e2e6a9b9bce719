"""accelerate prepares our loader as it prepares torch's, and our engine can stay in charge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader as TorchDataLoader

from loader_core.engine import DataLoader
from loader_core.trace import Kind, Recording, Trace
from tests.frameworks.datasets import Points, PointStream

accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed: pip install 'accelerate>=1.15'")

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(120)]


@pytest.fixture
def accelerator() -> Iterator[Any]:
    accelerate.utils.set_seed(7)
    accelerator = accelerate.Accelerator(cpu=True)
    yield accelerator
    accelerator.free_memory()  # it keeps each loader that it has prepared, and so the persistent workers
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)


def kept(shard: Any, **ours: Any) -> Any:
    """As docs/frameworks.md tells: accelerate has built a loader of torch's, and ours takes its place."""
    shard.base_dataloader = DataLoader.of(shard.base_dataloader, **ours)
    return shard


def numbers(loader: Any, epochs: int = 2) -> list[list[int]]:
    return [batch["number"].tolist() for _ in range(epochs) for batch in loader]


LOADERS: list[tuple[Any, dict[str, Any]]] = [
    (Points(30), {"batch_size": 4, "shuffle": True}),
    (Points(30), {"batch_size": 4, "drop_last": True, "num_workers": 2, "persistent_workers": True}),
    (Points(30), {"batch_sampler": [[0, 3], [5], [7, 8, 9]]}),
    (PointStream(30), {"batch_size": 4, "num_workers": 2}),
]


@pytest.mark.parametrize(("dataset", "arguments"), LOADERS)
def test_a_prepared_loader_equals_one_of_torchs(accelerator: Any, dataset: Any, arguments: dict[str, Any]) -> None:
    theirs = numbers(accelerator.prepare(TorchDataLoader(dataset, **arguments)))
    accelerate.utils.set_seed(7)
    prepared = accelerator.prepare(DataLoader(dataset, **arguments))
    assert numbers(kept(prepared)) == theirs


def test_a_prepared_loader_is_torchs_until_ours_takes_its_place(accelerator: Any) -> None:
    """If this fails, accelerate has learned to build loaders of our class, and docs/frameworks.md can say so."""
    prepared = accelerator.prepare(DataLoader(Points(), 4))
    assert type(prepared.base_dataloader) is TorchDataLoader
    assert type(kept(prepared).base_dataloader) is DataLoader


def test_batches_are_skipped_as_after_a_checkpoint(accelerator: Any) -> None:
    prepared = kept(accelerator.prepare(DataLoader(Points(16), 4, num_workers=1)))
    rest = kept(accelerate.skip_first_batches(prepared, 2))
    assert numbers(rest, epochs=1) == [[8, 9, 10, 11], [12, 13, 14, 15]]


def test_what_is_prepared_records_its_batches(accelerator: Any, tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="run") as recording:
        prepared = accelerator.prepare(DataLoader(Points(), 4, shuffle=True, num_workers=2))
        assert len(numbers(kept(prepared, recording=recording), epochs=1)) == 8
    rows = Trace.open(tmp_path / "run").window(0, 2**62)
    assert (rows["kind"] == Kind.STEP).sum() == 8


def test_gradients_are_accumulated_to_the_end_of_an_epoch(accelerator: Any) -> None:
    """accelerate looks one batch ahead to know the last one."""
    loader = kept(accelerator.prepare(DataLoader(Points(12), 4, num_workers=1)))
    assert [loader.end_of_dataloader for _ in loader] == [False, False, True]


def share_of_a_rank(folder: Path, seed: int) -> None:
    accelerate.utils.set_seed(seed)
    accelerator = accelerate.Accelerator(cpu=True)
    loader = kept(accelerator.prepare(DataLoader(Points(), 4, shuffle=True, num_workers=1)))
    torch.save(
        {"numbers": numbers(loader, epochs=1), "kind": loader.base_dataloader.__class__.__module__},
        folder / f"rank{accelerator.process_index}",
    )


def test_two_ranks_share_the_samples_out(tmp_path: Path) -> None:
    accelerate.debug_launcher(share_of_a_rank, (tmp_path, 5), num_processes=2)
    ranks = [torch.load(tmp_path / f"rank{rank}") for rank in range(2)]
    assert Counter(chain(*ranks[0]["numbers"], *ranks[1]["numbers"])) == Counter(range(32))
    assert {rank["kind"] for rank in ranks} == {"loader_core.engine.loader"}
