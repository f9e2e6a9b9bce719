"""The verdict: what holds a training loop back, and what to change.

Tiers are asked in order, and the first "no" ends the enquiry: can we tell, is input the problem, where does the waiting
go, why, what to change, and what will that win. Pure: the same rows, facts, limits and setting give the same verdict,
byte for byte, whatever the order of the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from loader_core.diagnose import rules_batches as batches
from loader_core.diagnose import rules_cores as cores
from loader_core.diagnose import rules_hang as hangs
from loader_core.diagnose import rules_main as main
from loader_core.diagnose import rules_rest as rest
from loader_core.diagnose import rules_risks as risks
from loader_core.diagnose import rules_time as beginnings
from loader_core.diagnose import rules_workers as workers
from loader_core.diagnose.desk import Desk, Draft
from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.grounds import Grounds
from loader_core.diagnose.memory import Limits
from loader_core.diagnose.predict import ModelError
from loader_core.diagnose.setting import Setting
from loader_core.diagnose.stored import judged_from_ns, read_excerpt, setting_of
from loader_core.diagnose.verdict_types import Code, Finding, Verdict
from loader_core.trace.facts import read_facts
from loader_core.trace.trace import Trace

MODERATE_SHARE = 0.2
"""Waiting below this share is moderate, and above it high (XProf's input-pipeline analyser)."""
ONCE_FACTOR = 3
"""A start takes its time once, and a wait in each step: the start comes first if it took so many times the waiting."""

WAITING_RULES: tuple[Callable[[Desk], list[Draft]], ...] = (
    workers.making,
    cores.crowding,
    cores.locking,
    batches.collating,
    batches.head_of_line,
    batches.slow_samples,
    main.transport,
    main.delayed,
    main.held,
    main.drawing,
    main.unrecorded,
    main.pinning,
    main.device,
    beginnings.respawning,
)
"""Rules about waiting: asked where the loop waits."""


TAKING_ALL = (Code.TOO_MANY_WORKERS, Code.GIL_BOUND)
"""Causes that make all that workers do slow: where one of them is found, none of `MAKING_CODES` is told beside it."""
MAKING_CODES = (
    Code.WORKER_CPU_BOUND,
    Code.TOO_FEW_WORKERS,
    Code.TOO_MANY_WORKERS,
    Code.STORAGE_BOUND,
    Code.COLLATE_BOUND,
    Code.TRANSPORT_BOUND,
    Code.MAIN_THREAD_BOUND,
    Code.HEAD_OF_LINE,
    Code.SKEWED_SAMPLES,
    Code.GIL_BOUND,
)


def judge(
    excerpt: Excerpt,
    facts: Facts,
    limits: Limits,
    *,
    setting: Setting | None = None,
    error: ModelError | None = None,
) -> Verdict:
    """The verdict on the excerpt's window.

    `setting`: the loader's arguments; None where they are not known: then nothing is predicted, and nothing is said
    that needs the number of cores. `error`: how far predictions missed on this host so far.
    """
    grounds = Grounds(_in_order(excerpt), facts, limits, setting)
    desk = Desk(grounds, error)
    return Verdict(
        start_ns=excerpt.start_ns,
        end_ns=excerpt.end_ns,
        steps=len(grounds.warm_steps),
        wait_share=grounds.wait_share,
        wait_ns=grounds.wait_ns,
        findings=tuple(_findings(desk)),
        samples_per_s=grounds.samples_per_s,
        setting=setting,
    )


def judge_run(directory: Path) -> Verdict:
    """The verdict on a whole stored run, as far as it was recorded with its newest arguments. Raises TraceError."""
    grounds = grounds_of_run(directory)
    return judge(grounds.excerpt, grounds.facts, grounds.limits, setting=grounds.setting)


def grounds_of_run(directory: Path) -> Grounds:
    """What a stored run tells, from its newest arguments on. Raises TraceError.

    Of its host only what the run itself wrote down is known, so that a recording gives the same verdict anywhere.
    """
    trace = Trace.open(directory)
    facts = Facts.of(read_facts(directory))
    excerpt = read_excerpt(trace, judged_from_ns(trace.run))
    limits = Limits(memory_bytes=facts.memory_bytes, files=facts.files_limit, shm_bytes=facts.shm_bytes)
    return Grounds(_in_order(excerpt), facts, limits, setting_of(trace.run))


def _in_order(excerpt: Excerpt) -> Excerpt:
    """The same with rows in the one order that does not depend on how they were stored."""
    rows = excerpt.rows
    names = ("value", "sample", "flags", "batch", "epoch", "kind", "lane", "end", "start")
    return replace(excerpt, rows=rows[np.lexsort([rows[name] for name in names])]) if len(rows) else excerpt


def _findings(desk: Desk) -> list[Finding]:
    """All findings, the top one first: what is stuck, dangers that are near, what takes most time, other dangers."""
    dangers = [*risks.shared_and_files(desk), *risks.memory(desk)]
    near = [draft for draft in dangers if _is_near(desk, draft)]
    later = [draft.finding for draft in dangers if draft not in near]
    stuck = hangs.hanging(desk)
    if stuck:  # nothing else is worth saying about waiting: this is most of it
        return [*stuck, *(draft.finding for draft in near), *later]
    about_input = _about_input(desk)
    if about_input[0].code in (Code.LOADER_OK, Code.UNDETERMINED):
        return [*(draft.finding for draft in near), *later, *about_input]
    return [*(draft.finding for draft in near), *about_input, *later]


def _is_near(desk: Desk, draft: Draft) -> bool:
    if draft.finding.code is Code.MEMORY_GROWTH:
        return risks.memory_is_urgent(desk)
    return risks.files_are_urgent(draft)


def _about_input(desk: Desk) -> list[Finding]:
    """What there is to say of waiting, or that there is nothing."""
    grounds = desk.grounds
    lacking = rest.missing(desk)
    if lacking is not None:
        return [rest.undetermined(desk, lacking)]
    start = [draft.finding for draft in beginnings.starting(desk)]
    copying = [draft.finding for draft in main.device_in_step(desk)]
    if (grounds.wait_share or 0.0) < rest.FINE_SHARE:
        crowd = cores.crowding(desk)
        if crowd:
            return [*start, crowd[0].finding, *copying]
        slow_epochs = [draft.finding for draft in beginnings.respawning(desk)]
        behind = [draft.finding for draft in beginnings.straggling(desk)]
        return [*behind, *start, *copying, rest.loader_ok(desk), *slow_epochs]
    lacking = rest.uncovered(desk)
    if lacking is not None:
        return [*start, *copying, rest.undetermined(desk, lacking)]
    if (grounds.wait_share or 0.0) < MODERATE_SHARE and rest.only_late_hand_overs(desk):
        return [*start, *copying, rest.loader_ok(desk)]
    found = _by_share([draft for rule in WAITING_RULES for draft in rule(desk)], beginnings.straggling(desk))
    found = found or [rest.unexplained(desk)]
    if copying and main.in_step_ns(desk) > grounds.wait_ns:
        found = [*copying, *(finding for finding in found if finding.code is not Code.H2D_BOUND)]
    lost_ns = grounds.wait_ns
    if found[0].code is Code.TOO_MANY_WORKERS:  # they make the start slow as well
        lost_ns += grounds.gap_ns + grounds.stretched_ns
    first = bool(start) and beginnings.start_excess_ns(desk) > ONCE_FACTOR * lost_ns
    return [*start, *found] if first else [*found, *start]


def _by_share(drafts: list[Draft], of_ranks: list[Draft]) -> list[Finding]:
    """Findings about waiting, those that explain most first; two of one code are one.

    A rank that is behind is the finding above the others, which say why it, or all of them, wait: what it explains is
    taken from them.
    """
    taking_all = [draft for draft in drafts if draft.finding.code in TAKING_ALL and len(drafts) > 1]
    if taking_all:
        drafts = [draft for draft in drafts if draft.finding.code not in MAKING_CODES or draft in taking_all[:1]]
    best: dict[Code, Draft] = {}
    for draft in drafts:
        known = best.get(draft.finding.code)
        if known is None or (draft.ns or 0) > (known.ns or 0):
            best[draft.finding.code] = draft
    found = sorted(best.values(), key=lambda draft: (-(draft.ns or 0), draft.finding.code))
    left = 1.0 - sum(draft.finding.share or 0.0 for draft in of_ranks)
    findings = [
        draft.finding if not of_ranks else replace(draft.finding, share=(draft.finding.share or 0.0) * max(0.0, left))
        for draft in found
    ]
    return [*(draft.finding for draft in of_ranks), *findings]
