"""The number of an Evidence, worked out again from rows: what makes it evidence."""

from __future__ import annotations

import numpy as np

from loader_core.diagnose.rows import Rows, of_kinds
from loader_core.diagnose.verdict_types import Evidence
from loader_core.trace.event import NOT_MEASURED, Kind


def measured(evidence: Evidence, rows: Rows) -> float:
    """The number that `evidence` asks for, from the rows of a trace. Raises ValueError where it is "derived"."""
    chosen = rows[(rows["start"] >= evidence.start_ns) & (rows["end"] <= evidence.end_ns)]
    if evidence.lanes:
        chosen = chosen[np.isin(chosen["lane"], evidence.lanes)]
    kinds = [Kind[name] for name in evidence.kinds]
    chosen = of_kinds(chosen, *kinds)
    lengths = (chosen["end"] - chosen["start"]).astype(np.float64)
    match evidence.measure:
        case "count":
            return float(len(chosen))
        case "max":
            return float(chosen["value"].max()) if len(chosen) else 0.0
        case "total_ns":
            return float(lengths.sum())
        case "mean_ns":
            return float(lengths.mean()) if len(lengths) else 0.0
        case "median_ns":
            return float(np.median(lengths)) if len(lengths) else 0.0
        case "share":
            own = chosen["kind"] == kinds[0]
            return float(lengths[own].sum() / lengths.sum()) if lengths.sum() else 0.0
        case "cpu_share":
            known = chosen["value"] != NOT_MEASURED
            took = lengths[known].sum()
            return float(min(1.0, chosen["value"][known].sum() / took)) if took else 0.0
        case "derived":
            raise ValueError(f"{evidence.name.en} is derived from several numbers: no query alone gives it")
