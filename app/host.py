"""What this machine can do, and whether a run's settings fit it.

Importing torch takes seconds and hundreds of megabytes, so the server never does: the version is read from the
package's metadata, and an accelerator is looked for in a process of its own, only where there may be one.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import multiprocessing
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from app.problems import UnfitError
from app.wire import Accelerator, AccessRole, Capabilities, DatasetInfo, RunSettings
from loader_core.scenarios import catalogue

MOST_WORKERS = 64
WORKERS_PER_CPU = 4
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the kernel's shared memory, not a place for files of ours
ACCELERATOR_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/dev/accel")
"""Device files of NVIDIA, AMD, WSL and others. Where none exists no process is started to ask torch."""

PROBE_TIMEOUT_S = 60.0
PROBE = """
import json, torch
found = None
if torch.accelerator.is_available():
    kind = torch.accelerator.current_accelerator().type
    module = getattr(torch, kind, None)
    name = module.get_device_name(0) if hasattr(module, "get_device_name") else kind
    found = {"name": name, "type": kind}
print(json.dumps(found))
"""


class Host:
    """This machine, as far as runs are concerned. Belongs to the event loop; `probe` may be awaited by many."""

    def __init__(self, data_roots: Sequence[Path] = ()) -> None:
        """`data_roots`: the user's own files and folders of samples, from the command line only."""
        self._roots = data_roots
        self._datasets: list[DatasetInfo] = []
        self._probe: asyncio.Task[Accelerator | None] | None = None

    async def datasets(self) -> list[DatasetInfo]:
        """The catalogue, with the user's folders looked through anew. Raises DatasetError."""
        self._datasets = await asyncio.to_thread(list_datasets, self._roots)
        return self._datasets

    async def accelerator(self) -> Accelerator | None:
        """The device that torch sees; looked for at the first call, remembered afterwards."""
        if self._probe is None:
            self._probe = asyncio.create_task(_probe_accelerator())
        return await asyncio.shield(self._probe)

    async def close(self) -> None:
        """Ends a probe that still runs."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])

    async def capabilities(self, role: AccessRole) -> Capabilities:
        """What this machine can do, for a client with this role."""
        return Capabilities(
            version=version("loaderscope"),
            torch=version("torch"),
            python=platform.python_version(),
            platform=f"{platform.system()} {platform.machine()}",
            cpus=cpus(),
            memory_bytes=psutil.virtual_memory().total,
            shm_free_bytes=shm_free_bytes(),
            accelerator=await self.accelerator(),
            max_workers=max_workers(),
            contexts=["default", *multiprocessing.get_all_start_methods()],
            worker_methods=["process", "thread"],
            role=role,
        )

    async def check(self, settings: RunSettings) -> None:
        """Raises UnfitError for the first setting that this machine, or the chosen data set, cannot follow."""
        dataset = next(
            (entry for entry in self._datasets or await self.datasets() if entry.id == settings.dataset), None
        )
        if dataset is None:
            raise UnfitError(
                f"there is no data set {settings.dataset!r}: GET /api/datasets lists them", field="dataset"
            )
        check_dataset(settings, dataset)
        check_workers(settings)
        check_memory(settings, dataset, shm_free_bytes())
        if settings.device == "accelerator" and await self.accelerator() is None:
            raise UnfitError("torch sees no accelerator here: use device=simulated, or none", field="device")


def list_datasets(roots: Sequence[Path]) -> list[DatasetInfo]:
    """The catalogue as clients see it. Reads folders, so in a worker thread. Raises DatasetError."""
    return [
        DatasetInfo(
            id=entry.id,
            title=entry.title,
            about=entry.about,
            kind=entry.kind,
            samples=entry.samples,
            bytes=entry.nbytes,
            needs_pad=entry.needs_pad,
            trains=entry.trains,
        )
        for entry in catalogue.entries(roots)
    ]


def version(package: str) -> str:
    """The installed version of a package; "" for one that is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def max_workers() -> int:
    """Most workers that a run may have here: four per CPU, at most 64."""
    return min(MOST_WORKERS, WORKERS_PER_CPU * cpus())


def shm_free_bytes() -> int | None:
    """Free shared memory; None where the system has no folder for it."""
    try:
        return shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return None


def check_dataset(settings: RunSettings, dataset: DatasetInfo) -> None:
    """Raises UnfitError where the settings ask of the data set what it cannot give."""
    if dataset.needs_pad and settings.collate != "pad":
        raise UnfitError(
            f"samples of {dataset.id} differ in length, so they cannot be stacked: use collate=pad", field="collate"
        )
    if settings.collate == "pad" and not dataset.needs_pad:
        raise UnfitError(
            f"samples of {dataset.id} are all of one shape, there is nothing to pad: use collate=default",
            field="collate",
        )
    if settings.consumer == "train" and not dataset.trains:
        raise UnfitError(f"no model here learns from {dataset.id}: use consumer=step, or none", field="consumer")


def check_workers(settings: RunSettings) -> None:
    """Raises UnfitError for more workers, or another kind of them, than there can be."""
    if settings.num_workers > max_workers():
        raise UnfitError(
            f"{settings.num_workers} workers are more than {max_workers()}, "
            f"the most for {cpus()} CPUs here ({WORKERS_PER_CPU} for each, at most {MOST_WORKERS})",
            field="num_workers",
        )
    if settings.engine == "torch" and settings.worker_method == "thread":
        raise UnfitError(
            "torch's DataLoader has no threads as workers: use worker_method=process", field="worker_method"
        )
    context = settings.multiprocessing_context
    if context != "default" and context not in multiprocessing.get_all_start_methods():
        raise UnfitError(
            f"{context} is not a way to start a process on {platform.system()}: "
            f"use {', '.join(multiprocessing.get_all_start_methods())}",
            field="multiprocessing_context",
        )


def check_memory(settings: RunSettings, dataset: DatasetInfo, free_bytes: int | None) -> None:
    """Raises UnfitError when the batches in flight could fill more than half of the free shared memory."""
    batch_bytes = estimate_batch_bytes(settings, dataset)
    if free_bytes is None or batch_bytes is None or settings.worker_method != "process":
        return
    batches = settings.num_workers * settings.prefetch_factor
    if batches * batch_bytes > free_bytes // 2:
        raise UnfitError(
            f"{settings.num_workers} workers x {settings.prefetch_factor} batches of about "
            f"{batch_bytes / 1e6:.1f} MB are {batches * batch_bytes / 1e6:,.0f} MB in flight, more than half of the "
            f"{free_bytes / 1e6:,.0f} MB that are free in {SHARED_MEMORY}: use fewer workers, a smaller "
            "prefetch_factor or smaller batches",
            field="num_workers",
        )


def estimate_batch_bytes(settings: RunSettings, dataset: DatasetInfo) -> int | None:
    """About how many bytes a batch has; None where nothing is known of the samples."""
    if dataset.kind == "images":
        return settings.batch_size * 3 * settings.image_size**2 * 4  # float32 in three channels
    if dataset.bytes is None or not dataset.samples:
        return None
    return settings.batch_size * dataset.bytes // dataset.samples


async def _probe_accelerator() -> Accelerator | None:
    if not _may_have_accelerator():
        return None
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROBE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), PROBE_TIMEOUT_S)
        found: dict[str, Any] | None = json.loads(output or b"null")
    except (TimeoutError, json.JSONDecodeError):
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Accelerator(**found) if found else None


def _may_have_accelerator() -> bool:
    if version("torch").endswith("+cpu"):
        return False
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(Path(file).exists() for file in ACCELERATOR_FILES) or sys.platform == "win32"
