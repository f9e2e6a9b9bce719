"""Correctness of what a loader delivers: findings that are wrong or wasteful whatever the speed.

Each rule is a function that gives one finding or none. A rule says nothing unless it has seen all that it needs: no
finding means "nothing seen", and `seen` of a finding says what was. What a sampler does on purpose (drawing with
replacement or by weight, a subset) is no finding.
"""

from __future__ import annotations

from loader_core.diagnose.excerpt import Excerpt
from loader_core.diagnose.facts import Facts
from loader_core.diagnose.findings import LintFinding, LintLevel
from loader_core.diagnose.memory import MemoryUse
from loader_core.diagnose.resource_rules import files_near_limit, memory_growth
from loader_core.diagnose.sampler_rules import duplicated_index, missing_index, no_set_epoch
from loader_core.diagnose.worker_rules import (
    idle_workers,
    many_tensors,
    page_faults,
    repeated_stream,
    same_random_streams,
)


def lint(excerpt: Excerpt, facts: Facts, memory: MemoryUse) -> list[LintFinding]:
    """What is wrong with what the loader delivers, the worst first."""
    growth = memory_growth(memory)
    found = [
        duplicated_index(facts),
        missing_index(facts),
        no_set_epoch(facts),
        *same_random_streams(facts),
        repeated_stream(facts),
        idle_workers(excerpt, facts),
        many_tensors(excerpt, facts),
        page_faults(facts) if growth is None else None,  # memory that grows is new: nobody gave it back
        growth,
        files_near_limit(memory),
    ]
    order: dict[LintLevel, int] = {"error": 0, "warning": 1, "note": 2}
    return sorted((finding for finding in found if finding is not None), key=lambda finding: order[finding.level])
