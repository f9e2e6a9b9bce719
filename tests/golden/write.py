"""Writes the golden frames beside it: each `<name>.bin` is a binary frame, `<name>.json` what a reader must make of it.

`python tests/golden/write.py` after a deliberate change of the protocol. Both the Python and the TypeScript reader are
tested against these files, and the writer against its own bytes. A `.json` holds either `header` and `columns` (null:
NaN), or `refused`: why a reader must raise ProtocolError.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from app.wire import (
    ROLLUP_COLUMNS,
    SERIES_COLUMNS,
    SPAN_COLUMNS,
    FrameType,
    ProtocolError,
    Series,
    decode_frame,
    encode_frame,
)
from loader_core.trace.event import NO_BATCH, NOT_MEASURED, Flag, Kind

HERE = Path(__file__).resolve().parent

# sample, value, start, duration, batch, epoch, lane, kind, flags. Three rows: an odd count misaligns what is not
# laid out by descending item size.
SPANS = [
    (NOT_MEASURED, NOT_MEASURED, 0, 1_500, 0, 0, 2, Kind.FETCH, Flag.NONE),
    (2**40 + 1, 123_456, 7, 0, 4_000_000_000, 65_535, 255, Kind.ITEM, Flag.INFERRED | Flag.SIMULATED),
    (NOT_MEASURED, -9, 4_294_967_295, 1, NO_BATCH, 1, 0, Kind.DIED, Flag.NONE),
]
SERIES = [(0.0, 0), (2.0, 17), (1.5, 4_294_967_295)]
ROLLUP = [
    (0, 3, 96, 1_048_576, 25_000_000, 75_000_000, 0),
    (7, 1, math.nan, math.nan, math.nan, 12_500_000, 40),
]


def frames() -> dict[str, bytes]:
    """Every golden frame by its name."""
    spans = encode_frame(
        FrameType.SPANS,
        np.array(SPANS, SPAN_COLUMNS),
        seq=7,
        base_ns=2.0**40,
        unit_ns=1_000,
        cursor=12_345,
        dropped=67,
    )
    series = encode_frame(
        FrameType.SERIES, np.array(SERIES, SERIES_COLUMNS), seq=8, base_ns=0, unit_ns=1_000, series=Series.READY
    )
    rollup = encode_frame(FrameType.ROLLUP, np.array(ROLLUP, ROLLUP_COLUMNS), seq=9, base_ns=0, unit_ns=100_000_000)
    return {
        "spans": spans,
        "series": series,
        "rollup": rollup,
        "empty": encode_frame(FrameType.SPANS, np.empty(0, SPAN_COLUMNS), seq=2**32 - 1, base_ns=0, unit_ns=1),
        "truncated": spans[:-1],
        "headless": spans[:47],
        "wrong_version": b"LSC9" + spans[4:],
        "unknown_type": spans[:4] + b"\x09" + spans[5:],
        "misaligned": spans[:48] + b"\0" + spans[48:],
    }


def expectation(frame: bytes) -> dict[str, Any]:
    """What a reader must make of `frame`."""
    try:
        header, rows = decode_frame(frame)
    except ProtocolError as refusal:
        return {"refused": str(refusal)}
    columns = {name: [_number(value) for value in rows[name].tolist()] for name in rows.dtype.names or ()}
    return {"header": asdict(header), "columns": columns}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def main() -> None:
    """Write all files."""
    for name, frame in frames().items():
        (HERE / f"{name}.bin").write_bytes(frame)
        (HERE / f"{name}.json").write_text(json.dumps(expectation(frame), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
