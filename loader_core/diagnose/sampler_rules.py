"""Rules of the linter about the indices that a sampler draws."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from loader_core.diagnose import linter_texts as texts
from loader_core.diagnose.bilingual import count
from loader_core.diagnose.facts import DatasetFact, Facts
from loader_core.diagnose.findings import Amount, LintFinding

SUBSETS = frozenset({"SubsetRandomSampler", "WeightedRandomSampler"})
"""Samplers of torch that leave samples out, or draw them again, on purpose."""


def _each_once(facts: Facts) -> tuple[DatasetFact | None, int]:
    """The dataset and its length, if its sampler is to draw each of its samples once; else None."""
    dataset = facts.dataset
    if dataset is None or dataset.length is None or dataset.intends_repeats or dataset.sampler in SUBSETS:
        return None, 0
    return dataset, dataset.length


def duplicated_index(facts: Facts) -> LintFinding | None:
    """An epoch of at most the dataset's length in which a sample came twice, so that others never came."""
    dataset, length = _each_once(facts)
    if dataset is None:
        return None
    for epoch in facts.epochs:
        distinct = epoch.drawn if epoch.distinct is None else epoch.distinct
        repeated = epoch.drawn - distinct
        if repeated > 0 and epoch.drawn <= length:
            return LintFinding(
                code="DUPLICATED_INDEX",
                level="warning",
                sentence=texts.DUPLICATED.format(
                    epoch=epoch.epoch,
                    drawn=count(epoch.drawn),
                    repeated=count(repeated),
                    distinct=count(distinct),
                ),
                seen=texts.SEEN_INDICES.format(sampler=dataset.sampler or "?", epoch=epoch.epoch),
                advice=texts.DUPLICATED_ADVICE,
                evidence=[
                    Amount(texts.DRAWN, epoch.drawn, "indices"),
                    Amount(texts.DISTINCT, distinct, "indices"),
                ],
                workers=[],
                epoch=epoch.epoch,
            )
    return None


def missing_index(facts: Facts) -> LintFinding | None:
    """A whole epoch that left out fewer samples than a batch has, although each should come once.

    A sampler that leaves out more than that is taken to mean it. With `drop_last` the rest of a shuffled epoch is left
    out on purpose, and is another one each time; without a shuffle the same samples are never seen.
    """
    dataset, length = _each_once(facts)
    if dataset is None:
        return None
    expected = -(-length // dataset.world_size)
    for epoch in facts.epochs:
        if epoch.distinct is None:
            continue
        missing = expected - epoch.distinct
        of_the_last = bool(dataset.batch_size) and dataset.drop_last and _in_order(epoch.first)
        wrong = not dataset.drop_last or of_the_last
        if epoch.complete and epoch.drawn == epoch.distinct and wrong and 0 < missing < (dataset.batch_size or 2):
            return LintFinding(
                code="MISSING_INDEX",
                level="note",
                sentence=texts.MISSING.format(
                    epoch=epoch.epoch, missing=count(missing), expected=count(expected), distinct=count(epoch.distinct)
                ),
                seen=texts.SEEN_INDICES.format(sampler=dataset.sampler or "?", epoch=epoch.epoch),
                advice=texts.MISSING_DROP_LAST if of_the_last else texts.MISSING_ADVICE,
                evidence=[
                    Amount(texts.EXPECTED, expected, "indices"),
                    Amount(texts.DISTINCT, epoch.distinct, "indices"),
                ],
                workers=[],
                epoch=epoch.epoch,
            )
    return None


LEAST_SHUFFLED = 4
"""First indices from which on one can tell a shuffle from an order."""


def no_set_epoch(facts: Facts) -> LintFinding | None:
    """A sampler (of distributed training) that shuffles each epoch alike, because nobody told it the epoch."""
    dataset = facts.dataset
    if dataset is None or not dataset.shuffles_by_epoch or facts.set_epoch_calls:
        return None
    epochs = [epoch for epoch in facts.epochs if epoch.complete and epoch.digest]
    for before, after in pairwise(epochs):
        if before.digest == after.digest and len(after.first) >= LEAST_SHUFFLED and not _in_order(after.first):
            return LintFinding(
                code="NO_SET_EPOCH",
                level="error",
                sentence=texts.NO_SET_EPOCH.format(
                    first=before.epoch, second=after.epoch, drawn=count(after.drawn), sampler=dataset.sampler
                ),
                seen=texts.SEEN_ORDER.format(first=before.epoch, second=after.epoch),
                advice=texts.NO_SET_EPOCH_ADVICE,
                evidence=[Amount(texts.DRAWN, after.drawn, "indices")],
                workers=[],
                epoch=after.epoch,
            )
    return None


def _in_order(first: Sequence[int]) -> bool:
    return all(before <= after for before, after in pairwise(first))
