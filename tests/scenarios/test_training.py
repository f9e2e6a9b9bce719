"""The consumer that learns: our Adam is torch's, and steps bring no compiler with them."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from loader_core.scenarios.training import Adam, make_training


def test_our_adam_takes_the_same_steps_as_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(6, 3), nn.Linear(6, 3)
    theirs.load_state_dict(ours.state_dict())
    adam = Adam(list(ours.parameters()), rate=0.05)
    reference = torch.optim.Adam(theirs.parameters(), lr=0.05, betas=(0.9, 0.99))
    for _ in range(20):
        inputs = torch.randn(8, 6)
        reference.zero_grad()
        for model in (ours, theirs):
            model(inputs).square().mean().backward()
        adam.step()
        reference.step()
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-5)


def test_pictures_of_any_size_can_be_learnt() -> None:
    training = make_training("images", classes=3, seed=0)
    for side in (16, 80, 161):
        batch = (torch.randint(0, 256, (4, 3, side, side), dtype=torch.uint8), torch.tensor([0, 1, 2, 0]))
        assert training.step(batch) > 0


def test_a_step_does_not_import_torchs_compiler() -> None:
    program = (
        "import sys, torch; from loader_core.scenarios.training import make_training;"
        "make_training('table', classes=2, seed=0).step((torch.ones(2, 4), torch.tensor([0, 1])));"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)
