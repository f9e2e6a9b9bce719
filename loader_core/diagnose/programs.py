"""From service times to programs: what workers and the training loop have to do under another setting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from loader_core.diagnose.replay import Phase
from loader_core.diagnose.rows import Numbers
from loader_core.diagnose.service import READ_STAGES, USUAL_RESUME_NS, USUAL_SEND_NS, Service
from loader_core.diagnose.setting import Setting

MOST_CHUNKS = 4
"""Parts into which a fetch that waits is cut: it waits and computes in turn, sample by sample."""
FEW_WAITS = 0.03
"""A fetch that waits for less than this share is taken as computing throughout."""

STEP_GIL_SHARE = 0.15
"""Of a step's CPU time: torch's operations let go of the GIL, what lies between them does not."""

Program = list[tuple[Phase, Numbers]]


@dataclass(frozen=True, slots=True)
class View:
    """One explanation of what was observed."""

    wait_share: float
    gil_share: float
    step_grows: bool = True
    """With the batch; else it takes as long whatever the batch."""
    step_computes: bool = True
    worker_growth: float = 1.0
    """Of a fetch's CPU time, from the training loop's own process to a worker's."""


class Costs:
    """What was observed under the setting `seen`, as it would be under others. Pure."""

    def __init__(self, service: Service, seen: Setting) -> None:
        self.service = service
        self.seen = seen

    def programs(self, setting: Setting, view: View) -> list[Program]:
        """The programs of a worker, of the training loop, and of the beginning of an epoch."""
        service = self.service
        core, wait, tail = self._making(setting, view)
        held = view.gil_share if setting.worker_method == "thread" and setting.num_workers else 0.0
        making = _interleaved(core, wait, held)
        making.append((Phase.CORE, tail))
        stepping = self._stepping(setting, view)
        hand_over = service.hand_over_ns
        if setting.num_workers == 0:
            hand_over = max(hand_over - (USUAL_SEND_NS if service.workers_seen else 0.0), 5_000.0)
        loop: list[tuple[Phase, Numbers]] = [(Phase.WAIT, np.array([service.wake_loop_ns]))]
        loop.append((Phase.GIL if held else Phase.CORE, np.full(len(stepping[0][1]), hand_over)))
        if setting.num_workers == 0:
            loop += [(phase, _fitted(amount, len(stepping[0][1]))) for phase, amount in making]
        loop += stepping
        woken = [(Phase.WAIT, np.array([service.wake_worker_ns]))]
        begin = [(Phase.WAIT, np.array([1.0])), (Phase.WAIT, np.array([self._begin_ns(setting)]))]
        return [woken + making, loop, begin]

    def _begin_ns(self, setting: Setting) -> float:
        ours, service = self.seen, self.service
        spawning = service.spawn_ns if setting.worker_method == "process" else service.spawn_ns / 20
        respawns = setting.num_workers > 0 and not setting.persistent_workers
        respawned = ours.num_workers > 0 and not ours.persistent_workers
        if respawned and respawns:
            return service.begin_ns * setting.num_workers / ours.num_workers + service.cold_ns
        if respawned:
            return min(service.begin_ns, USUAL_RESUME_NS)
        return service.begin_ns + (spawning * setting.num_workers + service.cold_ns if respawns else 0.0)

    def _making(self, setting: Setting, view: View) -> tuple[Numbers, Numbers, Numbers]:
        """CPU time of a fetch, its waiting, and the CPU time of what follows it; per observed batch."""
        service = self.service
        wait = service.fetch_wait * view.wait_share
        core = service.fetch_cpu.copy()
        dilation = (core.sum() + service.fetch_wait.sum() - wait.sum()) / max(core.sum(), 1.0)
        if service.fetch_wait.sum() - wait.sum() < FEW_WAITS * core.sum() or not core.sum():
            dilation = 1.0
        speeds = dict(setting.faster)
        for name, factor in speeds.items():
            if name in service.stages:
                core, wait = _without(core, wait, service.stages[name] * (1 - 1 / factor), reads=reads_of_name(name))
        if setting.cached:
            for name, spent in service.stages.items():
                if reads_of_name(name):
                    core, wait = _without(core, wait, spent, reads=True)
            wait = np.zeros_like(wait)
        core, wait = core / speeds.get("fetch", 1.0), wait / speeds.get("fetch", 1.0)
        send = service.send / speeds.get("send", 1.0) / dilation
        if setting.num_workers == 0 or setting.worker_method == "thread":
            send = np.minimum(send, USUAL_SEND_NS / 3)
        collate = service.collate / speeds.get("collate", 1.0) / dilation
        if setting.num_workers and not self.seen.num_workers:
            core = core * view.worker_growth
        size = setting.batch_size / np.maximum(service.samples, 1.0)
        if setting.batch_size == self.seen.batch_size:
            size = np.ones_like(size)
        return core * size, wait * size, collate * size + send

    @cached_property
    def step_fit(self) -> tuple[float, float] | None:
        """Nanoseconds of a step that each batch costs, and each sample, where batches of several sizes were seen."""
        samples, took = self.service.step_samples, self.service.step_cpu + self.service.step_wait
        sizes, counts = np.unique(samples, return_counts=True)
        sizes = sizes[counts >= 3]
        if len(sizes) < 2 or sizes[-1] < 1.2 * sizes[0]:
            return None
        means = np.array([np.median(took[samples == size]) for size in sizes])
        slope = max(0.0, float((means[-1] - means[0]) / (sizes[-1] - sizes[0])))
        return max(0.0, float(means[-1] - slope * sizes[-1])), slope

    def _stepping(self, setting: Setting, view: View) -> list[tuple[Phase, Numbers]]:
        service = self.service
        factor = 1 / dict(setting.faster).get("step", 1.0)
        if setting.batch_size != self.seen.batch_size:
            factor *= self._step_growth(setting.batch_size, view)
        core, wait = service.step_cpu * factor, service.step_wait * factor
        contended = service.step_wait.sum() > FEW_WAITS * service.step_cpu.sum() > 0.3 * service.step_wait.sum()
        if contended:
            wait = wait * view.wait_share
        if not view.step_computes:
            core, wait = np.zeros_like(core), core + wait
        if service.copy_ns:  # copies go on beside the steps: the slower of the two counts
            wait = np.maximum(wait, service.copy_ns - core)
        if setting.worker_method == "thread" and setting.num_workers:
            held = core * STEP_GIL_SHARE
            return [(Phase.GIL, held), (_team(service), core - held), (Phase.WAIT, np.maximum(wait, 1.0))]
        return [(_team(service), core), (Phase.WAIT, np.maximum(wait, 1.0))]

    def _step_growth(self, batch_size: int, view: View) -> float:
        ratio = batch_size / self.seen.batch_size
        if self.step_fit is not None:
            fixed, each = self.step_fit
            return (fixed + each * batch_size) / max(fixed + each * self.seen.batch_size, 1.0)
        return ratio if view.step_grows else 1.0

    # --- answers ------------------------------------------------------------------------------------------------------


# --- parts ------------------------------------------------------------------------------------------------------------


def _team(service: Service) -> Phase:
    return Phase.TEAM if service.team > 1 else Phase.CORE


def reads_of_name(name: str) -> bool:
    """Whether a stage of this name waits for storage."""
    return any(word in name.lower() for word in READ_STAGES)


def _fitted(amounts: Numbers, count: int) -> Numbers:
    """As many amounts as the training loop has observations, the same ones in turn."""
    return np.resize(amounts, count)


def _without(core: Numbers, wait: Numbers, less: Numbers, *, reads: bool) -> tuple[Numbers, Numbers]:
    """CPU time and waiting without `less` of them: of a reading stage its waiting goes first, else its CPU time."""
    first, second = (wait, core) if reads else (core, wait)
    taken = np.minimum(first, less)
    first, second = first - taken, np.maximum(second - (less - taken), 0.0)
    return (second, first) if reads else (first, second)


def _interleaved(core: Numbers, wait: Numbers, held: float) -> list[tuple[Phase, Numbers]]:
    """A fetch as phases: it waits and computes in turn, in parts of uneven length, as samples do."""
    waits = wait.sum() > FEW_WAITS * core.sum()
    chunks = MOST_CHUNKS if waits else (2 if held else 1)
    random = np.random.default_rng(1)
    parts: list[tuple[Phase, Numbers]] = []
    cuts = random.dirichlet(np.full(chunks, 3.0), len(core)) if chunks > 1 else np.ones((len(core), 1))
    for chunk in range(chunks):
        own = cuts[:, chunk]
        if waits:
            parts.append((Phase.WAIT, wait * own))
        if held:
            parts.append((Phase.GIL, core * own * held))
        parts.append((Phase.CORE, core * own * (1 - held)))
    return parts
