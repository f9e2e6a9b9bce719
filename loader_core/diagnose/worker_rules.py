"""Rules of the linter about what workers draw, go through, make and send."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loader_core.diagnose import linter_texts as texts
from loader_core.diagnose.bilingual import Bilingual, count, duration, listed, share, size
from loader_core.diagnose.excerpt import Excerpt, with_batch
from loader_core.diagnose.facts import STREAMS, Facts, SeedFact
from loader_core.diagnose.findings import Amount, LintFinding
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, Flag, Kind, Role


def same_random_streams(facts: Facts) -> list[LintFinding]:
    """Workers whose random numbers are the same, by stream of random numbers.

    They began in the same state, and the first batch used it: then what they drew was the same. If the state was still
    the same in two of them after the batch it is certain; if not, they used different amounts of it, or were seeded
    anew for each sample, and it is a warning. A generator that the dataset holds may well be seeded for each sample, so
    there it must be certain.
    """
    found = []
    for number, stream in enumerate(STREAMS):
        for epoch in sorted({seed.epoch for seed in facts.seeds}):
            finding = _same_stream(stream, number, epoch, [seed for seed in facts.seeds if seed.epoch == epoch])
            if finding is not None:
                found.append(finding)
                break
    return found


def _same_stream(stream: str, number: int, epoch: int, seeds: Sequence[SeedFact]) -> LintFinding | None:
    before = {seed.worker: seed.states[number] for seed in seeds if seed.started and seed.states[number]}
    after = {seed.worker: seed.states[number] for seed in seeds if not seed.started and seed.states[number]}
    used = {worker: state for worker, state in before.items() if worker in after and after[worker] != state}
    groups = [sorted(worker for worker in used if used[worker] == state) for state in set(used.values())]
    alike: list[int] = max(groups, key=len, default=[])
    certain = len({after[worker] for worker in alike}) < len(alike)
    if len(alike) < 2 or (stream == "own" and not certain):
        return None
    named = texts.OWN_STREAM if stream == "own" else Bilingual.same(stream)
    return LintFinding(
        code="SAME_RANDOM_STREAM",
        level="error" if certain else "warning",
        sentence=texts.SAME_STREAM.format(stream=named, workers=listed(alike), count=len(alike)),
        seen=(texts.SEEN_SAME_STATE if certain else texts.SEEN_SAME_BEGINNING).format(stream=named, epoch=epoch),
        advice=texts.OWN_STREAM_ADVICE if stream == "own" else texts.SAME_STREAM_ADVICE.format(stream=stream),
        evidence=[Amount(texts.WORKERS_ALIKE, len(alike), "workers")],
        workers=alike,
        epoch=epoch,
    )


LEAST_SAMPLES = 2
"""First samples of a stream that must differ from one another, to tell two streams apart."""


def repeated_stream(facts: Facts) -> LintFinding | None:
    """An iterable dataset that each worker goes through from its beginning: every sample comes as often."""
    for epoch in sorted({stream.epoch for stream in facts.streams}):
        first = {stream.worker: stream.first for stream in facts.streams if stream.epoch == epoch and stream.first}
        alike = [worker for worker in sorted(first) if _same_beginning(first[worker], first[min(first)])]
        if len(alike) >= 2:
            return LintFinding(
                code="REPEATED_STREAM",
                level="error",
                sentence=texts.REPEATED.format(workers=listed(alike), count=len(alike)),
                seen=texts.SEEN_SAMPLES.format(samples=min(len(first[worker]) for worker in alike), epoch=epoch),
                advice=texts.REPEATED_ADVICE,
                evidence=[Amount(texts.WORKERS_ALIKE, len(alike), "workers")],
                workers=alike,
                epoch=epoch,
            )
    return None


def _same_beginning(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shared = min(len(one), len(other))
    return shared >= LEAST_SAMPLES and one[:shared] == other[:shared] and len(set(one[:shared])) >= LEAST_SAMPLES


def idle_workers(excerpt: Excerpt, facts: Facts) -> LintFinding | None:
    """Workers that were there throughout whole epochs and made none of their batches."""
    idle: set[int] | None = None
    first_epoch, batches, workers = 0, 0, 0
    for epoch in _whole_epochs(excerpt):
        made, present = _makers(excerpt, epoch)
        if len(present) < 2:
            continue
        without = present - made.keys()
        idle = without if idle is None else idle & without
        first_epoch, batches, workers = epoch & 0xFFFF, sum(made.values()), len(present)
    if not idle or excerpt.lost:
        return None
    iterable = facts.dataset is not None and facts.dataset.iterable
    return LintFinding(
        code="IDLE_WORKER",
        level="warning" if iterable else "note",
        sentence=texts.IDLE.format(
            workers=listed(sorted(idle)), count=len(idle), all=workers, batches=count(batches), epoch=first_epoch
        ),
        seen=texts.SEEN_IDLE,
        advice=(texts.IDLE_STREAM_ADVICE if iterable else texts.IDLE_ADVICE).format(busy=workers - len(idle)),
        evidence=[Amount(texts.WORKERS_IDLE, len(idle), "workers"), Amount(texts.BATCHES, batches, "batches")],
        workers=sorted(idle),
        epoch=first_epoch,
    )


def _whole_epochs(excerpt: Excerpt) -> list[int]:
    """Epochs (with their rank, as keys have them) whose first and last wait are in the excerpt."""
    waits = excerpt.of(Kind.WAIT_BATCH)
    epochs = excerpt.keys(waits) >> 32
    begun = set(epochs[waits["batch"] == 0].tolist())
    ended = set(epochs[waits["batch"] == NO_BATCH].tolist())
    return sorted(begun & ended)


def _makers(excerpt: Excerpt, epoch: int) -> tuple[dict[int, int], set[int]]:
    """How many of an epoch's batches each worker made, and the workers that were there."""
    waits = excerpt.of(Kind.WAIT_BATCH)
    waits = waits[excerpt.keys(waits) >> 32 == epoch]
    fetches = with_batch(excerpt.on(excerpt.of(Kind.FETCH), Role.WORKER))
    delivered = fetches[np.isin(excerpt.keys(fetches), excerpt.keys(with_batch(waits)))]
    lanes, counts = np.unique(delivered["lane"], return_counts=True)
    begin, end = int(waits["start"].min()), int(waits["end"].max())
    there = np.unique(excerpt.rows["lane"][(excerpt.rows["end"] >= begin) & (excerpt.rows["start"] <= end)])
    rank = epoch >> 16
    present = {excerpt.worker(int(lane)) for lane in there if excerpt.rank(int(lane)) == rank}
    made = {excerpt.worker(int(lane)): int(made) for lane, made in zip(lanes, counts, strict=True)}
    return (
        {worker: number for worker, number in made.items() if worker is not None and worker >= 0},
        {worker for worker in present if worker is not None and worker >= 0},
    )


# --- memory that comes and goes ---

KERNEL_SHARE = 0.15
"""Of the workers' CPU time from which on it is worth two variables in the environment."""
FAULTS_PER_S = 30_000
"""Minor faults per second of CPU time from which on the kernel's share is theirs: at 0.5 to 2 us each, as measured on a
virtual machine, that is a part of it that counts, and reading files alone has hardly any."""
PAGE_BYTES = 4096
ENOUGH_CPU_NS = 500_000_000
"""CPU time that must have been seen: the kernel counts in ticks of some milliseconds."""


def page_faults(facts: Facts) -> LintFinding | None:
    """Workers whose allocator gives memory back after each sample, so that the kernel must clear it for the next."""
    latest = list({fact.worker: fact for fact in facts.faults}.values())
    cpu, system = sum(fact.cpu_ns for fact in latest), sum(fact.system_ns for fact in latest)
    faults, batches = sum(fact.faults for fact in latest), sum(fact.batches for fact in latest)
    if cpu < ENOUGH_CPU_NS or not batches or system < KERNEL_SHARE * cpu or faults < FAULTS_PER_S * cpu / 1e9:
        return None
    pages = faults / batches
    parts = {"share": share(system / cpu), "pages": count(round(pages)), "size": size(pages * PAGE_BYTES)}
    return LintFinding(
        code="PAGE_FAULTS",
        level="note",
        sentence=texts.PAGE_FAULTS.format(**parts),
        seen=texts.SEEN_PAGE_FAULTS.format(workers=count(len(latest)), batches=count(batches)),
        advice=texts.PAGE_FAULTS_ADVICE,
        evidence=[Amount(texts.PAGES, pages, "pages"), Amount(texts.KERNEL_TIME, system / batches, "ns")],
        workers=[],
        epoch=None,
    )


# --- batches ---

MANY_TENSORS = 64
"""Tensors of a batch from which on packing is worth a thought: 112 cost rf-detr 25 to 67 % of its speed (PR 1399)."""
TOO_MANY_TENSORS = 1_000
"""As many as that are a danger: each one sent takes up a descriptor, and 1,024 is the usual limit."""


def many_tensors(excerpt: Excerpt, facts: Facts) -> LintFinding | None:
    """Batches of so many tensors that sending them costs more than their bytes do."""
    marks = excerpt.ended(Kind.TENSORS)
    at_least = bool((marks["flags"] & Flag.INFERRED).any())
    counts = [int(value) for value in marks["value"] if value != NOT_MEASURED] or [fact.count for fact in facts.tensors]
    if not counts or not excerpt.has_processes:
        return None
    tensors = int(np.median(counts))
    if tensors < MANY_TENSORS:
        return None
    sizes = [fact.nbytes for fact in facts.tensors if fact.nbytes and fact.nbytes > 0]
    evidence = [Amount(texts.TENSORS, tensors, "tensors")]
    sentence = (texts.TENSORS_AT_LEAST if at_least else texts.MANY_TENSORS).format(tensors=count(tensors))
    if sizes:
        sentence += texts.TENSOR_SIZE.format(size=size(float(np.median(sizes)) / tensors))
        evidence.append(Amount(texts.BATCH_BYTES, float(np.median(sizes)), "bytes"))
    sent = excerpt.ended(Kind.SEND)
    received = excerpt.ended(Kind.RECEIVE)
    if len(sent) and len(received):
        cost = float(np.median(sent["end"] - sent["start"]) + np.median(received["end"] - received["start"]))
        sentence += texts.TENSOR_COST.format(cost=duration(cost))
        evidence.append(Amount(texts.SEND_AND_RECEIVE, cost, "ns"))
    return LintFinding(
        code="MANY_TENSORS",
        level="warning" if tensors >= TOO_MANY_TENSORS else "note",
        sentence=sentence,
        seen=texts.SEEN_TENSORS.format(batches=count(len(counts))),
        advice=texts.MANY_TENSORS_ADVICE,
        evidence=evidence,
        workers=[],
        epoch=None,
    )
