"""What makes a sample slower in a known way, by as much as the run's control page says at that moment.

A dataset asks its dials twice per sample: `hold_back` where it reads, `burn` where it computes. The page is read anew
each time (mapped memory, well under a microsecond per number), so a dial that is turned acts on the very next sample,
in worker processes of any start method, in threads and inline alike. Without a page both do nothing.
"""

from __future__ import annotations

import time

from loader_core.trace.control import Control

_NAP_NS = 50_000_000
"""A stop is noticed within this time, however long the wait."""

_SPIN = range(500)
"""Iterations between two looks at the CPU clock: about 10 us, against 0.5 us for the look."""


class Dials:
    """The dials of one run. Pickled with its dataset, it finds the same page again in a worker."""

    def __init__(self, control: Control | None = None) -> None:
        self.control = control

    def hold_back(self, index: int, nbytes: int) -> None:
        """Wait as slow storage would for sample `index` of `nbytes`: latency, bandwidth, and one slow sample in N.

        Waiting holds no GIL and costs no CPU. It is always the same samples that are slow: the last of each
        `slow_every` in a row.
        """
        control = self.control
        if control is None:
            return
        wait_ns = control.storage_latency_ns
        if bytes_per_s := control.storage_bytes_per_s:
            wait_ns += nbytes * 1_000_000_000 // bytes_per_s
        if (every := control.slow_every) and index % every == every - 1:
            wait_ns += control.slow_ns
        if wait_ns:
            pass_time(wait_ns, control)

    def burn(self) -> None:
        """Use up CPU time in pure Python, which holds the GIL: threads cannot do it side by side, processes can.

        It counts the CPU time of this thread, so a burn that others hold up takes longer, as real work does.
        """
        control = self.control
        if control is None or not control.cpu_ns:
            return
        done = time.thread_time_ns() + control.cpu_ns
        while time.thread_time_ns() < done and not control.stop:
            for _ in _SPIN:
                pass


def pass_time(duration_ns: int, control: Control) -> None:
    """Let `duration_ns` pass, or less if the run is told to stop: what a stand-in does for storage or a model."""
    deadline = time.perf_counter_ns() + duration_ns
    while (left_ns := deadline - time.perf_counter_ns()) > 0 and not control.stop:
        time.sleep(min(left_ns, _NAP_NS) / 1e9)
