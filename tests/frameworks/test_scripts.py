"""Real programs of three frameworks under `loaderscope run`, unchanged: the same losses to the last bit, every loader
named by the user's own line, a lane for each worker, and the step split into its parts.
"""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from loader_core.trace import Kind, Role, Trace
from tests.observe.scripts import RUN, done, traces

PROGRAMS = Path(__file__).resolve().parent / "programs"

pytestmark = [pytest.mark.frameworks, pytest.mark.timeout(180)]

WAYS = [("0", "-", "-"), ("2", "fork", "-"), ("2", "spawn", "persistent")]
FRAMEWORKS = {
    "lightning_fit.py": "lightning",
    "transformers_train.py": "transformers",
    "accelerate_loop.py": "accelerate",
}
LOADERS = {
    "lightning_fit.py": ("train_loader = ", "train_loader", 12, "val_loader = ", "val_loader", 6),
    "transformers_train.py": ("trainer.train()", "train", 12, "trainer.train()", "eval", 4),
    "accelerate_loop.py": ("train = DataLoader", "train", 12, "val = DataLoader", "val", 4),
}
"""Of each program: the line of the training's loader, what it is called, its steps; and those of the validation's."""

PARTS = {
    "lightning_fit.py": {"transfer": 12, "forward": 12, "backward": 12, "optimizer": 12},
    "transformers_train.py": {"forward": 8, "backward": 8, "optimizer": 4},
    "accelerate_loop.py": {"backward": 10, "optimizer": 4},
}
"""What is seen of the training's 12 steps. accelerate asks for one batch ahead, and the Trainer for as many as it
accumulates: what it does with the last ones of an epoch comes after the loader's last step, and is part of none."""


def named(program: str, text: str, what: str) -> str:
    lines = (PROGRAMS / program).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if text in line]
    return f"{program}:{number} {what}"


def parts(trace: Trace) -> Counter[str]:
    """How often each part of the step was seen on the consumer's lane, and that it lies within its step."""
    rows = trace.window(0, 2**62)
    consumer = [lane.lane for lane in trace.lanes if lane.role is Role.CONSUMER]
    found = rows[(rows["kind"] == Kind.STAGE) & (rows["lane"] == consumer[0])]
    steps = rows[rows["kind"] == Kind.STEP]
    for part in found:
        assert ((steps["start"] <= part["start"]) & (part["end"] <= steps["end"])).any()
    return Counter(trace.stages[value] for value in found["value"].tolist())


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
@pytest.mark.parametrize("program", FRAMEWORKS)
def test_a_program_runs_as_without_us_and_is_seen(program: str, way: tuple[str, ...], tmp_path: Path) -> None:
    if find_spec(FRAMEWORKS[program]) is None:
        pytest.skip(f"{FRAMEWORKS[program]} is not installed: pip install 'loaderscope[frameworks]'")
    plain = done([RUN[0], str(PROGRAMS / program), *way], tmp_path, PROGRAMS)
    seen = done([*RUN, str(PROGRAMS / program), *way], tmp_path, PROGRAMS)
    assert plain.code == 0, plain.err
    assert (seen.code, seen.out) == (0, plain.out), seen.err
    assert "goes on without it" not in seen.err
    found = traces(tmp_path)
    train_line, train, steps, val_line, val, val_steps = LOADERS[program]
    names = {named(program, train_line, train): steps, named(program, val_line, val): val_steps}
    assert {name: trace.batches for name, trace in found.items()} == names
    workers = set(range(int(way[0]))) or {-1}
    for trace in found.values():
        assert trace.run.state == "finished"
        assert {lane.worker for lane in trace.lanes if lane.role is Role.WORKER} == workers
    counted = parts(found[named(program, train_line, train)])
    assert {part: counted[part] for part in PARTS[program]} == PARTS[program]
