"""What if: the throughput of a run under another setting, by replaying its service times.

One observed run says what each batch costs; `loader_core.diagnose.replay` plays those costs through the queues of
another setting. What the run does not say is tried both ways, and the answer's interval holds both.

- **Waiting that was contention.** A FETCH that took longer than its CPU time waited for storage, or for a core that
  others had. Which of the two: that share of the waiting at which a replay of the observed setting itself takes as long
  as was observed. Where several shares fit, all of them are predicted with.
- **The GIL.** How much of a worker's CPU time holds it, only a run with threads tells. Else `GIL_SHARES` are tried.
- **Sampling.** Batches differ: the replay is repeated with batches drawn anew (bootstrap).
- **The model.** What it missed in the past, from pairs of predicted and measured rates of this host (`ModelError`).

Pure: no clock, thread or file; the same service times give the same predictions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from loader_core.diagnose.programs import FEW_WAITS, Costs, Program, View, reads_of_name
from loader_core.diagnose.replay import Case, Course, Programs, Whole
from loader_core.diagnose.replay import replay as play
from loader_core.diagnose.rows import Numbers
from loader_core.diagnose.service import Service
from loader_core.diagnose.setting import Prediction, Setting

REPLICATES = 12
"""Times that batches are drawn anew for an interval."""
MOST_REPLICATED = 48
"""Settings that are replicated one by one; of more, all get the spread of the observed setting."""
BATCHES = 72
"""Batches that are replayed once queues are full."""
EPOCH_BATCHES = 150
"""Longer epochs are replayed in part, and what their beginning costs is added."""
WAIT_SHARES = tuple(np.linspace(0.0, 1.0, 9).tolist())
"""Shares of the waiting that are tried as storage, the rest as contention."""
GIL_SHARES = (0.1, 0.4, 1.0)
"""Shares of a worker's CPU time under the GIL that are tried where no threads were seen."""
WORKER_GROWTH = 1.5
"""CPU time that a sample may take a worker where the training loop took 1: the loop's allocator has learnt to keep
large blocks, a fresh worker's gives each back and has the kernel clear it again (mallopt(3), M_MMAP_THRESHOLD)."""
THREADS_MAKING = 0.25
"""Weight of how long threads took for a batch, beside how many they made: the interpreter hands its lock on every 5 ms,
and not in turn, so that the former is left to chance, and the replay has it fairly shared."""
ALIKE = 0.03
"""Explanations whose errors differ by less fit equally well."""

LARGEST_CORRECTION = 1.5
Z_90 = 1.645
"""Standard deviations on either side that hold 90 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class ModelError:
    """How far predictions missed on this host so far, as |ln(measured / predicted)|."""

    pairs: int = 0
    median: float = 0.08
    p90: float = 0.22
    """Before anything was measured on a host: a little less than what `benchmarks/predictions.py` has for its goal."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> ModelError:
        """From (predicted, measured) rates. The first few count beside the prior, not instead of it."""
        missed = [abs(math.log(measured / predicted)) for predicted, measured in pairs if predicted > 0 < measured]
        prior = cls()
        if not missed:
            return prior
        weight = len(missed) / (len(missed) + 10)
        median, p90 = float(np.median(missed)), float(np.quantile(missed, 0.9))
        return cls(len(missed), weight * median + (1 - weight) * prior.median, weight * p90 + (1 - weight) * prior.p90)


class Predictor:
    """Predicts from one observed run: `service` was seen under `setting`."""

    def __init__(self, service: Service, setting: Setting, *, error: ModelError | None = None) -> None:
        self.service = service
        self.setting = setting
        self.error = error or ModelError()
        self._costs = Costs(service, setting)

    # --- what is asked ------------------------------------------------------------------------------------------------

    def predict(self, settings: Sequence[Setting]) -> list[Prediction]:
        """A prediction for each of `settings`."""
        if not settings:
            return []
        rates, waits = self._rates(settings, self._views[:1], 1)
        views = self._views_for(settings)
        others = self._rates(settings, views, 1)[0] if len(views) > 1 else rates
        spread = self._spread(settings, rates)
        return [
            self._prediction(setting, float(rates[i]), float(waits[i]), others[i :: len(settings)], float(spread[i]))
            for i, setting in enumerate(settings)
        ]

    def surface(self, workers: Sequence[int], prefetch: Sequence[int], *, like: Setting | None = None) -> Numbers:
        """Samples per second over workers and prefetch factors, `(workers, prefetch)`, all else as in `like`."""
        base = like or self.setting
        settings = [replace(base, num_workers=w, prefetch_factor=p) for w in workers for p in prefetch]
        rates, _ = self._rates(settings, self._views[:1], 1)
        sizes = np.array([setting.batch_size for setting in settings])
        surface: Numbers = (rates * sizes * self._fill).reshape(len(workers), len(prefetch))
        return surface

    # --- explanations of what was observed ----------------------------------------------------------------------------

    @cached_property
    def _views(self) -> list[View]:
        """Explanations that fit the observed setting about equally well, the best first."""
        gil = GIL_SHARES if self.setting.worker_method == "thread" and self.setting.num_workers else (GIL_SHARES[1],)
        views = [View(share, held) for share in WAIT_SHARES for held in gil]
        service = self.service
        waiting = float(service.fetch_wait.sum() / max(service.fetch_cpu.sum() + service.fetch_wait.sum(), 1.0))
        if waiting < FEW_WAITS and len(gil) == 1:
            return [View(1.0, gil[0])]
        course = self._play([self.setting] * len(views), views)
        rates = np.array(
            [_rate(course, i, self._cycle(self.setting), self.setting.num_workers) for i in range(len(views))]
        )
        missed = np.abs(np.log(rates / service.batches_per_s))
        if self.setting.num_workers:
            making = np.abs(np.log(np.maximum(course.making_ns, 1.0) / self._made_ns))
            missed += making * (THREADS_MAKING if len(gil) > 1 else 1.0)
        else:
            return [View(1.0, gil[0])]
        order = np.argsort(missed, kind="stable")
        best = missed[order[0]]
        fitting = [views[i] for i in order if missed[i] <= best + ALIKE]
        if len(gil) > 1:  # where the lock explains the waiting, storage that takes just as long would be a coincidence
            fitting.sort(key=lambda view: view.wait_share)
        return fitting[:1] + _outermost(fitting)

    @property
    def _made_ns(self) -> float:
        service = self.service
        parts = service.fetch_cpu + service.fetch_wait + service.collate
        return float((parts + service.send).mean())

    def _views_for(self, settings: Sequence[Setting]) -> list[View]:
        """The best explanation, and those that differ from it in what these settings ask."""
        views = list(self._views)
        best = views[0]
        threads_seen = self.setting.worker_method == "thread" and self.setting.num_workers
        if not threads_seen and any(setting.worker_method == "thread" and setting.num_workers for setting in settings):
            views += [replace(best, gil_share=share) for share in GIL_SHARES if share != best.gil_share]
        if any(setting.batch_size != self.setting.batch_size for setting in settings) and self._costs.step_fit is None:
            views.append(replace(best, step_grows=False))
        if not self.setting.num_workers and any(setting.num_workers for setting in settings):
            views.append(replace(best, worker_growth=WORKER_GROWTH))
        if not self.service.step_cpu_known:
            views.append(replace(best, step_computes=False))
        return views

    @cached_property
    def _correction(self) -> float:
        """What the replay of the observed setting itself lacks to what was observed."""
        course = self._play([self.setting], self._views[:1])
        ratio = self.service.batches_per_s / _rate(course, 0, self._cycle(self.setting), self.setting.num_workers)
        return float(np.clip(ratio, 1 / LARGEST_CORRECTION, LARGEST_CORRECTION))

    @cached_property
    def _fill(self) -> float:
        """Samples of a batch, against the batch size: the last batch of an epoch may be smaller."""
        return self.service.samples_per_s / max(self.service.batches_per_s, 1e-9) / self.setting.batch_size

    # --- replaying ----------------------------------------------------------------------------------------------------

    def _rates(self, settings: Sequence[Setting], views: Sequence[View], replicates: int) -> tuple[Numbers, Numbers]:
        """Corrected batches per second, and wait shares: `(views * replicates * settings,)`, settings fastest."""
        many = [setting for _ in range(len(views) * replicates) for setting in settings]
        seen = [view for view in views for _ in range(replicates * len(settings))]
        course = self._play(many, seen, replicates=replicates, block=len(settings))
        rates = np.array(
            [_rate(course, i, self._cycle(setting), setting.num_workers) for i, setting in enumerate(many)]
        )
        alike = np.array([self._is_alike(setting) for setting in many])
        rates *= np.where(alike, self._correction, math.sqrt(self._correction))
        alone = np.array([setting.num_workers == 0 for setting in many])
        step_ns = float((self.service.step_cpu / self.service.team + self.service.step_wait).mean())
        by_itself = np.clip(1 - rates * step_ns / 1e9, 0.0, 1.0)
        return rates, np.where(alone, by_itself, _wait_shares(course))

    def _is_alike(self, setting: Setting) -> bool:
        ours = self.setting
        return (setting.num_workers > 0) == (ours.num_workers > 0) and setting.worker_method == ours.worker_method

    def _spread(self, settings: Sequence[Setting], rates: Numbers) -> Numbers:
        """Standard deviation of ln(rate) when batches are drawn anew, per setting."""
        asked = settings if len(settings) <= MOST_REPLICATED else [self.setting]
        found, _ = self._rates(asked, self._views[:1], REPLICATES)
        spread: Numbers = np.log(found.reshape(REPLICATES, len(asked))[1:]).std(axis=0)
        return np.broadcast_to(spread, rates.shape)

    def _cycle(self, setting: Setting) -> int:
        """Batches of an epoch; a huge number where the end of none was seen."""
        seen = self.service.epoch_batches
        if seen is None:
            return 1 << 40
        return max(1, math.ceil(seen * self.setting.batch_size / setting.batch_size - 1e-9))

    def _play(
        self, settings: Sequence[Setting], views: Sequence[View], *, replicates: int = 1, block: int = 1
    ) -> Course:
        programs: list[Program] = []
        known: dict[tuple[Setting, View], tuple[int, int, int]] = {}
        cases = []
        for setting, view in zip(settings, views, strict=True):
            key = (replace(setting, prefetch_factor=1, in_order=True), view)
            if key not in known:
                known[key] = (len(programs), len(programs) + 1, len(programs) + 2)
                programs += self._costs.programs(setting, view)
            make, consume, begin = known[key]
            cycle = self._cycle(setting)
            cases.append(
                Case(
                    workers=setting.num_workers,
                    prefetch=setting.prefetch_factor,
                    cores=setting.cores / setting.ranks,
                    make=make,
                    consume=consume,
                    begin=begin,
                    epoch=cycle if cycle <= EPOCH_BATCHES else 1 << 40,
                    in_order=setting.in_order,
                    team=self.service.team,
                )
            )
        total = _total(cases)
        made, consumed = self._picks(len(cases), total, replicates, block)
        return play(cases, Programs.of(programs), made, consumed)

    def _picks(self, rows: int, total: int, replicates: int, block: int) -> tuple[Whole, Whole]:
        """Which observed batch stands for each replayed one: the same for all settings, so that they compare."""
        makes, steps = len(self.service.fetch_cpu), len(self.service.step_cpu)
        random = np.random.default_rng(0)
        made, consumed = [], []
        for replicate in range(replicates):
            sizes = ((makes, self._make_cost), (steps, self.service.step_cpu + self.service.step_wait))
            first, second = (_stratified(cost, total, random, drawn_anew=replicate > 0) for _, cost in sizes)
            made.append(first)
            consumed.append(second)
        which = (np.arange(rows) // block) % replicates
        return np.array(made)[which], np.array(consumed)[which]

    @property
    def _make_cost(self) -> Numbers:
        return self.service.fetch_cpu + self.service.fetch_wait + self.service.collate

    # --- programs -----------------------------------------------------------------------------------------------------

    def _prediction(self, setting: Setting, rate: float, wait: float, others: Numbers, spread: float) -> Prediction:
        size = setting.batch_size * self._fill
        missed = math.hypot(Z_90 * spread, 0.0 if setting == self.setting else self.error.p90)
        low, high = min(rate, float(others.min())), max(rate, float(others.max()))
        return Prediction(
            setting=setting,
            batches_per_s=rate,
            samples_per_s=rate * size,
            low_per_s=low * math.exp(-missed) * size,
            high_per_s=high * math.exp(missed) * size,
            wait_share=wait,
            assumptions=self._assumptions(setting),
        )

    def _assumptions(self, setting: Setting) -> tuple[str, ...]:
        ours, found = self.setting, list(self.service.assumptions)
        if setting.num_workers == 0 and "no_workers_seen" in found:
            found.remove("no_workers_seen")
        threads = setting.worker_method == "thread" and setting.num_workers > 0
        if threads and not (ours.worker_method == "thread" and ours.num_workers > 0):
            found.append("gil_unknown")
        if setting.batch_size != ours.batch_size:
            found.append("batch_scaled" if self._costs.step_fit is not None else "step_scaled")
        if setting.ranks > 1:
            found.append("ranks_share_cores")
        if setting.pin_memory != ours.pin_memory:
            found.append("pinning_free")
        if setting.cached and not any(reads_of_name(name) for name in self.service.stages):
            found.append("reads_are_waits")
        return tuple(found)


# --- parts ------------------------------------------------------------------------------------------------------------


def _stratified(cost: Numbers, total: int, random: np.random.Generator, *, drawn_anew: bool) -> Whole:
    """`(total,)` observations whose costs are spread as those observed, in random order; or drawn with replacement."""
    if drawn_anew:
        drawn = random.integers(len(cost), size=len(cost))
        again: Whole = drawn[random.integers(len(cost), size=total)]
        return again
    ranks = ((np.arange(total) + 0.5) * len(cost) / total).astype(np.int64)
    return random.permutation(np.argsort(cost, kind="stable")[ranks])


def _total(cases: Sequence[Case]) -> int:
    """Batches to replay: whole epochs where they are short, and enough to fill the queues first where they are not."""
    short = [case.epoch for case in cases if case.epoch <= EPOCH_BATCHES]
    long = [case.workers * case.prefetch for case in cases if case.epoch > EPOCH_BATCHES]
    whole = max((epoch * math.ceil(BATCHES / epoch) for epoch in short), default=0)
    return max(whole, BATCHES + 1 + max(long, default=0) if long else 0)


def _rate(course: Course, row: int, cycle: int, workers: int) -> float:
    """Batches per second of a replayed case whose epochs have `cycle` batches. Whole rounds of the workers count."""
    ended, total = course.ended[row], course.ended.shape[1]
    if cycle <= EPOCH_BATCHES:
        last = total // cycle * cycle
        return float(last / ended[last - 1] * 1e9)
    rounds = max(workers, 1)
    counted = max(BATCHES // rounds * rounds, 1)
    each = float(ended[-1] - ended[-1 - counted]) / counted
    beginning = max(float(ended[0]) - each, 0.0)
    return float(1e9 / (each + beginning / cycle))


def _wait_shares(course: Course) -> Numbers:
    half = course.ended.shape[1] // 2
    waited = (course.got - course.asked)[:, half:].sum(axis=1)
    elapsed = course.ended[:, -1] - course.ended[:, half - 1]
    shares: Numbers = np.clip(waited / np.maximum(elapsed, 1.0), 0.0, 1.0)
    return shares


def _outermost(views: Sequence[View]) -> list[View]:
    """The explanations that differ most."""
    if len(views) < 2:
        return []
    key = [(view.wait_share, view.gil_share) for view in views]
    return [views[key.index(min(key))], views[key.index(max(key))]]
