"""Recording a case: really, in a process of its own, by our engine's `recording=` or by `observe` of torch's loader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader as TorchDataLoader

from loader_core.engine.loader import DataLoader
from loader_core.errors import RecordingError
from loader_core.observe import observe
from loader_core.scenarios.faults.catalogue import fault_of
from loader_core.scenarios.faults.fault import Case, Load
from loader_core.scenarios.faults.pieces import Waits
from loader_core.trace import DEFAULT_BUDGET_BYTES, Control, Detail, Recording, RecordingShare, process_meter
from loader_core.trace.run_file import RUN_FILE

LONGEST_S = 60.0
"""A process that takes longer is ended."""

STEP = "step_s"

_PLAIN = ("batch_size", "num_workers", "prefetch_factor", "persistent_workers", "pin_memory", "in_order", "drop_last")

Arguments = Mapping[str, Any]


def record(case: Case, directory: Path, arguments: Arguments | None = None) -> None:
    """Run a case, and record it into `directory`, in a process of its own (of its ranks: one each).

    arguments: of the loader, plain values that take the place of the case's own: what an advice changes. And `STEP`,
        if a step that waits is to last as long as that of another recording, whose run.json has it in `loader`: how
        long it should last is else measured each time.
    Raises RecordingError, with what the process said, where it fails or takes longer than `LONGEST_S`.
    """
    case.folder.mkdir(parents=True, exist_ok=True)
    fault = fault_of(case.fault)
    command = [sys.executable, "-m", "loader_core.scenarios.faults", case.fault, case.strength, case.engine]
    command += [str(case.folder), str(directory), json.dumps(dict(arguments or {}))]
    home = str(Path(__file__).resolve().parents[3])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "LOADERSCOPE_GROUP": f"{os.getpid()}-{time.monotonic_ns()}",
        "OMP_NUM_THREADS": "1",
    }
    processes = [
        subprocess.Popen(
            command,
            env={**environment, "RANK": str(rank), "WORLD_SIZE": str(fault.ranks)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(fault.ranks)
    ]
    failed = ""
    for process in processes:
        try:
            _, said = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
        if process.returncode:
            failed = failed or f"{case} could not be recorded (exit code {process.returncode}): {said[-2000:]}"
    if failed:
        raise RecordingError(failed)


def run(case: Case, directory: Path, arguments: Arguments | None = None) -> None:
    """Run a case in this process, which should be its own: its limits and threads are changed."""
    torch.set_num_threads(1)
    load = fault_of(case.fault).make(case.strength, case.engine, case.folder)
    given = {**load.arguments, **load.ours} if case.engine == "ours" else dict(load.arguments)
    given.update(arguments or {})
    step_s = given.pop(STEP, None)
    if step_s is not None and isinstance(load.step, Waits):
        load.step.seconds = step_s
    if given.get("num_workers"):
        given.setdefault("multiprocessing_context", "fork")
    if load.look_every_ns is not None:
        process_meter.SMALLEST_GAP_NS, process_meter.COST_SHARE = load.look_every_ns, 1.0
    with ExitStack() as stack:
        stack.enter_context(load.around())
        recording = stack.enter_context(_recording(case, directory, given))
        recording.control.detail = Detail.STAGE
        if case.engine == "ours":
            loader: Any = DataLoader(load.dataset, recording=recording, **given)
        else:
            given = {name: value for name, value in given.items() if name != "worker_method"}
            loader = observe(TorchDataLoader(load.dataset, **given), recording)
        _said(recording, case, loader, load)
        _loop(loader, load)
        del loader


def _loop(loader: Any, load: Load) -> None:
    deadline, epochs = time.monotonic() + load.seconds, 0
    while True:
        for batch in loader:
            load.step(batch)
            del batch
            if time.monotonic() >= deadline:
                return
        epochs += 1
        if load.epochs is not None and epochs >= load.epochs:
            return


# --- the recording ----------------------------------------------------------------------------------------------------


class _OfRank(Recording):
    """What a rank beside the first records into the run of that one, whose run.json it leaves alone."""

    def update(self, **fields: Any) -> None:
        """Nothing: the first rank says how the run goes."""


def _recording(case: Case, directory: Path, arguments: Arguments) -> Recording:
    rank = int(os.environ.get("RANK", "0"))
    if rank == 0:
        return Recording.create(directory, run_id=directory.name, name=str(case))
    deadline = time.monotonic() + LONGEST_S / 2
    while not (directory / RUN_FILE).exists():
        if time.monotonic() > deadline:
            raise RecordingError(f"rank 0 has not begun to record into {directory}")
        time.sleep(0.01)
    header = json.loads((directory / RUN_FILE).read_text())
    share = RecordingShare(directory, header["clock"]["perf_ns"], rank, DEFAULT_BUDGET_BYTES)
    return _OfRank(share, Control.open(directory), header)


def _said(recording: Recording, case: Case, loader: Any, load: Load) -> None:
    """Write the loader's arguments into run.json, as they are where a script is observed."""
    plain = {name: value for name in _PLAIN if (value := getattr(loader, name, None)) is not None}
    context = getattr(getattr(loader, "multiprocessing_context", None), "_name", None)
    method = getattr(loader, "worker_method", "process")
    said = {**plain, "multiprocessing_context": context, "worker_method": method, "engine": case.engine}
    if isinstance(load.step, Waits):
        said[STEP] = load.step.seconds
    recording.update(loader=said)
