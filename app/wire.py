"""The wire: every message and binary frame between the server and a browser or script.

Text messages are JSON objects with a `type`. Spans, series and roll-ups travel as little-endian binary frames of
columns, which a browser reads as typed arrays without making an object per span. `python -m app.wire` writes the
frontend's types from this module; `docs/protocol.md` has the byte tables.

What is measured goes over the wire as it was measured: the frozen dataclasses of `loader_core.diagnose` (`MEASURED`)
are wire types like the models below, and are not said twice.

All times are **run time**: nanoseconds since the run's clock anchor (`clock.perf_ns` in run.json), small enough to be
exact in a browser's float64.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from app.scores import Measured
from loader_core.diagnose.bilingual import Bilingual
from loader_core.diagnose.diagnosis import Diagnosis
from loader_core.diagnose.metrics import Metrics
from loader_core.diagnose.whatif import WhatIf

PROTOCOL = "loaderscope.v1"
MAX_CLIENT_MESSAGE_BYTES = 64 * 1024
MAX_FRAMES_IN_FLIGHT = 4
"""Frames that a client may leave unacknowledged. With no credit left nothing is queued: its cursor waits."""

MAX_SPANS_PER_FRAME = 16_384
BUCKET_NS = 100_000_000
"""Width of one roll-up bucket; doubled for a long run until its roll-up has at most `MAX_BUCKETS` rows."""
MAX_BUCKETS = 16_384


class Wire(BaseModel):
    """Base of all wire models: unknown fields are refused, so that a typing error is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


MEASURED = (Metrics, Diagnosis, WhatIf, Measured)
"""What `loader_core.diagnose` measures, sent as it is."""


# --- run settings -----------------------------------------------------------------------------------------------------


class Dials(Wire):
    """What makes a real pipeline slower in a known way. All of them can be turned while the run goes on."""

    storage_latency_ms: float = Field(default=0.0, ge=0, le=10_000, description="added before each read of a sample")
    storage_mb_per_s: float = Field(
        default=0.0, ge=0, le=100_000, description="bandwidth of storage per worker; 0: as it is"
    )
    cpu_ms: float = Field(default=0.0, ge=0, le=10_000, description="CPU time burnt per sample, holding the GIL")
    slow_every: int = Field(default=0, ge=0, le=1_000_000, description="one sample in this many is slow; 0: none")
    slow_ms: float = Field(default=200.0, ge=0, le=60_000, description="how long a slow sample takes more")


class RunSettings(Wire):
    """All that a run is made from. Names and meanings are torch's where torch has one."""

    name: str = Field(default="", max_length=80)
    engine: Literal["loaderscope", "torch"] = "loaderscope"
    dataset: str = Field(default="photographs", max_length=200, description="an id of GET /api/datasets")
    image_size: int = Field(
        default=160, ge=16, le=1024, description="side of the picture that the model gets, in pixels"
    )
    augment: bool = True
    batch_size: int = Field(default=32, ge=1, le=4096)
    shuffle: bool = True
    drop_last: bool = False
    num_workers: int = Field(default=0, ge=0, le=64)
    worker_method: Literal["process", "thread"] = "process"
    multiprocessing_context: Literal["default", "fork", "forkserver", "spawn"] = "default"
    prefetch_factor: int = Field(default=2, ge=1, le=64)
    persistent_workers: bool = True
    in_order: bool = True
    pin_memory: bool = False
    collate: Literal["default", "pad"] = "default"
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    device: Literal["none", "simulated", "accelerator"] = "none"
    device_gb_per_s: float = Field(default=12.0, gt=0, le=1000, description="speed of the simulated device's bus")
    consumer: Literal["train", "step", "none"] = "train"
    step_ms: float = Field(default=20.0, ge=0, le=10_000, description="length of a step when consumer is 'step'")
    epochs: int = Field(default=0, ge=0, le=1_000_000, description="stop after this many epochs; 0: no limit")
    seconds: float = Field(default=10.0, ge=0, le=86_400, description="stop after this time; 0: no limit")
    detail: Literal["batch", "sample", "stage"] = "stage"
    dials: Dials = Dials()


LIVE_FIELDS = frozenset({"step_ms", "dials", "detail", "seconds", "epochs", "name"})
"""Fields of RunSettings that change without restarting the loader."""


# --- what the server says of itself, datasets and runs ---------------------------------------------------------------


class DatasetInfo(Wire):
    """One entry of the catalogue. The id is opaque: no client ever sends a path."""

    id: str
    title: Bilingual
    about: Bilingual
    kind: Literal["images", "text", "table", "array"]
    samples: int | None
    bytes: int | None
    needs_pad: bool = Field(description="samples differ in length, so collate must be 'pad'")
    trains: bool = Field(description="consumer='train' can learn from it")


class Accelerator(Wire):
    """A device that torch.accelerator sees."""

    name: str
    type: str


AccessRole = Literal["operator", "viewer"]
"""What the holder of a token may do: everything, or look only."""


class SessionRequest(Wire):
    """What a page sends to POST /api/session: the token from its URL's fragment."""

    token: str = Field(min_length=1, max_length=512)


class Session(Wire):
    """The answer to it; the session itself is a cookie that no script can read."""

    role: AccessRole


class Ticket(Wire):
    """The answer to POST /api/tickets: a token that works once, for two minutes, and lets a browser in."""

    ticket: str


class Problem(Wire):
    """The body of every answer that is an error. `field` is the dotted name of the setting that is wrong."""

    code: str
    message: str
    field: str | None = None


class Capabilities(Wire):
    """What this host can do; the page offers nothing else."""

    version: str
    torch: str
    python: str
    platform: str
    cpus: int
    memory_bytes: int
    shm_free_bytes: int | None
    accelerator: Accelerator | None
    max_workers: int
    contexts: list[str]
    worker_methods: list[str]
    role: AccessRole


RunState = Literal["starting", "running", "paused", "finished", "stopped", "failed", "interrupted"]


class Script(Wire):
    """The user's own program that a run was seen in."""

    group: str = Field(description="the same for all loaders and ranks of one start of the program")
    argv: list[str] = Field(description="its command line")
    site: str = Field(description="where the loader was made: 'train.py:41'")
    loader: str = Field(description="the loader in a few words")
    rank: int


Faster = Annotated[str, Field(max_length=140, pattern=r"^.+:\d{1,6}(\.\d{1,6})?$")]


class Asked(Wire):
    """A setting whose rate is to be predicted. What is left out is as it was recorded."""

    num_workers: int | None = Field(default=None, ge=0, le=64)
    prefetch_factor: int | None = Field(default=None, ge=1, le=64)
    batch_size: int | None = Field(default=None, ge=1, le=4096)
    worker_method: Literal["process", "thread"] | None = None
    in_order: bool | None = None
    persistent_workers: bool | None = None
    cached: bool | None = None
    cores: float | None = Field(default=None, ge=1, le=256)
    ranks: int | None = Field(default=None, ge=1, le=64)
    faster: list[Faster] = Field(default=[], max_length=8, description="part:times, e.g. decode:2")


class RunSummary(Wire):
    """A run in the list, and the header of the run that is open."""

    id: str
    name: str
    state: RunState
    reason: str = Field(default="", description="why it failed or was interrupted, in a sentence")
    truncated: str = Field(default="", description="why the recording stopped before the run did, in a sentence")
    live: bool
    started_unix_ns: int
    duration_ns: int
    batches: int
    samples: int
    bytes_on_disk: int
    settings: RunSettings | None = Field(default=None, description="absent for a run that this server did not start")
    script: Script | None = Field(default=None, description="absent for a run that no script made")
    loader: dict[str, Any] | None = Field(default=None, description="the arguments of an observed loader")


class Lane(Wire):
    """One row of the timeline. Spans name it by `lane`, its number in this run."""

    lane: int
    role: Literal["main", "worker", "pin", "device", "consumer"]
    worker: int
    rank: int
    pids: list[int]
    label: str


class Stage(Wire):
    """A named part of a sample; a STAGE span's value is its id."""

    id: int
    name: str


class SettingsChange(Wire):
    """A setting changed while the run went on; drawn as a mark on the timeline."""

    number: int
    at_ns: int
    fields: dict[str, Any]
    restarted_loader: bool


class ProcessMemory(Wire):
    """Memory of one process of a live run, sampled by the server about once a second."""

    pid: int
    label: str
    rss_bytes: int
    pss_bytes: int | None


class TensorInfo(Wire):
    """One leaf of a batch."""

    path: str
    kind: Literal["tensor", "text", "number", "other"]
    dtype: str
    shape: list[int]
    minimum: float | None
    maximum: float | None
    mean: float | None
    sample: str = Field(default="", description="the first values or texts, shortened")


class Preview(Wire):
    """What was in a batch. Thumbnails lie in one JPEG sheet, `columns` to a row, `tile` pixels square."""

    number: int
    at_ns: int
    batch: int
    epoch: int
    indices: list[int]
    indices_total: int
    labels: list[str]
    texts: list[str]
    leaves: list[TensorInfo]
    sheet: bool
    tile: int
    columns: int
    tiles: int


# --- server to client -------------------------------------------------------------------------------------------------


class KindInfo(Wire):
    """A row of loader_core.trace.event.KINDS."""

    kind: int
    name: str
    role: str
    nature: str
    value: str
    paint: str
    meaning: str


class Hello(Wire):
    """The first message. `boot` differs after each start of the server; cursors of another boot mean nothing."""

    type: Literal["hello"] = "hello"
    protocol: Literal["loaderscope.v1"] = "loaderscope.v1"
    boot: int
    kinds: list[KindInfo]
    max_frames_in_flight: int = MAX_FRAMES_IN_FLIGHT


class RunsChanged(Wire):
    """The list of runs is different now: a run began, ended, or was found or deleted."""

    type: Literal["runs"] = "runs"
    runs: list[RunSummary]


class Opened(Wire):
    """The answer to Subscribe: what the run is; spans follow from `cursor`."""

    type: Literal["opened"] = "opened"
    run: RunSummary
    lanes: list[Lane]
    stages: list[Stage]
    classes: list[str]
    changes: list[SettingsChange]
    cursor: int
    resumed: bool = Field(description="False: forget what you hold of this run, a snapshot follows")


class Status(Wire):
    """A tick's numbers. Sent about four times a second while the run is live, and once for a recording."""

    type: Literal["status"] = "status"
    run: str
    now_ns: int
    state: RunState
    reason: str
    truncated: str
    recent: Metrics
    total: Metrics
    lanes: list[Lane]
    stages: list[Stage]
    changes: list[SettingsChange]
    memory: list[ProcessMemory]
    preview: Preview | None = Field(description="the newest preview, when it is newer than the last one sent")
    lost_events: int = Field(description="events that the recording's own bound has dropped")
    cursor: int = Field(description="the place after the newest span: a client that is there has all that there is")


class Failed(Wire):
    """The server could not do what a message asked; the socket stays open unless `fatal`."""

    type: Literal["failed"] = "failed"
    code: str
    message: str
    fatal: bool = False


ServerMessage = Annotated[Hello | RunsChanged | Opened | Status | Failed, Field(discriminator="type")]


# --- client to server -------------------------------------------------------------------------------------------------


class Subscribe(Wire):
    """Watch a run. One run per socket; a second Subscribe replaces the first.

    `cursor` with the `boot` it was given in resumes where the client was; 0 asks for a snapshot. With `replay_from_ns`
    a recording is played again from that time, `speed` times as fast.
    """

    type: Literal["subscribe"] = "subscribe"
    run: str = Field(max_length=64)
    boot: int = 0
    cursor: int = Field(default=0, ge=0)
    replay_from_ns: int | None = Field(default=None, ge=0)
    speed: float = Field(default=1.0, ge=0.05, le=50)


class Unsubscribe(Wire):
    """Watch no run. The list of runs is still sent."""

    type: Literal["unsubscribe"] = "unsubscribe"


class Ack(Wire):
    """The client has drawn the frame with this sequence number, and all before it."""

    type: Literal["ack"] = "ack"
    seq: int = Field(ge=0)


class Visibility(Wire):
    """A hidden tab is sent status only, no frames and no previews."""

    type: Literal["visibility"] = "visibility"
    visible: bool


class WantPreview(Wire):
    """Keep making previews of this run's batches for the next few seconds."""

    type: Literal["want_preview"] = "want_preview"


ClientMessage = Annotated[Subscribe | Unsubscribe | Ack | Visibility | WantPreview, Field(discriminator="type")]


# --- binary frames ----------------------------------------------------------------------------------------------------

MAGIC = b"LSC1"
FRAME_HEADER_FIELDS = (
    ("magic", "4s"),
    ("type", "B"),
    ("series", "B"),
    ("reserved", "H"),
    ("seq", "I"),
    ("count", "I"),
    ("base_ns", "d"),
    ("unit_ns", "d"),
    ("cursor", "d"),
    ("dropped", "d"),
)
"""The header's fields in order, each with its `struct` code, little-endian and without padding. Its 48 bytes keep each
column behind it aligned to its own item size, which typed arrays of a browser demand."""

FRAME_HEADER = struct.Struct("<" + "".join(code for _, code in FRAME_HEADER_FIELDS))


class FrameType(IntEnum):
    """What the columns of a binary frame are."""

    SPANS = 1
    SERIES = 2
    ROLLUP = 3


class Series(IntEnum):
    """Which number a SERIES frame draws."""

    READY = 1
    IN_FLIGHT = 2
    LOSS = 3


SPAN_COLUMNS: np.dtype[np.void] = np.dtype(
    [
        ("sample", "<f8"),
        ("value", "<f8"),
        ("start", "<u4"),
        ("duration", "<u4"),
        ("batch", "<u4"),
        ("epoch", "<u2"),
        ("lane", "u1"),
        ("kind", "u1"),
        ("flags", "u1"),
    ]
)
"""Columns of a SPANS frame, in this order, each contiguous. `start` and `duration` count `unit ns` from `base ns`."""

SERIES_COLUMNS: np.dtype[np.void] = np.dtype([("value", "<f4"), ("time", "<u4")])
"""Columns of a SERIES frame: steps of a number over time. `time` counts `unit ns` from `base ns`, and never goes back.
After a reconnection all steps are sent again: a client skips those older than the newest that it holds."""

ROLLUP_COLUMNS: np.dtype[np.void] = np.dtype(
    [
        ("bucket", "<u4"),
        ("batches", "<f4"),
        ("samples", "<f4"),
        ("bytes", "<f4"),
        ("wait_ns", "<f4"),
        ("step_ns", "<f4"),
        ("lost", "<f4"),
    ]
)
"""Columns of a ROLLUP frame: one row per bucket of `unit ns`, numbered from `base ns`. A later row for the same bucket
replaces the earlier one, a frame of another `unit ns` replaces all. NaN: not measured. `lost`: events of the bucket
that the recording no longer holds."""


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The header of a binary frame, decoded."""

    type: FrameType
    series: int
    seq: int
    count: int
    base_ns: float
    unit_ns: float
    cursor: float
    dropped: float


class ProtocolError(ValueError):
    """A frame or message that is not of this protocol: truncated, misaligned, or of another version."""


COLUMNS = {FrameType.SPANS: SPAN_COLUMNS, FrameType.SERIES: SERIES_COLUMNS, FrameType.ROLLUP: ROLLUP_COLUMNS}


def encode_frame(
    frame_type: FrameType,
    rows: np.ndarray[Any, np.dtype[np.void]],
    *,
    seq: int,
    base_ns: float,
    unit_ns: float,
    cursor: float = 0,
    dropped: float = 0,
    series: int = 0,
) -> bytes:
    """A frame of `rows`: `(n,)` of the frame type's column dtype, laid out column by column."""
    header = FRAME_HEADER.pack(
        MAGIC, frame_type, series, 0, seq & 0xFFFF_FFFF, len(rows), base_ns, unit_ns, cursor, dropped
    )
    names = COLUMNS[frame_type].names or ()
    return b"".join([header, *(np.ascontiguousarray(rows[name]).tobytes() for name in names)])


def with_seq(frame: bytes, seq: int) -> bytes:
    """`frame` as the one with this number: frames are encoded once, and numbered for each socket by itself."""
    return b"".join([frame[:8], struct.pack("<I", seq & 0xFFFF_FFFF), frame[12:]])


def decode_frame(frame: bytes) -> tuple[FrameHeader, np.ndarray[Any, np.dtype[np.void]]]:
    """The inverse of `encode_frame`, for scripts and tests. Raises ProtocolError."""
    if len(frame) < FRAME_HEADER.size:
        raise ProtocolError(f"frame of {len(frame)} bytes is shorter than its header of {FRAME_HEADER.size}")
    magic, number, series, _, seq, count, base_ns, unit_ns, cursor, dropped = FRAME_HEADER.unpack_from(frame)
    if magic != MAGIC:
        raise ProtocolError(f"frame begins with {magic!r}, not {MAGIC!r}: another protocol version")
    if number not in COLUMNS:
        raise ProtocolError(f"frame type {number} is unknown")
    columns = COLUMNS[FrameType(number)]
    expected = FRAME_HEADER.size + count * columns.itemsize
    if len(frame) != expected:
        raise ProtocolError(f"frame of {count} rows has {len(frame)} bytes, expected {expected}")
    rows = np.empty(count, columns)
    offset = FRAME_HEADER.size
    for name in columns.names or ():
        column = np.frombuffer(frame, columns[name], count, offset)
        rows[name] = column
        offset += column.nbytes
    return FrameHeader(FrameType(number), series, seq, count, base_ns, unit_ns, cursor, dropped), rows


if __name__ == "__main__":
    from app.wire_types import main

    main()
