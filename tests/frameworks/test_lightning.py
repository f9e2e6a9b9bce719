"""Lightning takes our loader wherever it takes torch's, and our engine stays in charge."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import RandomSampler, SequentialSampler

from loader_core.engine import DataLoader
from loader_core.trace import Kind, Recording, Trace
from tests.frameworks.datasets import Points

L = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed: pip install 'lightning>=2.6'")

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore"),  # theirs: few workers, few batches, what torch will drop
    pytest.mark.timeout(120),
]


class Line(L.LightningModule):  # type: ignore[misc, name-defined]
    """A line through points, and the numbers of the points that each step was given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.trained: list[list[int]] = []
        self.validated: list[list[int]] = []
        self.losses: list[float] = []

    def _loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.layer(batch["inputs"]), batch["labels"])

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        loss = self._loss(batch)
        self.trained.append(batch["number"].tolist())
        self.losses.append(float(loss))
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], _: int) -> None:
        self.validated.append(batch["number"].tolist())

    def predict_step(self, batch: dict[str, torch.Tensor], _: int) -> list[int]:
        numbers: list[int] = batch["number"].tolist()
        return numbers

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05)


def trainer(folder: Path, **arguments: Any) -> Any:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return L.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        **{**quiet, "enable_checkpointing": False, "max_epochs": 2, **arguments},
    )


@pytest.mark.parametrize("workers", [{}, {"num_workers": 2}, {"num_workers": 2, "persistent_workers": True}], ids=str)
def test_a_fit_equals_one_with_torchs_loader(workers: dict[str, Any], tmp_path: Path) -> None:
    def fitted(cls: type[TorchDataLoader[Any]]) -> list[Any]:
        L.seed_everything(7, workers=True, verbose=False)
        model = Line()
        trainer(tmp_path).fit(model, cls(Points(), 4, shuffle=True, **workers), cls(Points(10), 4, **workers))
        return [model.trained, model.validated, model.losses]

    ours = fitted(DataLoader)
    assert ours == fitted(TorchDataLoader)
    assert len(ours[2]) == 2 * 8


def test_each_step_of_a_fit_is_recorded(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="run") as recording:
        trainer(tmp_path, max_epochs=1).fit(Line(), DataLoader(Points(), 4, num_workers=2, recording=recording))
    rows = Trace.open(tmp_path / "run").window(0, 2**62)
    assert sorted(rows["batch"][rows["kind"] == Kind.STEP].tolist()) == list(range(8))


def test_the_end_of_a_fit_ends_persistent_workers(tmp_path: Path) -> None:
    loader = DataLoader(Points(), 4, num_workers=2, persistent_workers=True)
    trainer(tmp_path).fit(Line(), loader)
    assert loader._iterator is None  # and the leak check finds no worker


def test_a_prediction_rebuilds_our_loader_as_ours(tmp_path: Path) -> None:
    """Lightning wraps the batch sampler, so it makes the loader again from its attributes."""
    with Recording.create(tmp_path / "run", run_id="run") as recording:
        loader = DataLoader(Points(10), 4, num_workers=2, worker_method="thread", recording=recording)
        predicting = trainer(tmp_path)
        assert predicting.predict(Line(), loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        rebuilt = predicting.predict_dataloaders
    assert type(rebuilt) is DataLoader
    assert rebuilt.worker_method == "thread"
    rows = Trace.open(tmp_path / "run").window(0, 2**62)
    assert (rows["kind"] == Kind.STEP).sum() == 3


def test_a_fit_goes_on_in_mid_epoch(tmp_path: Path) -> None:
    """Lightning keeps the state of loaders that have one in its checkpoints."""
    whole, stopped, resumed = Line(), Line(), Line()

    def fit(model: Line, seed: int, ckpt_path: str | None = None, **arguments: Any) -> None:
        L.seed_everything(seed, workers=True, verbose=False)
        loader = DataLoader(Points(), 4, shuffle=True, num_workers=2)
        trainer(tmp_path, **arguments).fit(model, loader, ckpt_path=ckpt_path)

    keep = L.callbacks.ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=3)
    fit(whole, 7)
    fit(stopped, 7, max_steps=5, enable_checkpointing=True, callbacks=[keep])
    fit(resumed, 8, ckpt_path=keep.best_model_path)
    assert stopped.trained == whole.trained[:5]
    assert resumed.trained[:5] == whole.trained[3:8]


class Noting(Line):
    """Writes what it was trained on to a file of its rank, and which class of loader gave it."""

    def __init__(self, folder: Path, *, hook: bool) -> None:
        super().__init__()
        self.folder = folder
        if hook:
            self.train_dataloader = self._train_dataloader

    def _train_dataloader(self) -> Any:
        return DataLoader(Points(), 4, shuffle=True, num_workers=1)

    def on_train_end(self) -> None:
        kind = type(self.trainer.train_dataloader)
        torch.save(
            {"numbers": list(chain(*self.trained)), "kind": f"{kind.__module__}.{kind.__name__}"},
            self.folder / f"rank{self.global_rank}",
        )


@pytest.mark.parametrize("hook", [False, True], ids=["passed to fit", "from a hook"])
def test_two_ranks_share_the_samples_out_and_keep_our_engine(hook: bool, tmp_path: Path) -> None:
    model = Noting(tmp_path, hook=hook)
    loader = None if hook else DataLoader(Points(), 4, shuffle=True, num_workers=1)
    trainer(tmp_path, devices=2, strategy="ddp_fork", max_epochs=1).fit(model, loader)
    ranks = [torch.load(tmp_path / f"rank{rank}") for rank in range(2)]
    assert Counter(ranks[0]["numbers"] + ranks[1]["numbers"]) == Counter(range(32))
    assert {rank["kind"] for rank in ranks} == {"loader_core.engine.loader.DataLoader"}


@pytest.mark.parametrize("sampler", [SequentialSampler, RandomSampler])
def test_a_sampler_of_the_users_own_is_kept(sampler: Any, tmp_path: Path) -> None:
    points = Points(8)
    model = Line()
    trainer(tmp_path, max_epochs=1).fit(model, DataLoader(points, 4, sampler=sampler(points)))
    assert sorted(chain(*model.trained)) == list(range(8))
