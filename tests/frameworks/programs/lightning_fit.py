"""A fit as Lightning's users write it. python lightning_fit.py WORKERS CONTEXT PERSISTENT"""

from __future__ import annotations

import logging
import sys
import warnings

import torch

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
import lightning.pytorch as L  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402


class Line(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch, _):
        loss = torch.nn.functional.mse_loss(self.layer(batch[0])[:, 0], batch[1])
        print(loss.item().hex())
        return loss

    def validation_step(self, batch, _):
        print("val", torch.nn.functional.mse_loss(self.layer(batch[0])[:, 0], batch[1]).item().hex())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


def main(workers, context, persistent):
    L.seed_everything(7, workers=True, verbose=False)
    more = {"multiprocessing_context": context, "persistent_workers": persistent} if workers else {}
    features = torch.randn(48, 4)
    dataset = TensorDataset(features, features.sum(1))
    train_loader = DataLoader(dataset, 8, shuffle=True, num_workers=workers, **more)
    val_loader = DataLoader(TensorDataset(features[:16], features[:16].sum(1)), 8, num_workers=workers, **more)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(accelerator="cpu", max_epochs=2, enable_checkpointing=False, **quiet)
    trainer.fit(Line(), train_loader, val_loader)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3] == "persistent")
