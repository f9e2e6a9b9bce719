"""A trace in the formats of other tools: Chrome trace events for Perfetto, and a summary as plain values.

Chrome's format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (ph, ts and dur in
microseconds, pid, tid; flows bind by id and category). Open the file at https://ui.perfetto.dev.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

import numpy as np

from loader_core.trace.event import KINDS, NO_BATCH, NOT_MEASURED, Flag, Kind, Nature
from loader_core.trace.rollup import BUCKET_NS
from loader_core.trace.segment import Rows
from loader_core.trace.trace import Trace, TraceLane

_SLICE_NS = 1_000_000_000
_MAX_SLICES = 2_000
"""Exporting holds a slice of run time in memory at once: a second, or more when that makes more slices than this."""

_EVER_NS = -(1 << 62)
"""Before all events: what began before run time 0 belongs to the first slice."""

_COUNTERS = {Kind.WAIT_BATCH: "batches ready", Kind.DISPATCH: "batches in flight", Kind.GAUGE: "depth"}
_OVERLAPPING = frozenset({Kind.HOLD})
"""Kinds whose spans overlap each other on one lane: slices must nest, so these are asynchronous ones."""

Event = dict[str, Any]


def perfetto(trace: Trace, stream: TextIO) -> int:
    """Write the trace as Chrome trace JSON to a text stream, a slice of run time at a time; the number of events.

    One process per rank and one thread per lane. Events that the recording no longer holds are counted in
    `otherData.lost`.
    """
    count = 0
    stream.write('{"traceEvents":[')
    for event in _events(trace):
        stream.write(",\n" if count else "\n")
        stream.write(json.dumps(event, separators=(",", ":")))
        count += 1
    run = trace.run
    other = {
        "run": run.id,
        "name": run.name,
        "lost": trace.lost,
        "truncated": trace.truncated,
        "started_unix_ns": run.started_unix_ns,
        "versions": run.versions,
    }
    stream.write(f'\n],"displayTimeUnit":"ms","otherData":{json.dumps(other)}}}\n')
    return count


def _events(trace: Trace) -> Iterator[Event]:
    for lane in trace.lanes:
        yield from _names(trace, lane)
    flows = _Flows()
    for rows in _slices(trace):
        for row in rows:
            kind, lane = Kind(row["kind"]), trace.lanes[row["lane"]]
            yield from _event(kind, row, lane, trace.stages)
            yield from flows.of(kind, row, lane)


def _names(trace: Trace, lane: TraceLane) -> Iterator[Event]:
    process = f"{trace.run.name or trace.run.id} (rank {lane.rank})"
    metadata = (
        ("process_name", {"name": process}),
        ("thread_name", {"name": lane.label}),
        ("thread_sort_index", {"sort_index": lane.lane}),
    )
    for name, args in metadata:
        yield {"ph": "M", "name": name, **_place(lane), "args": args}


def _place(lane: TraceLane) -> Event:
    # Not the lane's process ids: a worker lane may have been many processes, and a row is what a viewer expects.
    return {"pid": lane.rank + 1, "tid": lane.lane + 1}


def _slices(trace: Trace) -> Iterator[Rows]:
    """All events by start, a slice of run time at a time, each event once."""
    first, width = 0, max(_SLICE_NS, trace.duration_ns // _MAX_SLICES)
    while first <= trace.duration_ns:
        rows = trace.window(first or _EVER_NS, first + width - 1)
        yield rows[rows["start"] >= first] if first else rows
        first += width


def _event(kind: Kind, row: Any, lane: TraceLane, stages: dict[int, str]) -> Iterator[Event]:
    spec = KINDS[kind]
    value = int(row["value"])
    name = stages.get(value, f"stage {value:08x}") if kind is Kind.STAGE else kind.name
    base = {"name": name, "cat": spec.paint, "ts": _us(row["start"]), **_place(lane)}
    args = _args(kind, row)
    if spec.nature is Nature.MARK:
        yield {"ph": "i", "s": "t", **base, "args": args}
    elif kind in _OVERLAPPING:
        number = f"{kind.name}-{row['epoch']}-{row['batch']}-{row['start']}"
        yield {"ph": "b", "id": number, **base, "args": args}
        yield {"ph": "e", "id": number, **base, "ts": _us(row["end"])}
    else:
        yield {"ph": "X", "dur": _us(row["end"] - row["start"]), **base, "args": args}
    if kind in _COUNTERS and value != NOT_MEASURED:
        counter = _COUNTERS[kind]
        yield {"ph": "C", "name": counter, "ts": _us(row["end"]), **_place(lane), "args": {counter: value}}


def _args(kind: Kind, row: Any) -> Event:
    args: Event = {}
    if row["batch"] != NO_BATCH:
        args.update(batch=int(row["batch"]), epoch=int(row["epoch"]))
    if row["sample"] != NOT_MEASURED:
        args["sample"] = int(row["sample"])
    if KINDS[kind].value and row["value"] != NOT_MEASURED and kind is not Kind.STAGE:
        args[KINDS[kind].value] = int(row["value"])
    if row["flags"]:
        args["flags"] = [flag.name for flag in Flag if flag and flag in Flag(int(row["flags"]))]
    return args


def _us(ns: Any) -> float:
    """Microseconds with three decimals: exact to the nanosecond for runs shorter than 100 days."""
    return int(ns) / 1000


class _Flows:
    """Arrows from the SEND of a batch to its RECEIVE. Only whole ones: an end without a beginning binds to nothing."""

    def __init__(self) -> None:
        self._half: dict[tuple[int, int], tuple[Kind, Event]] = {}
        self._count = 0

    def of(self, kind: Kind, row: Any, lane: TraceLane) -> Iterator[Event]:
        if kind not in (Kind.SEND, Kind.RECEIVE):
            return
        key = int(row["epoch"]), int(row["batch"])
        at = row["start"] if kind is Kind.SEND else row["end"]
        ends = {"ph": "s"} if kind is Kind.SEND else {"ph": "f", "bp": "e"}
        half = {**ends, "name": "batch", "cat": "batch", "ts": _us(at), **_place(lane)}
        # A main process that was already waiting has the earlier start, so either half may come first.
        other_kind, other = self._half.pop(key, (kind, half))
        if other_kind is kind:
            self._half[key] = kind, half
            return
        self._count += 1
        yield {**other, "id": self._count}
        yield {**half, "id": self._count}


def summary(trace: Trace) -> dict[str, Any]:
    """A run in plain values, ready for JSON: what it was, how long, how much, and what its lanes did.

    Times in nanoseconds; a share or rate is None when there was nothing to measure it from. Sums include events that
    the recording no longer holds, `lanes[].events` does not.
    """
    sums = trace.rollup()
    total = {name: int(sums[name].sum()) for name in ("batches", "samples", "bytes", "wait_ns", "step_ns")}
    seconds = trace.duration_ns / 1e9
    looped_ns = total["wait_ns"] + total["step_ns"]
    return {
        "id": trace.run.id,
        "name": trace.run.name,
        "state": trace.run.state,
        "reason": trace.run.reason,
        "truncated": trace.truncated,
        "problems": trace.problems,
        "started_unix_ns": trace.run.started_unix_ns,
        "duration_ns": trace.duration_ns,
        **total,
        "batches_per_s": total["batches"] / seconds if seconds else None,
        "samples_per_s": total["samples"] / seconds if seconds else None,
        "wait_share": total["wait_ns"] / looped_ns if looped_ns else None,
        "lost_events": trace.lost,
        "bucket_ns": BUCKET_NS,
        "versions": trace.run.versions,
        "host": trace.run.host,
        "settings": trace.run.settings,
        "lanes": _lane_sums(trace),
    }


def _lane_sums(trace: Trace) -> list[dict[str, Any]]:
    """Per lane and kind: the number of events that are still there, and the sum of their durations."""
    kinds: list[dict[str, dict[str, int]]] = [{} for _ in trace.lanes]
    for rows in _slices(trace):
        pairs, inverse, counts = np.unique(
            rows["lane"].astype(np.int64) * 256 + rows["kind"], return_inverse=True, return_counts=True
        )
        totals = np.zeros(len(pairs), np.int64)
        np.add.at(totals, inverse, rows["end"] - rows["start"])
        for pair, events, total_ns in zip(pairs.tolist(), counts.tolist(), totals.tolist(), strict=True):
            lane, kind = divmod(pair, 256)
            entry = kinds[lane].setdefault(Kind(kind).name, {"events": 0, "total_ns": 0})
            entry["events"] += events
            entry["total_ns"] += total_ns
    return [
        {"label": lane.label, "role": lane.role.value, "worker": lane.worker, "rank": lane.rank, "kinds": sums}
        for lane, sums in zip(trace.lanes, kinds, strict=True)
    ]
