"""Laws of verdicts, whatever the loader: shares, conservation, invariance, evidence that can be worked out again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader_core.diagnose.causes import Causes, covered_ns
from loader_core.diagnose.evidence import measured
from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.grounds import Grounds
from loader_core.diagnose.memory import Limits
from loader_core.diagnose.metrics import lane_times
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.verdict import judge
from loader_core.diagnose.verdict_types import Code, Verdict, verdict_json
from loader_core.trace.event import Kind
from tests.diagnose.rows import row, rows_of
from tests.diagnose.simulated import MS, Loader, excerpt_of

NO_FACTS = Facts.of([])


def verdict_on(excerpt: Excerpt, workers: int) -> Verdict:
    return judge(excerpt, NO_FACTS, Limits(), setting=Setting(workers, batch_size=8, cores=2.0))


@st.composite
def watched(draw: st.DrawFn) -> tuple[Loader, Excerpt]:
    """A loader that was seen for long enough, of any sort: starved, fed, with slow batches, in one epoch or two."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    batches = draw(st.integers(24, 60))
    service = random.integers(1, draw(st.sampled_from((MS, 30 * MS, 90 * MS))) + 1, batches)
    if draw(st.booleans()):
        service[:: draw(st.integers(5, 15))] += 150 * MS
    loader = Loader(
        workers=draw(st.integers(1, 4)),
        service_ns=service.tolist(),
        step_ns=draw(st.sampled_from((MS, 10 * MS, 40 * MS))),
        collate_ns=draw(st.sampled_from((0, MS, 30 * MS))),
        send_ns=draw(st.sampled_from((0, MS, 30 * MS))),
        receive_ns=draw(st.sampled_from((0, MS, 12 * MS))),
        prefetch=draw(st.integers(1, 3)),
    )
    rows = loader.rows()
    if draw(st.booleans()):
        again = replace(loader, epoch=1, begin_ns=int(rows["end"].max()) + MS, asked=[], ready=[], got=[])
        rows = np.concatenate([rows, again.rows()])
    return loader, excerpt_of(rows, workers=loader.workers)


@given(watched())
@settings(max_examples=12)
def test_shares_never_exceed_the_wait_and_every_finding_is_whole(case: tuple[Loader, Excerpt]) -> None:
    loader, excerpt = case
    verdict = verdict_on(excerpt, loader.workers)
    shares = [finding.share for finding in verdict.findings if finding.share is not None]
    assert sum(shares) <= 1 + 1e-9
    assert all(0 <= share <= 1 for share in shares)
    assert verdict.findings
    for finding in verdict.findings:
        for text in (finding.sentence, finding.advice, finding.refuted_by, finding.experiment):
            assert text.es.strip(), finding.code
            assert text.en.strip(), finding.code
            assert "{" not in text.es + text.en
        assert finding.evidence
    waiting = Causes(Grounds(excerpt, NO_FACTS, Limits(), None)).waiting
    parts = sum(getattr(waiting, name) for name in waiting.__slots__ if name != "total_ns")
    assert parts <= waiting.total_ns + len(waiting.__slots__)


@given(watched())
@settings(max_examples=12)
def test_evidence_is_worked_out_again_by_its_own_query(case: tuple[Loader, Excerpt]) -> None:
    loader, excerpt = case
    for finding in verdict_on(excerpt, loader.workers).findings:
        for evidence in finding.evidence:
            if evidence.measure != "derived":
                assert measured(evidence, excerpt.rows) == pytest.approx(evidence.value)


@given(watched(), st.integers(-(10**12), 10**15))
@settings(max_examples=8)
def test_a_verdict_is_the_same_at_any_time(case: tuple[Loader, Excerpt], by: int) -> None:
    loader, excerpt = case
    rows = excerpt.rows.copy()
    rows["start"] += by
    rows["end"] += by
    moved = replace(excerpt, rows=rows, start_ns=excerpt.start_ns + by, end_ns=excerpt.end_ns + by)
    here, there = (json.loads(verdict_json(verdict_on(one, loader.workers))) for one in (excerpt, moved))
    assert _without_times(here) == _without_times(there)


def _without_times(plain: object) -> object:
    if isinstance(plain, dict):
        return {name: _without_times(value) for name, value in plain.items() if name not in ("start_ns", "end_ns")}
    return [_without_times(value) for value in plain] if isinstance(plain, list) else plain


@given(watched(), st.integers(0, 2**32), st.integers(1, 7))
@settings(max_examples=8)
def test_a_verdict_does_not_depend_on_how_rows_were_stored(
    case: tuple[Loader, Excerpt], seed: int, segments: int
) -> None:
    loader, excerpt = case
    random = np.random.default_rng(seed)
    parts = np.array_split(excerpt.rows, np.sort(random.integers(0, len(excerpt.rows), segments)))
    random.shuffle(parts)
    mixed = np.concatenate(parts)
    mixed = mixed[np.argsort(mixed["start"], kind="stable")]
    again = verdict_on(replace(excerpt, rows=mixed), loader.workers)
    assert verdict_json(again) == verdict_json(verdict_on(excerpt, loader.workers))


@given(watched())
@settings(max_examples=8)
def test_work_wait_and_gap_of_each_lane_are_its_time(case: tuple[Loader, Excerpt]) -> None:
    _, excerpt = case
    for lane in lane_times(excerpt.rows, start_ns=excerpt.start_ns, end_ns=excerpt.end_ns):
        assert lane.work_ns + lane.wait_ns + lane.gap_ns == excerpt.end_ns - excerpt.start_ns


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=12), st.integers(0, 99), st.integers(0, 99))
def test_what_spans_cover_of_an_interval(spans: list[tuple[int, int]], begin: int, end: int) -> None:
    begin, end = min(begin, end), max(begin, end)
    rows = rows_of(*(row(Kind.DRAW, min(span), max(span)) for span in spans))
    expected = sum(any(min(span) <= at < max(span) for span in spans) for at in range(begin, end))
    assert covered_ns(np.array([begin]), np.array([end]), rows)[0] == expected


def test_codes_are_the_vocabulary() -> None:
    assert len(Code) == 20
    assert all(code.value == code.name.lower() for code in Code)
