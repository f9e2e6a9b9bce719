"""From what the engine recorded to what a lesson shows: lanes and spans for its timeline, and a step for each event.

A step stands at the moment at which something ended. Its picture has the consumer's frame, at the line where the
consumer was then, and the loader: the batches that are ready in it, and what each of its workers was doing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader_core.lessons.lesson import Setting
from loader_core.lessons.log import MAX_STEPS, Frame, Local, Span, Step, Thing
from loader_core.trace import NO_BATCH, NOT_MEASURED, Flag, Kind, Role, Trace

SHOWN = frozenset(
    {
        *(Kind.FETCH, Kind.COLLATE, Kind.SEND, Kind.WAIT_TASK, Kind.RECEIVE, Kind.HOLD, Kind.PIN, Kind.COPY),
        *(Kind.WAIT_BATCH, Kind.STEP, Kind.ERROR, Kind.DIED),
    }
)
"""What is drawn."""

STEPPED = frozenset(
    {Kind.FETCH, Kind.SEND, Kind.PIN, Kind.COPY, Kind.WAIT_BATCH, Kind.STEP, Kind.ERROR, Kind.DIED},
)
"""What is a step of its own."""

_ORDER = (Role.CONSUMER, Role.DEVICE, Role.PIN, Role.MAIN, Role.WORKER)
_EVER = 2**62
_MODULE_FRAME = 1

Rows = Any
"""`(n,) ROW_DTYPE`."""


@dataclass(frozen=True, slots=True)
class Run:
    """One recording, as the lesson names it."""

    name: str
    """Before its lanes' names; "" where the lesson has but one."""
    directory: Path
    loader: str = "DataLoader"
    """The class of its loader."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a lesson's findings take of its recordings."""

    lanes: tuple[str, ...]
    spans: tuple[Span, ...]
    steps: tuple[Step, ...]


def line_of(setting: Setting, text: str) -> int:
    """The number of the program's first line that has `text`. Raises ValueError where none has."""
    for number, line in enumerate(setting.file.read_text("utf-8").splitlines(), start=1):
        if text in line:
            return number
    raise ValueError(f"the program has no line with {text!r}")


def rows_of(directory: Path, *kinds: Kind) -> Rows:
    """The events of a run by their start, of these kinds or of all: `(n,) ROW_DTYPE`."""
    return Trace.open(directory).window(0, _EVER, kinds or None)


def total_ns(rows: Rows, kind: Kind) -> int:
    """How long all events of that kind took together."""
    chosen = rows[rows["kind"] == kind]
    return int((chosen["end"] - chosen["start"]).sum())


def common_ns(rows: Rows, one: Kind, other: Kind) -> int:
    """How long events of both kinds went on at once; those of one kind must not overlap each other."""
    firsts, seconds = rows[rows["kind"] == one], rows[rows["kind"] == other]
    return sum(
        max(0, min(int(a["end"]), int(b["end"])) - max(int(a["start"]), int(b["start"])))
        for a in firsts
        for b in seconds
    )


def wait_share(rows: Rows) -> float:
    """The share of the consumer's time that it waited for batches."""
    waiting, working = total_ns(rows, Kind.WAIT_BATCH), total_ns(rows, Kind.STEP)
    return waiting / max(1, waiting + working)


def tell(runs: Sequence[Run], *, asking: int, working: int) -> Told:
    """The recordings on one time axis, each from its own beginning.

    `asking` and `working` are the program's lines at which its consumer asks for a batch, and at which it uses it.
    """
    lanes: list[str] = []
    spans: list[Span] = []
    scenes = []
    for place, run in enumerate(runs):
        scene = _Scene(run, place, first_lane=len(lanes), first_span=len(spans))
        scenes.append(scene)
        lanes.extend(scene.lanes)
        spans.extend(scene.spans)
    steps = _steps(scenes, spans, {Kind.WAIT_BATCH.name: asking, Kind.STEP.name: working})
    return Told(tuple(lanes), tuple(spans), tuple(steps))


class _Scene:
    """One recording's lanes, spans, and its loader's box at any moment."""

    def __init__(self, run: Run, place: int, *, first_lane: int, first_span: int) -> None:
        trace = Trace.open(run.directory)
        rows = trace.window(0, _EVER, SHOWN)
        ordered = sorted(
            (lane for lane in trace.lanes if (rows["lane"] == lane.lane).any()),
            key=lambda lane: (_ORDER.index(lane.role), lane.worker),
        )
        self.run = run
        self.lanes = [_lane_name(run.name, lane.role, lane.worker) for lane in ordered]
        self._workers = {first_lane + at: one.worker for at, one in enumerate(ordered) if one.role == Role.WORKER}
        self._numbers = {lane.lane: first_lane + at for at, lane in enumerate(ordered)}
        self._loader, self._ready = 1 + 2 * place, 2 + 2 * place
        zero = int(rows["start"].min()) if len(rows) else 0
        self.spans = [self._span(row, zero) for row in rows]
        self.places = range(first_span, first_span + len(self.spans))
        self._consumer = [span for span in self.spans if span.kind in (Kind.WAIT_BATCH.name, Kind.STEP.name)]
        self._sent = _ends(self.spans, Kind.SEND)
        self._delivered = _ends(self.spans, Kind.WAIT_BATCH)

    def _span(self, row: Rows, zero: int) -> Span:
        value, batch, sample = int(row["value"]), int(row["batch"]), int(row["sample"])
        return Span(
            lane=self._numbers[int(row["lane"])],
            kind=Kind(int(row["kind"])).name,
            start_ns=int(row["start"]) - zero,
            end_ns=int(row["end"]) - zero,
            epoch=int(row["epoch"]),
            batch=None if batch == NO_BATCH else batch,
            sample=None if sample == NOT_MEASURED else sample,
            value=None if value == NOT_MEASURED else value,
            simulated=bool(int(row["flags"]) & Flag.SIMULATED),
        )

    @property
    def name(self) -> str:
        """The name in the program of this run's loader."""
        return self.run.name.replace(" ", "_") or "loader"

    def consumer_at(self, ns: int) -> Span | None:
        """What the consumer was doing."""
        return next((span for span in reversed(self._consumer) if span.start_ns <= ns), None)

    def batch_at(self, ns: int) -> str:
        """The batch that the consumer waited for or worked on."""
        span = self.consumer_at(ns)
        return "-" if span is None or span.batch is None else str(span.batch)

    def local(self) -> Local:
        """The loader, named in the frame."""
        return Local(self.name, self.run.loader, self._loader)

    def things_at(self, ns: int) -> tuple[Thing, Thing]:
        """The loader and the batches that are ready in it."""
        ready = [
            batch
            for (epoch, batch), end in sorted(self._sent.items(), key=lambda item: item[1])
            if end <= ns < self._delivered.get((epoch, batch), 0)
        ]
        cells = tuple(Local(str(place), str(batch)) for place, batch in enumerate(ready))
        doing = tuple(
            Local("in_process" if worker < 0 else f"worker_{worker}", self._doing(lane, ns))
            for lane, worker in self._workers.items()
        )
        parts = (Local("ready", f"list[{len(ready)}]", self._ready), *doing)
        return (
            Thing(self._loader, "loader", self.run.loader, self.run.loader, parts),
            Thing(self._ready, "list", "list", f"list[{len(ready)}]", cells),
        )

    def _doing(self, lane: int, ns: int) -> str:
        for span in reversed(self.spans):
            if span.lane == lane and span.start_ns <= ns < span.end_ns:
                return span.kind if span.batch is None else f"{span.kind} {span.batch}"
        return "-"


def _ends(spans: Sequence[Span], kind: Kind) -> dict[tuple[int, int], int]:
    return {
        (span.epoch, span.batch): span.end_ns for span in spans if span.kind == kind.name and span.batch is not None
    }


def _lane_name(run: str, role: Role, worker: int) -> str:
    own = f"{role.value} {worker}" if role == Role.WORKER and worker >= 0 else role.value
    return f"{run}/{own}" if run else own


def _steps(scenes: Sequence[_Scene], spans: Sequence[Span], lines: Mapping[str, int]) -> list[Step]:
    moments = sorted(
        (
            (spans[place].end_ns, place, scene)
            for scene in scenes
            for place in scene.places
            if Kind[spans[place].kind] in STEPPED and (spans[place].batch is not None or spans[place].kind == "DIED")
        ),
        key=lambda moment: moment[:2],
    )
    steps: list[Step] = []
    frame: Frame | None = None
    known: dict[int, Thing] = {}
    for at_ns, place, scene in moments[:MAX_STEPS]:
        current = _frame(scenes, scene, spans[place], at_ns, lines)
        things = [thing for one in scenes for thing in one.things_at(at_ns)]
        steps.append(
            Step(
                at_ns=at_ns,
                event="engine",
                source=0,
                line=current.line,
                frame=_MODULE_FRAME if current.line == lines["STEP"] else None,
                value=None,
                stack=(_MODULE_FRAME,),
                frames=(current,) if current != frame else (),
                things=tuple(thing for thing in things if known.get(thing.id) != thing),
                span=place,
            )
        )
        frame, known = current, {thing.id: thing for thing in things}
    return steps


def _frame(scenes: Sequence[_Scene], scene: _Scene, span: Span, at_ns: int, lines: Mapping[str, int]) -> Frame:
    consumer = span if span.kind in lines else scene.consumer_at(at_ns)
    line = lines[consumer.kind if consumer is not None else "WAIT_BATCH"]
    batches = [Local("batch" if len(scenes) == 1 else f"batch_of_{one.name}", one.batch_at(at_ns)) for one in scenes]
    locals_ = (*batches, *(one.local() for one in scenes))
    return Frame(_MODULE_FRAME, "<module>", 0, line, "running", locals_)
