"""A small model that really learns, as the consumer at the end of a loader.

Small on purpose: a step over 32 pictures takes about 10 ms on one core, so that a timeline shows the loader, and yet
the loss halves within some thirty steps.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from loader_core.scenarios.text import VOCABULARY

Batch = tuple[Tensor, Tensor]
"""Inputs `(B, ...)`, and labels `(B,) int64`."""

_PICTURE_PX = 64
"""Side to which pictures are averaged first, so that a step costs the same for every image_size."""


class Pictures(nn.Module):
    """`(B, 3, H, W) uint8` -> `(B, classes)`: three strided convolutions and the mean over the picture."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(_PICTURE_PX),
            *(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(32, 48, 3, stride=2, padding=1), nn.ReLU()),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(48, classes),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores of the classes; pixels are scaled to -1 .. 1 here."""
        scores: Tensor = self.layers(pixels.float().div_(127.5).sub_(1))
        return scores


class Sequences(nn.Module):
    """`(B, longest) int64` token ids, 0 where padded -> `(B, classes)`: the mean of the tokens' embeddings."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(VOCABULARY, 32, mode="mean", padding_idx=0)
        self.score = nn.Linear(32, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the classes."""
        scores: Tensor = self.score(self.embed(tokens))
        return scores


class Rows(nn.Module):
    """`(B, features) float32` -> `(B, classes)`: one hidden layer."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, rows: Tensor) -> Tensor:
        """Scores of the classes."""
        scores: Tensor = self.layers(rows)
        return scores


class Adam:
    """Adam (Kingma & Ba, https://arxiv.org/abs/1412.6980) without weight decay.

    Written out because the first use of `torch.optim` imports torch's compiler, which takes more than a second: as
    long as all else between the start of a run and its first batch.
    """

    def __init__(self, parameters: list[nn.Parameter], *, rate: float, beta1: float = 0.9, beta2: float = 0.99) -> None:
        self.parameters = parameters
        self.rate, self.beta1, self.beta2 = rate, beta1, beta2
        self.means = [torch.zeros_like(parameter) for parameter in parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in parameters]
        self.steps = 0

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter against its gradient, and forget the gradient."""
        self.steps += 1
        unbiased1, unbiased2 = 1 - self.beta1**self.steps, 1 - self.beta2**self.steps
        for parameter, mean, square in zip(self.parameters, self.means, self.squares, strict=True):
            if parameter.grad is None:
                continue
            mean.lerp_(parameter.grad, 1 - self.beta1)
            square.lerp_(parameter.grad.square(), 1 - self.beta2)
            deviation = square.div(unbiased2).sqrt_().add_(1e-8)
            parameter.addcdiv_(mean, deviation, value=-self.rate / unbiased1)
            parameter.grad = None


class Training:
    """A model and its optimizer: `step(batch)` learns from a batch and returns its loss.

    Belongs to the thread that calls it. `device` is where the model lives; a batch that is elsewhere is moved there.
    """

    def __init__(self, model: nn.Module, *, rate: float = 1e-2, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device).train()
        self.optimizer = Adam(list(self.model.parameters()), rate=rate)

    def step(self, batch: Batch) -> float:
        """The mean cross entropy of the batch in nats, before the step was taken; waits for the device."""
        inputs, labels = (part.to(self.device, non_blocking=True) for part in batch)
        loss = functional.cross_entropy(self.model(inputs), labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def make_training(
    kind: Literal["images", "text", "table"], *, classes: int, seed: int, device: torch.device | str = "cpu"
) -> Training:
    """A training that fits samples of this kind, the same one for the same seed.

    Takes the seed from and for itself only: torch's global generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module
        if kind == "images":
            model = Pictures(classes)
        elif kind == "text":
            model = Sequences(classes)
        else:
            model = Rows(4, classes)
    return Training(model, device=device)
