"""How much of a worker's CPU time the kernel takes to give it memory that its allocator had just given back."""

from __future__ import annotations

from pathlib import Path

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

from loader_core.trace import now
from loader_core.trace.facts import append_fact

FIRST_NS = 1_000_000_000
"""After so long it is told for the first time, then after twice as long each time: few facts."""

THREAD = getattr(resource, "RUSAGE_THREAD", None)  # Linux alone counts by the thread


class PageFaults:
    """Counts for the thread that makes it, after its first batch, in which it opens and imports what it needs."""

    def __init__(self, directory: Path, worker: int) -> None:
        self._directory = directory
        self._worker = worker
        self._batches = -1
        self._began_ns = self._tell_at_ns = 0
        self._before = (0, 0.0, 0.0)

    def batch(self) -> None:
        """A batch is made, or asked for the first time."""
        if THREAD is None:
            return
        self._batches += 1
        at = now()
        if self._batches == 1:
            self._before, self._began_ns, self._tell_at_ns = _used(), at, at + FIRST_NS
        elif self._batches > 1 and at >= self._tell_at_ns:
            self._tell_at_ns = 2 * at - self._began_ns
            self.tell()

    def tell(self) -> None:
        """Write what was counted since the first batch; nothing if that was nothing."""
        if self._batches < 2:
            return
        faults, user_s, system_s = (after - before for after, before in zip(_used(), self._before, strict=True))
        append_fact(
            self._directory,
            {
                "kind": "page_faults",
                "worker": self._worker,
                "batches": self._batches - 1,
                "faults": int(faults),
                "cpu_ns": round((user_s + system_s) * 1e9),
                "system_ns": round(system_s * 1e9),
            },
        )


def _used() -> tuple[int, float, float]:
    assert THREAD is not None, "asked only where threads are counted"
    used = resource.getrusage(THREAD)
    return used.ru_minflt, used.ru_utime, used.ru_stime
