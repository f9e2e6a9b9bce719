"""The recording of a run: its events written, and read."""

from loader_core.trace.budget import DEFAULT_BUDGET_BYTES
from loader_core.trace.control import Control
from loader_core.trace.event import (
    EVENT_DTYPE,
    KINDS,
    NO_BATCH,
    NOT_MEASURED,
    SCHEMA_VERSION,
    Flag,
    Kind,
    KindSpec,
    Nature,
    Role,
    kind_table,
)
from loader_core.trace.export import perfetto, summary
from loader_core.trace.names import name_number
from loader_core.trace.recorder import NULL_RECORDER, Detail, Recorder, now
from loader_core.trace.recording import Delivery, Recording, RecordingShare, seal
from loader_core.trace.rollup import BUCKET_DTYPE, BUCKET_NS
from loader_core.trace.run_file import RunHeader
from loader_core.trace.stage import current_recorder, set_current, stage
from loader_core.trace.trace import ROW_DTYPE, TAIL_ROWS, WINDOW_ROWS, Trace, TraceLane

__all__ = [
    "BUCKET_DTYPE",
    "BUCKET_NS",
    "DEFAULT_BUDGET_BYTES",
    "EVENT_DTYPE",
    "KINDS",
    "NOT_MEASURED",
    "NO_BATCH",
    "NULL_RECORDER",
    "ROW_DTYPE",
    "SCHEMA_VERSION",
    "TAIL_ROWS",
    "WINDOW_ROWS",
    "Control",
    "Delivery",
    "Detail",
    "Flag",
    "Kind",
    "KindSpec",
    "Nature",
    "Recorder",
    "Recording",
    "RecordingShare",
    "Role",
    "RunHeader",
    "Trace",
    "TraceLane",
    "current_recorder",
    "kind_table",
    "name_number",
    "now",
    "perfetto",
    "seal",
    "set_current",
    "stage",
    "summary",
]
