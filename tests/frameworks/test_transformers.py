"""The Trainer of Hugging Face trains on our loader, with the losses that torch's gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader as TorchDataLoader
from torch.utils.data import Dataset

from loader_core.engine import DataLoader
from loader_core.trace import Kind, Recording, Trace

pytest.importorskip("accelerate", reason="accelerate is not installed: pip install 'accelerate>=1.15'")
transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed: pip install 'transformers[torch]>=5'"
)

pytestmark = [pytest.mark.frameworks, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(120)]

WORDS = 64


class Sentences(Dataset[dict[str, torch.Tensor]]):
    """`input_ids (12,) int64` and `labels (12,) int64`, from a rule that can be learned."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        words = (torch.arange(12) * (number % 5 + 1)) % WORDS
        return {"input_ids": words, "labels": words}


def tiny() -> Any:
    """A language model of a few thousand weights, made here: nothing is downloaded."""
    torch.manual_seed(1)
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=WORDS, n_positions=12, n_embd=16, n_layer=1, n_head=2)
    )


def trained(folder: Path, loader: TorchDataLoader[Any], **arguments: Any) -> list[float]:
    """The loss of each step."""

    class Trainer(transformers.Trainer):  # type: ignore[misc, name-defined]
        def get_train_dataloader(self) -> TorchDataLoader[Any]:
            return loader

    settings = transformers.TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=2,
        logging_steps=1,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        seed=7,
        **arguments,
    )
    trainer = Trainer(model=tiny(), args=settings, train_dataset=loader.dataset)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.fixture(autouse=True)
def apart() -> Iterator[None]:
    """Each trainer sets the process-wide state of accelerate."""
    import accelerate

    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("workers", [{}, {"num_workers": 2, "persistent_workers": True}], ids=str)
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_training_equals_one_with_torchs_loader(workers: dict[str, Any], accumulate: int, tmp_path: Path) -> None:
    def losses(cls: type[TorchDataLoader[Any]]) -> list[float]:
        generator = torch.Generator().manual_seed(3)
        loader = cls(Sentences(), 4, shuffle=True, generator=generator, **workers)
        return trained(tmp_path, loader, gradient_accumulation_steps=accumulate)

    ours = losses(DataLoader)
    assert ours == losses(TorchDataLoader)
    assert len(ours) == 2 * 6 // accumulate
    assert ours[-1] < ours[0]


def test_each_step_of_a_training_is_recorded(tmp_path: Path) -> None:
    with Recording.create(tmp_path / "run", run_id="run") as recording:
        trained(tmp_path / "trainer", DataLoader(Sentences(), 4, num_workers=1, recording=recording))
    rows = Trace.open(tmp_path / "run").window(0, 2**62)
    assert (rows["kind"] == Kind.STEP).sum() == 2 * 6
