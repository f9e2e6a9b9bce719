"""To the device: copies before compute and beside it, on the host's accelerator or on the simulated one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from loader_core.lessons.lesson import Findings, Lesson, Parameter, Question, Setting, Task
from loader_core.lessons.log import Measure
from loader_core.lessons.recorded import Run, common_ns, line_of, rows_of, tell, total_ns, wait_share
from loader_core.trace import Flag, Kind, Recording

PROGRAM = """
import tempfile
import time
from pathlib import Path

import torch

from loader_core.engine import DataLoader, Simulated
from loader_core.engine.device import open_copier
from loader_core.observe import observe
from loader_core.trace import Delivery, Recording

# es: El acelerador de este equipo; si no lo hay, uno simulado.
# en: This host's accelerator; where there is none, a simulated one.
REAL = torch.accelerator.is_available()
DEVICE = "accelerator" if REAL else Simulated(gb_per_s=$gb_per_s)


class Pictures:
    def __init__(self):
        self.pictures = torch.rand(8, 3, 64, 64)

    def __len__(self):
        return 160

    def __getitem__(self, index):
        return self.pictures[index % 8]


def blocking(recording):
    loader = DataLoader(
        Pictures(), batch_size=8, num_workers=1, worker_method="thread", pin_memory=REAL
    )
    copier = open_copier(DEVICE, recording)
    for number, batch in enumerate(loader):
        # es: Se empieza la copia, y se espera a que acabe.
        # en: The copy is begun, and waited for.
        copier.start(Delivery(batch, number, 0, None, len(batch), batch.nbytes, 0))
        yield copier.finish().batch
    copier.close()


def overlapped(recording):
    # es: La copia del lote siguiente va mientras se trabaja con este.
    # en: The next batch is copied while one works on this one.
    return DataLoader(
        Pictures(),
        batch_size=8,
        num_workers=1,
        worker_method="thread",
        pin_memory=REAL,
        device=DEVICE,
        recording=recording,
    )


def compute(batch):
    if batch.device.type == "cpu":
        # es: Simulado: calcula el acelerador, y la CPU espera.
        # en: Simulated: the accelerator computes, the CPU waits.
        time.sleep(0.012)
    else:
        (batch.flatten(1) @ batch.flatten(1).T).sum().item()


def train(batches):
    for batch in batches:
        compute(batch)


if __name__ == "__main__":
    with Recording.create(Path(tempfile.mkdtemp()), run_id="device") as recording:
        train(observe(blocking(recording), recording))  #? blocking
        train(overlapped(recording))  #? overlapped
"""

HIDDEN = 0.5
"""A copy of which this share or more goes on beside compute is hidden."""


def measure(setting: Setting) -> Findings:
    """Runs the program, and both ways once more to hold them against each other."""
    tempfile.tempdir = os.fspath(setting.folder)  # the program's recordings go with this execution
    names = setting.run()
    directory = names["recording"].directory
    told = tell(
        [Run("", directory)], asking=line_of(setting, "in batches:"), working=line_of(setting, "        compute(batch)")
    )
    rows = rows_of(directory, Kind.COPY, Kind.STEP, Kind.WAIT_BATCH)
    copies = rows[rows["kind"] == Kind.COPY]
    beside = common_ns(rows, Kind.COPY, Kind.STEP) / max(1, total_ns(rows, Kind.COPY))
    measures: dict[str, Measure] = {
        "simulated": Measure(bool((copies["flags"] & Flag.SIMULATED).any())),
        "device": Measure("simulated" if not names["REAL"] else _device_name()),
        "batch_bytes": Measure(int(copies["value"].max()), "B"),
        "copies": Measure(len(copies), "copies"),
        "copy": Measure(total_ns(rows, Kind.COPY) / max(1, len(copies)) / 1e9, "s"),
        "beside": Measure(beside, "share"),
        "hidden": Measure(beside >= HIDDEN),
    }
    both = {"blocking": _run(names, "blocking"), "overlapped": _run(names, "overlapped")}
    for way, found in both.items():
        measures |= {
            f"{way}_wait": Measure(wait_share(found), "share"),
            f"{way}_took": Measure(int(found["end"].max() - found["start"].min()) / 1e9, "s"),
        }
    faster = float(measures["blocking_took"].value) / float(measures["overlapped_took"].value)
    return Findings(
        measures=measures | {"faster": Measure(faster, "×")}, lanes=told.lanes, spans=told.spans, steps=told.steps
    )


def _run(names: dict[str, Any], way: str) -> Any:
    from loader_core.observe import observe

    with Recording.create(Path(tempfile.mkdtemp()), run_id=way) as recording:
        batches = names[way](recording)
        names["train"](observe(batches, recording) if way == "blocking" else batches)
    return rows_of(recording.directory, Kind.STEP, Kind.WAIT_BATCH)


def _device_name() -> str:
    import torch

    accelerator = torch.accelerator.current_accelerator()
    return torch.cuda.get_device_name() if torch.cuda.is_available() else str(accelerator)


LESSON = Lesson(
    id="10-device",
    program=PROGRAM,
    variants=("blocking", "overlapped"),
    parameters=(Parameter("gb_per_s", "float", 0.04, min=0.02, max=16, unit="GB/s"),),
    measure=measure,
    traced=False,
    memory_bytes=64 * 1024**3,  # an accelerator's driver maps a lot that it never touches
    prediction=Question(measure="blocking_wait", min=0, max=1, unit="share", tolerance=0.3),
    task=Task(start="blocking", choices=("blocking", "overlapped"), measure="hidden", wanted=True),
    question=Question(measure="copies", min=1, max=32, unit="copies"),
)
